"""The CDN: what a crawler gets to see of PyPI, minutes or a day late. Time passes by `advance` only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import CdnOptions, Handle, Options, running_replica

from .client import SIMPLE_JSON, Received, get

DAY, RENEWAL = 86_400, 300
ONE_NODE = {"nodes": 1, "speed": 0}


@pytest.fixture
def cached() -> Iterator[Handle]:
    """A replica behind a CDN of one node, so that tests know what the node has."""
    options = Options(projects=60, members={"plone": 10})
    with running_replica(options, cdn=CdnOptions(nodes=1, speed=0)) as handle:
        yield handle


def some_project(handle: Handle) -> str:
    for name in handle.replica.names():
        project = handle.replica.project(name)
        if project and len(project.releases) > 1 and not any("!" in one.version for one in project.releases):
            return name
    raise AssertionError("no such project")


def ask(handle: Handle, path: str, **headers: Any) -> Received:
    return get(handle.url, path, accept=SIMPLE_JSON, **headers)


def serial(handle: Handle, path: str) -> int:
    return int(ask(handle, path).headers["X-PyPI-Last-Serial"])


def release(handle: Handle, name: str, version: str) -> int:
    return int(handle.event({"event": "release", "project": name, "version": version})[0]["serial"])


def cache(handle: Handle) -> dict[str, int]:
    counts: dict[str, int] = handle.statistics()["cdn"]
    return {key: count for key, count in counts.items() if count}


@pytest.mark.parametrize("path", ["/pypi/{}/json", "/pypi/{}/{}/json", "/simple/{}/"])
def test_after_a_purge_the_first_gets_the_old_answer_and_the_next_the_new(cached: Handle, path: str) -> None:
    name = some_project(cached)
    project = cached.replica.project(name)
    assert project is not None
    path = path.format(name, project.releases[0].version)
    old = serial(cached, path)
    new = release(cached, name, "90.0")
    assert [serial(cached, path) for _ in range(3)] == [old, new, new]
    assert cache(cached) == {"misses": 1, "stale": 1, "hits": 2, "purges": 2}


def test_later_than_the_time_for_renewal_nobody_gets_the_old_answer(cached: Handle) -> None:
    path = f"/pypi/{some_project(cached)}/json"
    serial(cached, path)
    new = release(cached, some_project(cached), "90.0")
    cached.advance(RENEWAL)
    assert serial(cached, path) == new


def test_not_modified_is_said_of_what_the_node_has(cached: Handle) -> None:
    """A crawler that believes a 304 takes a purged answer for the present."""
    path = f"/simple/{some_project(cached)}/"
    tag = ask(cached, path).headers["ETag"]
    release(cached, some_project(cached), "90.0")
    answers = [ask(cached, path, if_none_match=tag) for _ in range(2)]
    assert [answer.status for answer in answers] == [304, 200]
    assert [answer.headers["X-Cache"] for answer in answers] == ["HIT", "HIT"]
    assert ask(cached, path, if_none_match=answers[1].headers["ETag"]).status == 304


def test_the_index_is_never_purged(cached: Handle) -> None:
    old = serial(cached, "/simple/")
    release(cached, some_project(cached), "90.0")
    new = cached.event({"event": "delete-project", "project": some_project(cached)})[0]["serial"]
    cached.advance(1799)
    assert serial(cached, "/simple/") == old
    cached.advance(1)
    assert [serial(cached, "/simple/") for _ in range(2)] == [old, new]
    last = release(cached, some_project(cached), "90.0")
    cached.advance(1800 + RENEWAL)
    assert serial(cached, "/simple/") == last


def test_index_and_html_are_kept_apart(cached: Handle) -> None:
    assert ask(cached, "/simple/").headers["Content-Type"] == SIMPLE_JSON
    assert get(cached.url, "/simple/").headers["Content-Type"].startswith("text/html")
    cached.advance(DAY - 1)
    assert get(cached.url, "/simple/").headers["X-Cache"] == "HIT"
    assert ask(cached, "/simple/").headers["X-Cache"] == "MISS"


def test_lost_purges_last_for_a_day(cached: Handle) -> None:
    cached.cdn({**ONE_NODE, "lost_purges": 1})
    path = f"/pypi/{some_project(cached)}/json"
    old = serial(cached, path)
    new = release(cached, some_project(cached), "90.0")
    cached.advance(DAY - 1)
    assert [serial(cached, path) for _ in range(2)] == [old, old]
    assert cache(cached) == {"misses": 1, "stale": 2, "purges": 2, "lost": 2}
    cached.advance(1)
    assert [serial(cached, path) for _ in range(2)] == [old, new]


def test_some_purges_are_lost_and_the_seed_decides_which(cached: Handle) -> None:
    path = f"/pypi/{some_project(cached)}/json"

    def missed(seed: int, first: int) -> list[bool]:
        cached.cdn({**ONE_NODE, "lost_purges": 0.3, "seed": seed})
        serials = []
        for number in range(40):
            promised = release(cached, some_project(cached), f"{first}.{number}")
            serials.append([serial(cached, path) for _ in range(2)][-1] < promised)
        return serials

    first = missed(1, 90)
    assert first == missed(1, 91)
    assert first != missed(2, 92)
    assert 3 < sum(first) < 25


def test_stale_nodes_never_hear_of_a_purge(cached: Handle) -> None:
    cached.cdn({"nodes": 2, "stale_nodes": 1, "speed": 0})
    path = f"/pypi/{some_project(cached)}/json"
    old = {serial(cached, path) for _ in range(12)}
    new = release(cached, some_project(cached), "90.0")
    seen: dict[str, list[int]] = {}
    for _ in range(20):
        answer = ask(cached, path)
        seen.setdefault(answer.headers["X-Served-By"], []).append(int(answer.headers["X-PyPI-Last-Serial"]))
    assert set(seen["cache-replica-0"]) == old
    assert seen["cache-replica-1"] == [*old, *[new] * (len(seen["cache-replica-1"]) - 1)]


def test_requests_are_spread_as_the_seed_says(cached: Handle) -> None:
    def nodes(seed: int | None) -> list[str]:
        cached.cdn({"seed": seed})
        return [ask(cached, "/simple/").headers["X-Served-By"] for _ in range(30)]

    first = nodes(None)
    assert set(first) == {f"cache-replica-{place}" for place in range(3)}
    assert first == nodes(cached.replica.options.seed)
    assert first != nodes(99)


def test_a_404_is_kept_for_a_minute(cached: Handle) -> None:
    """A feed names a release, its JSON was asked for a moment too early, and goes on missing."""
    assert ask(cached, "/pypi/fresh/json").status == 404
    cached.event({"event": "create", "project": "fresh", "version": "1.0"})
    cached.advance(59)
    assert ask(cached, "/pypi/fresh/json").status == 404
    assert ask(cached, "/simple/fresh/").status == 200
    cached.advance(1)
    assert ask(cached, "/pypi/fresh/json").status == 200


@pytest.mark.parametrize(
    ("event", "undone"),
    [
        ({"event": "quarantine"}, {"event": "unquarantine"}),
        ({"event": "delete-project"}, {"event": "create", "version": "1.0"}),
    ],
)
def test_what_is_gone_is_seen_once_more_and_what_is_back_a_minute_late(
    cached: Handle, event: dict[str, Any], undone: dict[str, Any]
) -> None:
    path = f"/pypi/{some_project(cached)}/json"
    name = some_project(cached)
    ask(cached, path)
    cached.event({**event, "project": name})
    assert [ask(cached, path).status for _ in range(2)] == [200, 404]
    cached.event({**undone, "project": name})
    cached.advance(59)
    assert ask(cached, path).status == 404
    cached.advance(1)
    assert ask(cached, path).status == 200


def status(handle: Handle, name: str) -> Any:
    return json.loads(ask(handle, f"/simple/{name}/").body)["project-status"]["status"]


def test_a_changed_status_is_purged_and_other_blind_events_are_not(cached: Handle) -> None:
    name = some_project(cached)
    path = f"/pypi/{name}/json"
    before = status(cached, name)
    cached.event({"event": "archive", "project": name})
    assert [status(cached, name) for _ in range(2)] == [before, "archived"]
    body = ask(cached, path).body
    cached.event(
        {"event": "advisory", "project": name},
        {"event": "organization", "project": name, "organization": "us"},
    )
    cached.advance(DAY - 1)
    assert ask(cached, path).body == body
    cached.advance(1 + RENEWAL)
    assert json.loads(ask(cached, path).body)["ownership"]["organization"] == "us"


def test_feeds_are_purged_by_what_is_published(cached: Handle) -> None:
    name = some_project(cached)
    own = f"/rss/project/{name}/releases.xml"
    paths = ("/rss/updates.xml", "/rss/packages.xml", own)
    old = [ask(cached, path).body for path in paths]
    cached.event({"event": "create", "project": "fresh", "version": "1.0"})
    assert [ask(cached, path).body for path in paths] == old
    assert [b"fresh" in ask(cached, path).body for path in paths] == [True, True, False]
    release(cached, name, "90.0")
    cached.advance(DAY - 1)
    assert [b"90.0" in ask(cached, path).body for path in paths] == [False] * 3
    assert [b"90.0" in ask(cached, path).body for path in paths] == [True, False, True]
    cached.event({"event": "delete-release", "project": name, "version": "90.0"})
    assert [b"90.0" in ask(cached, paths[0]).body for _ in range(2)] == [True, True]
    cached.advance(2 * DAY)
    assert b"90.0" not in ask(cached, paths[0]).body


def test_other_projects_are_not_purged(cached: Handle) -> None:
    first, second = cached.replica.names()[:2]
    ask(cached, f"/simple/{first}/")
    cached.event({"event": "owners", "project": second, "owners": ["somebody"]})
    cached.reset()
    ask(cached, f"/simple/{first}/")
    assert cache(cached) == {"hits": 1}


def test_faults_are_before_the_cdn(cached: Handle) -> None:
    """What a fault spoils is not kept, what is kept does not hide it."""
    path = f"/pypi/{some_project(cached)}/json"
    true = ask(cached, path)
    for fault in ("status-503", "stale"):
        cached.faults([{"match": path, "fault": fault, "times": 1}])
        assert ask(cached, path).body != true.body
        assert ask(cached, path).body == true.body
    assert ask(cached, path.replace("/pypi/", "/pypi/X-")).status == 404
    assert ask(cached, path.upper().replace("PYPI", "pypi").replace("JSON", "json")).status == 301


def test_switched_on_and_off_while_it_runs(replica: Handle) -> None:
    name = some_project(replica)
    path = f"/pypi/{name}/json"
    assert "X-Cache" not in ask(replica, path).headers
    replica.cdn(ONE_NODE)
    assert [ask(replica, path).headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    replica.cdn(ONE_NODE)
    assert ask(replica, path).headers["X-Cache"] == "MISS"
    expected = {"nodes": 1, "lost_purges": 0.0, "stale_nodes": 0, "speed": 0.0, "seed": None}
    assert json.loads(get(replica.url, "/_replica/cdn").body) == expected
    replica.cdn(None)
    new = release(replica, name, "90.0")
    assert serial(replica, path) == new
    assert json.loads(get(replica.url, "/_replica/cdn").body) is None
    assert cache(replica) == {}
    assert not replica.replica.listeners


def test_time_passes_at_the_speed_that_was_set(cached: Handle) -> None:
    cached.cdn({"nodes": 1, "speed": 1_000_000})
    old = serial(cached, "/simple/")
    new = release(cached, some_project(cached), "90.0")
    found = old
    for _ in range(100):
        found = serial(cached, "/simple/")
        if found == new:
            break
    assert found == new


def test_time_passes_for_events_too(replica: Handle) -> None:
    before = replica.replica.now
    replica.advance(2400)
    assert (replica.replica.now - before).total_seconds() == 2400
    with pytest.raises(ReplicaError, match="seconds"):
        replica.advance(-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 0}, "nodes=0 is not between 1 and 100"),
        ({"stale_nodes": 4}, "stale_nodes=4 is not between 0 and 3 nodes"),
        ({"lost_purges": 1.5}, "lost_purges=1.5 is not a share"),
        ({"speed": -1}, "speed=-1.0 is not between"),
        ({"node": 3}, "unknown field `node`"),
        ({"nodes": "many"}, "Expected `int`"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    replica: Handle, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReplicaError, match=message) as caught:
        replica.cdn(options)
    assert "\n" not in str(caught.value)
    assert "X-Cache" not in ask(replica, "/simple/").headers
