"""GitHub's REST API: truth, renamings, blocked repositories, and the limits that a crawler has to keep."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.parsers.github import parse_contributors, parse_repository
from pyf_scrapy.replica import Handle, Options, Replica, ServiceOptions, running_replica
from pyf_scrapy.replica.service_options import service_options

from .client import Received, get
from .repositories import pairs, some_repository

TOKEN = "Bearer one"


def rest(handle: Handle, path: str, authorization: str = TOKEN, **headers: str) -> Received:
    return get(handle.url, f"/github{path}", 10, authorization=authorization, **headers)


def shown(handle: Handle, full_name: str) -> dict[str, Any]:
    answer = rest(handle, f"/repos/{full_name}")
    assert answer.status == 200
    return dict(json.loads(answer.body))


def test_has_the_keys_that_github_sends(shared: Handle, real_data: Path) -> None:
    """A key that only the replica has, or under another type, would hide a fault of the parser."""
    real = json.loads((real_data / "github" / "200_repository_by_id.PyGithub.json").read_bytes())
    ours = shown(
        shared, some_repository(shared, lambda one: one.license not in (None, "NOASSERTION")).full_name
    )
    newer = {"topics", "visibility", "is_template", "disabled"}
    assert set(ours) - set(real) == newer
    for key in set(ours) & set(real):
        if ours[key] is not None and real[key] is not None:
            assert type(ours[key]) is type(real[key]), key
    assert set(ours["license"]) <= set(real["license"])


def test_says_what_is_true(shared: Handle) -> None:
    for project, repository in pairs(shared)[::60]:
        if repository.state or repository.full_name != project.repository:
            continue
        one = shown(shared, project.repository.upper())
        record = parse_repository(json.dumps(one).encode())
        assert (record.node_id, record.owner, record.name) == (
            repository.node_id,
            repository.owner,
            repository.name,
        )
        assert one["watchers_count"] == one["stargazers_count"] == repository.stars
        assert one["subscribers_count"] == repository.watchers
        assert one["open_issues_count"] == repository.issues + repository.pulls
        assert one["created_at"] <= one["pushed_at"] <= one["updated_at"]
        assert shown(shared, f"{repository.owner}/{repository.name}") == one
        assert json.loads(rest(shared, f"/repositories/{repository.id}").body) == one


def test_every_repository_that_metadata_name_has_a_fate(shared: Handle) -> None:
    """A crawl of a replica meets gone, moved, blocked and claimed ones, as one of GitHub does."""
    all_of_them = pairs(shared)
    fates = Counter(repository.state for _, repository in all_of_them)
    assert fates[""] > 0.95 * len(all_of_them)
    assert fates["deleted"] >= 5
    assert sum(one.full_name != project.repository for project, one in all_of_them) >= 10
    naming = sum(
        any(name in text for name in (project.name, project.normalized_name) for text in one.files.values())
        for project, one in all_of_them
        if {"pyproject.toml", "setup.py", "setup.cfg"} & one.files.keys()
    )
    assert 0.7 < naming / len(all_of_them) < 0.9
    assert 0.03 < sum(one.archived is not None for _, one in all_of_them) / len(all_of_them) < 0.15
    stars = sorted(one.stars for _, one in all_of_them)
    assert stars[len(stars) // 2] < 30
    assert stars[-1] > 1000


def test_metadata_name_these_repositories(shared: Handle) -> None:
    found = 0
    for name in shared.replica.names()[:60]:
        answer = get(shared.url, f"/pypi/{name}/json")
        for owner, repository in re.findall(rb"github\.com/([\w-]+)/([\w.-]+?)(?:\.git|[/\"])", answer.body)[
            :1
        ]:
            wanted = f"{owner.decode()}/{repository.decode()}"
            assert shared.replica.repositories.find(wanted) is not None
            found += 1
    assert found > 30


def test_facts_do_not_depend_on_the_order_of_questions() -> None:
    one, other = Replica(Options(projects=50)), Replica(Options(projects=50))
    names = one.names()
    assert [one.repositories.of_project(name) for name in names] == [
        other.repositories.of_project(name) for name in reversed(names)
    ][::-1]


def test_renamed_repository(replica: Handle) -> None:
    old = some_repository(replica)
    replica.event({"event": "rename-repository", "repository": old.full_name, "name": "new-owner/New.Name"})
    answer = rest(replica, f"/repos/{old.full_name}")
    where = f"{replica.github_url}/repositories/{old.id}"
    assert (answer.status, answer.headers["Location"]) == (301, where)
    assert json.loads(rest(replica, f"/repositories/{old.id}").body)["full_name"] == "new-owner/New.Name"
    assert shown(replica, "new-owner/new.name")["id"] == old.id
    answer = rest(replica, f"/repos/{old.full_name}/contributors?per_page=5")
    assert answer.headers["Location"] == f"{where}/contributors?per_page=5"
    assert replica.statistics()["unnormalized"] == 0
    replica.event({"event": "create-repository", "repository": old.full_name, "facts": {"stars": 3}})
    assert shown(replica, old.full_name)["stargazers_count"] == 3
    assert shown(replica, "new-owner/New.Name")["id"] == old.id


@pytest.mark.parametrize(
    ("event", "status", "body"),
    [
        ({"event": "delete-repository"}, 404, {"message": "Not Found"}),
        ({"event": "block-repository"}, 451, {"message": "Repository access blocked"}),
        ({"event": "block-repository", "reason": "tos"}, 403, {"message": "Repository access blocked"}),
    ],
)
def test_repository_out_of_reach(replica: Handle, event: dict[str, Any], status: int, body: Any) -> None:
    name = some_repository(replica).full_name
    replica.event({**event, "repository": name})
    answer = rest(replica, f"/repos/{name}")
    assert answer.status == status
    assert body.items() <= json.loads(answer.body).items()
    assert int(answer.headers["x-ratelimit-remaining"]) > 0


def test_events_change_what_they_say(replica: Handle) -> None:
    old = some_repository(replica, lambda one: one.archived is None)
    serial = replica.replica.serial
    name = old.full_name
    replica.clock("2026-12-01T08:00:00Z")
    [line] = replica.event({"event": "star", "repository": name})
    assert (line["serial"], line["event"], line["project"]) == (serial, "star", name)
    replica.event({"event": "archive-repository", "repository": name})
    replica.event({"event": "push", "repository": name, "tag": "v99"})
    replica.event({"event": "change-repository", "repository": name, "facts": {"license": "NOASSERTION"}})
    one = shown(replica, name)
    assert (one["stargazers_count"], one["archived"]) == (old.stars + 1, True)
    assert one["pushed_at"] == "2026-12-01T08:00:03Z"
    assert one["license"]["spdx_id"] == "NOASSERTION"
    assert json.loads(rest(replica, f"/repos/{name}/releases/latest").body)["tag_name"] == "v99"
    assert replica.replica.serial == serial


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"event": "star", "repository": "no/such"}, "there is no repository no/such"),
        ({"event": "create-repository", "repository": "a b"}, "'a b' is not owner/name"),
        ({"event": "create-repository", "repository": "a/b", "facts": {"star": 1}}, "unknown field `star`"),
        ({"event": "create-repository", "repository": "a/b", "facts": {"id": 1}}, "id is no fact"),
        ({"event": "star"}, "missing required field `repository`"),
        ({"event": "stars", "repository": "a/b"}, "Invalid enum value 'stars'"),
    ],
)
def test_impossible_events(replica: Handle, event: dict[str, Any], message: str) -> None:
    with pytest.raises(ReplicaError, match=re.escape(message)):
        replica.event(event)


def test_contributors(replica: Handle) -> None:
    name = some_repository(replica).full_name
    facts = {"contributors": 7, "anonymous": 2, "too_large": False}
    replica.event({"event": "change-repository", "repository": name, "facts": facts})
    answer = rest(replica, f"/repos/{name}/contributors?per_page=3&page=2")
    found = re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["Link"])
    links = {relation: url for url, relation in found}
    assert set(links) == {"prev", "next", "last", "first"}
    assert links["last"].endswith("/contributors?per_page=3&page=3")
    last = get(replica.url, links["last"].removeprefix(replica.url), authorization=TOKEN)
    assert len(json.loads(last.body)) == 1
    first = parse_contributors(rest(replica, f"/repos/{name}/contributors").body)
    assert first[0].contributions == 400
    everybody = json.loads(rest(replica, f"/repos/{name}/contributors?anon=1").body)
    assert ["login" in one for one in everybody] == [True] * 7 + [False] * 2
    assert sorted(everybody[:7], key=lambda one: -one["contributions"]) == everybody[:7]
    replica.event({"event": "change-repository", "repository": name, "facts": {"too_large": True}})
    answer = rest(replica, f"/repos/{name}/contributors")
    assert (answer.status, "too large" in answer.body.decode()) == (403, True)
    replica.event({"event": "change-repository", "repository": name, "facts": {"contributors": 0}})
    answer = rest(replica, f"/repos/{name}/contributors")
    assert (answer.status, answer.body) == (204, b"")


def test_unchanged_answers_are_free_for_those_who_say_who_they_are(replica: Handle) -> None:
    """Were they not, a crawler that saves nothing would look as good as one that does."""
    name = some_repository(replica).full_name
    first = rest(replica, f"/repos/{name}")
    tag = str(first.headers["ETag"])
    again = rest(replica, f"/repos/{name}", if_none_match=tag)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"] == "1"
    used = [get(replica.url, f"/github/repos/{name}", if_none_match=tag) for _ in range(2)]
    assert [(one.status, one.headers["x-ratelimit-used"]) for one in used] == [(304, "1"), (304, "2")]
    replica.event({"event": "star", "repository": name})
    assert rest(replica, f"/repos/{name}", if_none_match=tag).status == 200


def test_bad_token(replica: Handle) -> None:
    answer = rest(replica, "/repos/a/b", authorization="token bad")
    assert (answer.status, json.loads(answer.body)["message"]) == (401, "Bad credentials")


@pytest.mark.parametrize("status", [403, 429])
def test_primary_limit(replica: Handle, status: int) -> None:
    replica.services(github_rest_limit=2, limit_status=status, speed=0)
    answers = [rest(replica, "/repos/no/such") for _ in range(3)]
    assert [one.status for one in answers] == [404, 404, status]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["1", "0", "0"]
    assert "Retry-After" not in answers[-1].headers
    assert 3500 < int(answers[-1].headers["x-ratelimit-reset"]) - time.time() <= 3601
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 0
    rate = json.loads(rest(replica, "/rate_limit").body)
    assert (rate["rate"]["remaining"], rate["resources"]["graphql"]["remaining"]) == (0, 5000)
    assert rest(replica, "/repos/no/such", authorization="token two").status == 404
    counted = replica.statistics()["services"]["github-rest"]
    assert (counted["points"], counted["limited"]) == (3, 1)
    replica.advance(3601)
    assert rest(replica, "/repos/no/such").status == 404


def test_anonymous_limit(replica: Handle) -> None:
    replica.services(github_anonymous_limit=1)
    assert [get(replica.url, "/github/repos/no/such").status for _ in range(2)] == [404, 403]


def test_requests_after_a_limit_are_counted(replica: Handle) -> None:
    """This is what tests of crawlers rely on: one that does not wait must be found out."""
    replica.services(github_rest_limit=1, speed=0)
    for _ in range(4):
        rest(replica, "/repos/no/such")
    rest(replica, "/repos/no/such", authorization="token two")
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 2
    replica.advance(3601)
    rest(replica, "/repos/no/such")
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 2
    replica.reset()
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 0


def test_reset_is_never_told_too_early(replica: Handle) -> None:
    """A client that waits until then must be let in: an hour passes in a second here."""
    replica.services(github_rest_limit=1, speed=3600)
    rest(replica, "/repos/no/such")
    reset = int(rest(replica, "/repos/no/such").headers["x-ratelimit-reset"])
    time.sleep(max(0.0, reset - time.time()))
    assert rest(replica, "/repos/no/such").status == 404
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 0


@pytest.mark.parametrize(
    ("form", "pattern"), [("seconds", r"30"), ("date", r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT"), ("none", "")]
)
def test_secondary_limit(replica: Handle, form: str, pattern: str) -> None:
    replica.services(secondary=1, secondary_status=429, retry_after=30, retry_after_form=form, speed=0)
    answer = rest(replica, "/repos/no/such")
    assert answer.status == 429
    assert re.fullmatch(pattern, answer.headers.get("Retry-After", ""))
    assert int(answer.headers["x-ratelimit-remaining"]) > 0
    assert rest(replica, "/repos/no/such").status == 429
    replica.advance(30)
    assert rest(replica, "/repos/no/such").status == 404
    assert replica.statistics()["services"]["github-rest"]["after_limit"] == 1


def test_requests_of_a_minute(replica: Handle) -> None:
    replica.services(github_rest_minute=2, speed=0)
    assert [rest(replica, "/repos/no/such").status for _ in range(3)] == [404, 404, 403]
    replica.advance(61)
    assert rest(replica, "/repos/no/such").status == 404


def test_fault_plan(replica: Handle) -> None:
    name = some_repository(replica).full_name
    replica.faults(
        [
            {"match": f"/github/repos/{name}", "fault": "status-502", "times": 1},
            {"match": "/github/*", "fault": "status-403", "retry_after": "60", "times": 1},
        ]
    )
    answers = [rest(replica, f"/repos/{name}") for _ in range(3)]
    assert [one.status for one in answers] == [502, 403, 200]
    assert json.loads(answers[0].body) == {"error": "Server Error"}
    report = replica.statistics()
    assert report["services"]["github-rest"]["after_limit"] == 1
    assert report["requests"] == {"github-rest": 3}


def test_extra_repositories(replica: Handle) -> None:
    replica.services(extra_repositories=20)
    assert shown(replica, "load-20/repo-20")["full_name"] == "load-20/repo-20"
    assert rest(replica, "/repos/load-21/repo-21").status == 404
    assert rest(replica, "/repos/load-2/repo-3").status == 404


def test_monorepos_are_shared_and_change_nothing_else() -> None:
    with running_replica(Options(projects=200, monorepos=0.3)) as handle:
        world = handle.replica
        plain = Replica(Options(projects=200))
        counts = Counter(project.repository for project, _ in pairs(handle))
        [(shared, count)] = counts.most_common(1)
        assert count >= 3
        assert get(handle.url, f"/github/repos/{shared}").status == 200
        repository = world.repositories.find(shared)
        assert repository is not None
        for name in world.names():
            project, same = world.project(name), plain.project(name)
            assert project is not None
            assert same is not None
            assert project.releases == same.releases
            if project.repository == shared:
                text = world.repositories.text(repository, f"packages/{project.name}/pyproject.toml")
                assert f'name = "{project.name}"' in (text or "")


def test_requests_under_way_are_no_violation(replica: Handle) -> None:
    replica.services(github_rest_limit=1, grace=5)
    threads = [threading.Thread(target=rest, args=(replica, "/repos/no/such")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = replica.statistics()["services"]["github-rest"]
    assert (counted["limited"], counted["after_limit"]) == (7, 0)


def test_wrong_options(replica: Handle) -> None:
    with pytest.raises(ReplicaError, match="speed=-1"):
        replica.services(speed=-1)
    with pytest.raises(ReplicaError, match="unknown field `sped`"):
        replica.services(sped=1)
    with pytest.raises(ReplicaError, match="unknown option 'sped'; known: speed, "):
        service_options(["sped=1"])
    with pytest.raises(ReplicaError, match="Invalid enum value 404"):
        service_options(["limit_status=404"])
    assert service_options(["limit_status=429", "speed=2.5", "pypistats_limits=false"]) == ServiceOptions(
        limit_status=429, speed=2.5, pypistats_limits=False
    )
