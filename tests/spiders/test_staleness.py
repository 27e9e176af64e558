"""PyPI's caches may answer with what was true a day ago: nothing of that may be taken for the present."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.spiders import base
from tests.crawling import Place, true_documents

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=60, members={"plone": 8}, only_members=True, most_releases=4, empty=0, missing=0)
PATIENT = {"STALE_PATIENCE": 300}


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def is_true(place: Place, replica: Handle) -> bool:
    return set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def publish(place: Place, replica: Handle) -> str:
    """Crawl, then publish a release of some member; returns its name."""
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    return name


async def test_a_stale_answer_is_asked_for_again_in_the_same_run(place: Place, replica: Handle) -> None:
    name = await publish(place, replica)
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "stale", "times": 1}])
    replica.reset()
    crawled = await place.crawl("pypi", profile="plone", settings={"STALE_PATIENCE": 0.05})
    assert (crawled.outcome.exit_code, crawled.figures["stale"]) == (0, 1)
    assert replica.statistics(paths=True)["paths"][f"/pypi/{name}/json"] == 2
    assert is_true(place, replica)
    with place.store() as store:
        assert store.failures() == []


async def test_what_stays_stale_is_read_the_other_way_round_the_cache(place: Place, replica: Handle) -> None:
    name = await publish(place, replica)
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "stale"}])
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["way_round"]) == (0, 1)
    around = place.documents("plone")
    assert is_true(place, replica)
    replica.faults([])
    await place.crawl("pypi", profile="plone", full="1")
    assert place.documents("plone") == around, "both ways lead to the same documents"


async def test_a_yank_is_seen_through_the_page_when_the_json_is_stale(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    members = (replica.replica.project(name) for name in replica.replica.members(PLONE))
    project = next(project for project in members if project and len(project.releases) > 1)
    latest = project.latest
    assert latest is not None
    replica.event({"event": "yank", "project": project.name, "version": latest.version, "reason": "broken"})
    replica.faults([{"match": f"/pypi/{project.normalized_name}/json", "fault": "stale"}])
    await place.crawl("pypi", profile="plone")
    document = place.documents("plone")[f"{project.normalized_name}=={latest.version}"]
    assert (document["yanked"], document["yanked_reason"], document["is_latest"]) == (True, "broken", False)


async def test_a_stuck_project_delays_nobody_and_is_listed(place: Place, replica: Handle) -> None:
    """Always stale, whichever way it is asked: the others are indexed, and it is known by name."""
    name = await publish(place, replica)
    others = replica.replica.members(PLONE)[1:]
    for other in others:
        replica.event({"event": "release", "project": other})
    replica.faults([{"match": name, "fault": "stale"}])
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 3
    assert true_documents(replica.replica, PLONE) - set(place.documents("plone")) == {
        f"{name}=={replica.replica.project(name).latest.version}"  # type: ignore[union-attr]
    }
    with place.store() as store:
        (failure,) = store.failures()
        assert (failure.normalized_name, failure.stage) == (name, "stale")
    # The next run does not wait for it again, but asks; and takes it when PyPI is itself again.
    await place.crawl("pypi", profile="plone", settings=PATIENT)
    replica.faults([])
    healed = await place.crawl("pypi", profile="plone", settings=PATIENT)
    assert healed.outcome.exit_code == 0
    assert is_true(place, replica)
    with place.store() as store:
        assert store.failures() == []


async def test_other_packages_are_done_while_a_stale_one_waits(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head-of-line blocking is what stops mirrors for a week."""
    monkeypatch.setattr(base, "retry_delay", lambda attempt, patience: 4.0)
    name = replica.replica.members(PLONE)[0]
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "stale", "times": 1}])
    crawled = await place.crawl("pypi", profile="plone")
    done = [item.normalized_name for item in crawled.items]
    assert set(done[:-1]) >= set(replica.replica.members(PLONE)) - {name}
    assert done[-1] == name


async def test_an_older_index_is_refused(place: Place, replica: Handle) -> None:
    name = await publish(place, replica)
    await place.crawl("pypi", profile="plone")
    replica.faults([{"match": "/simple/", "fault": "stale", "serial_lag": 30}])
    replica.event({"event": "release", "project": name})
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["index_refused"], crawled.figures["fetched"]) == (
        0,
        1,
        0,
    )
    replica.faults([])
    await place.crawl("pypi", profile="plone")
    assert is_true(place, replica)


async def test_a_killed_run_never_loses_its_work_list(place: Place, replica: Handle) -> None:
    """The index is kept before the work begins, so a 304 means that list, not "nothing to do"."""
    await publish(place, replica)
    limited = await place.crawl("pypi", profile="plone", name="no-such-name")
    assert limited.figures["fetched"] == 0
    replica.reset()
    crawled = await place.crawl("pypi", profile="plone")
    assert replica.statistics()["statuses"]["304"] == 1
    assert crawled.figures["fetched"] == 1
    assert is_true(place, replica)
