"""`scrapy crawl github` when GitHub fails, repositories move or vanish, and runs are killed or side by side.

If these fail, one bad answer costs thousands of packages their figures, or an old figure stays for ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.filled import Filled
from tests.github import TOKEN, all_enriched, asked_about, enrich, figures, github, latest, plain

OPTIONS = Options(
    projects=60, members={"plone": 30, "django": 6}, only_members=True, most_releases=4, empty=0, missing=0
)
MANY = Options(
    projects=100,
    members={"plone": 75},
    only_members=True,
    most_releases=2,
    empty=0,
    missing=0,
    hostile=False,
    gone_repositories=0,
    moved_repositories=0,
)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture(autouse=True)
def fresh(replica: Handle) -> None:
    """Full budgets, no faults, counters at zero."""
    replica.faults([])
    replica.services()
    replica.reset()


@pytest.fixture(scope="module")
def filling(
    tmp_path_factory: pytest.TempPathFactory, replica: Handle, typesense_server: Server
) -> Iterator[Filled]:
    filling = Filled(tmp_path_factory.mktemp("filled"), replica.url, typesense_server, "plone,django")
    yield filling
    filling.clear()


@pytest.fixture
async def filled(tmp_path: Path, filling: Filled, replica: Handle) -> Place:
    """All packages are indexed; nothing was asked of GitHub yet."""
    place = await filling.place(tmp_path / "data")
    replica.reset()
    return place


@pytest.mark.parametrize("fault", ["status-502", "garbage", "cut", "disconnect"])
async def test_a_storm_of_failures_costs_nobody_the_figures(
    filled: Place, replica: Handle, fault: str
) -> None:
    replica.faults([{"match": "/github/graphql", "fault": fault, "times": 10}])
    crawled = await enrich(filled)
    assert crawled.outcome.exit_code == 0, "what failed was asked again when the storm was over"
    assert all_enriched(filled, replica) > 20
    assert figures(replica)["requests"] <= 25


@pytest.mark.parametrize("overload", ["502", "partial"])
async def test_a_github_that_manages_only_few_at_once(filled: Place, replica: Handle, overload: str) -> None:
    replica.services(graphql_most_aliases=7, graphql_overload=overload)
    crawled = await enrich(filled)
    assert crawled.outcome.exit_code == 0
    assert all_enriched(filled, replica) > 20
    assert figures(replica)["requests"] <= 25


async def test_one_repository_that_always_fails_costs_only_itself(filled: Place, replica: Handle) -> None:
    """And it is asked about a few times, not for ever."""
    replica.services(github_anonymous_limit=500)
    name, poison = next(iter(plain(filled, replica).items()))
    path = f"/github/repos/{poison.full_name.lower()}"
    replica.faults([{"match": path, "fault": "status-500"}])
    crawled = await enrich(filled, None)
    assert crawled.outcome.exit_code == 3
    assert replica.statistics(paths=True)["paths"][path] == 3
    with filled.store() as store:
        assert [(f.normalized_name, f.stage) for f in store.failures()] == [(name, "github")]
        assert [link.problem for link in store.problems([name])] == ["unavailable"]
    replica.faults([])
    assert (await enrich(filled, None)).outcome.exit_code == 0
    assert all_enriched(filled, replica) > 20
    with filled.store() as store:
        assert store.failures() == []
        assert list(store.problems([name])) == []


@pytest.mark.parametrize("token", [TOKEN, None])
async def test_github_down_is_one_line_and_nothing_is_lost(
    filled: Place, replica: Handle, caplog: pytest.LogCaptureFixture, token: str | None
) -> None:
    await enrich(filled)
    documents = latest(filled)
    replica.faults([{"match": "/github/*", "fault": "status-503"}])
    with caplog.at_level(logging.INFO):
        crawled = await enrich(filled, token, {"GITHUB_MAX_AGE": 0})
    assert crawled.outcome.exit_code == 1
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert [error.split(" (")[0] for error in errors] == ["GitHub does not answer"]
    assert latest(filled) == documents


async def test_a_refused_token_is_one_line_that_names_the_setting(filled: Place, replica: Handle) -> None:
    replica.services(bad_token=TOKEN)
    filled.extra.update(github(filled))
    done = await asyncio.to_thread(
        filled.run, "crawl", "github", "-a", "profile=plone", "-a", "verbose=1", "-L", "DEBUG"
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " ERROR: " in line]
    assert len(errors) == 1, done.stderr
    assert "GITHUB_TOKEN" in errors[0]
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr


async def test_a_token_goes_only_where_nobody_can_read_it(filled: Place, replica: Handle) -> None:
    refused = filled.run(
        "crawl", "github", "-a", "profile=plone", "-s", f"GITHUB_TOKEN={TOKEN}",
        "-s", "GITHUB_API_URL=http://github.example",
    )  # fmt: skip
    assert refused.returncode == 2
    assert "https://" in refused.stderr
    assert TOKEN not in refused.stdout + refused.stderr
    assert figures(replica)["requests"] == 0


async def test_renamed_blocked_and_deleted_repositories(tmp_path: Path, empty_index: Server) -> None:
    with running_replica(MANY) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        await place.crawl("pypi", profile="plone")
        members = [(name, one.full_name) for name, one in plain(place, replica).items()]
        renamed, blocked, deleted = members[:20], members[20:40], members[40:45]
        old_release, both = members[45], members[46]
        for place_, (_, full) in enumerate(renamed):
            replica.event({"event": "rename-repository", "repository": full, "name": f"moved/now-{place_}"})
        for place_, (_, full) in enumerate(blocked):
            reason = ("dmca", "tos")[place_ % 2]
            replica.event({"event": "block-repository", "repository": full, "reason": reason})
        for _, full in deleted:
            replica.event({"event": "delete-repository", "repository": full})
        # A newest release links to what is gone, another to the new name of what a package calls by its old.
        for (name, _), target in ((old_release, deleted[0][1]), (both, "moved/now-0")):
            urls = {"Source": f"https://github.com/{target}"}
            info = {"project_urls": urls, "home_page": None}
            replica.event({"event": "release", "project": name, "version": "99.0", "info": info})
        await place.crawl("pypi", profile="plone")
        crawled = await enrich(place, profile="plone")
        assert crawled.outcome.exit_code == 0
        documents = latest(place, "plone")
        with place.store() as store:
            problems = {link.normalized_name: link.problem for link in store.problems()}

        for place_, (name, _) in enumerate(renamed):
            assert documents[name]["github_url"] == f"https://github.com/moved/now-{place_}"
        assert documents[both[0]]["github_url"] == "https://github.com/moved/now-0"
        assert documents[both[0]]["github_stars"] == documents[renamed[0][0]]["github_stars"]
        assert documents[old_release[0]]["github_url"] == f"https://github.com/{old_release[1]}"
        about = {name: why for name, why in problems.items() if why not in ("no_repo_url", "other_forge")}
        assert about == {
            **{name: "blocked" for name, _ in blocked},
            **{name: "not_found" for name, _ in deleted},
        }
        assert not [name for name in about if "github_stars" in documents[name]]
        assert all("github_stars" in documents[name] for name, _ in members[45:])
        before = figures(replica)["requests"]
        await enrich(place, profile="plone")
        assert figures(replica)["requests"] == before, "what is gone is not asked about again within a day"


@pytest.mark.parametrize("token", [TOKEN, None])
async def test_who_moves_takes_the_figures_along(filled: Place, replica: Handle, token: str | None) -> None:
    """Also what changes after the move, under a name that no package knows; and one move asks once."""
    replica.services(github_anonymous_limit=500)
    name, one = list(plain(filled, replica).items())[0 if token else 1]
    moved = f"elsewhere/{one.name}"
    replica.event({"event": "rename-repository", "repository": one.full_name, "name": moved})
    await enrich(filled, token)
    assert latest(filled)[name]["github_url"] == f"https://github.com/{moved}"
    replica.event({"event": "star", "repository": moved, "stars": 4711})
    replica.reset()
    again = await enrich(filled, token, {"GITHUB_MAX_AGE": 0})
    assert latest(filled)[name]["github_stars"] == 4711
    assert again.stats.get("pyf/repositories/renamed", 0) == 0


async def test_packages_of_one_repository_cost_one_request(tmp_path: Path, empty_index: Server) -> None:
    options = Options(
        projects=60, members={"plone": 40}, only_members=True, most_releases=2, monorepos=0.8, empty=0
    )
    with running_replica(options) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        await place.crawl("pypi", profile="plone")
        replica.services(github_anonymous_limit=500)
        replica.reset()
        await enrich(place, None, profile="plone")
        paths = replica.statistics(paths=True)["paths"]
        shared = {p: n for p, n in paths.items() if "/replica-monorepos/" in p}
        assert shared
        assert set(shared.values()) == {1}
        urls = [d.get("github_url", "") for d in latest(place, "plone").values()]
        assert sum("replica-monorepos" in url for url in urls) > 2 * len(shared) / 2


async def test_in_any_order_and_side_by_side_the_documents_are_the_same(
    filled: Place, replica: Handle
) -> None:
    """No fetch of PyPI wipes what GitHub said, and no run leaves older facts in the index."""
    profiles: dict[str, Any] = {"profile": "plone,django"}
    await enrich(filled)
    once = latest(filled)
    await filled.crawl("pypi", full="1", **profiles)
    assert latest(filled) == once
    await filled.crawl("project", refresh="1", **profiles)
    refreshed = latest(filled)
    assert {name: d.get("github_stars") for name, d in refreshed.items()} == {
        name: d.get("github_stars") for name, d in once.items()
    }
    replica.event({"event": "star", "repository": next(iter(plain(filled, replica).values())).full_name})
    done = await asyncio.gather(
        filled.crawl("pypi", full="1", **profiles),
        filled.crawl("project", refresh="1", **profiles),
        enrich(filled, more={"GITHUB_MAX_AGE": 0}),
    )
    assert {crawled.outcome.exit_code for crawled in done} <= {0, 3}
    await filled.crawl("pypi", **profiles)  # passes on what was under way at the end
    beside = latest(filled)
    await enrich(filled, more={"GITHUB_MAX_AGE": 0})
    assert latest(filled) == beside
    assert all_enriched(filled, replica) > 20


async def test_a_killed_run_is_continued(filled: Place, replica: Handle) -> None:
    """Nobody is asked twice in a day, nobody is forgotten."""
    replica.services(github_anonymous_limit=500)
    filled.extra.update(github(filled, None) | {"GITHUB_REQUEST_DELAY": 0.1})
    del filled.extra["GITHUB_TOKEN"]
    process = filled.popen("crawl", "github", "-a", "profile=plone,django")
    while figures(replica, "rest")["requests"] < 12 and process.poll() is None:
        await asyncio.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    asked = {p for p in replica.statistics(paths=True)["paths"] if p.startswith("/github/repos/")}
    known = asked_about(filled)
    assert len(asked) - 1 <= len(known)
    replica.reset()
    assert (await enrich(filled, None)).outcome.exit_code == 0
    again = {p for p in replica.statistics(paths=True)["paths"] if p.startswith("/github/repos/")}
    assert len({p for p in asked & again if not p.endswith("/contributors")}) <= 1, "the one under way"
    assert all_enriched(filled, replica) > 20


async def test_ctrl_c_while_it_waits_for_the_reset(filled: Place, replica: Handle) -> None:
    """An hour's wait that cannot be interrupted would be killed, and the log would hold a false error."""
    replica.services(github_graphql_limit=0)
    filled.extra.update(github(filled))
    process = filled.popen("crawl", "github", "-a", "profile=plone", "-L", "INFO")
    while not figures(replica)["limited"] and process.poll() is None:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    output, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert time.monotonic() - began < 20
    assert " ERROR: " not in errors, errors
    assert "Interrupted; the same command goes on from here." in output + errors
    assert figures(replica)["requests"] == 1
