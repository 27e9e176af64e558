"""Names of the queue: asked about first and whatever their serial, and none is lost, however a run ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.schema import schema
from tests.crawling import Crawled, Place, true_documents

PLONE = "Framework :: Plone"
SMALL = Options(projects=40, members={"plone": 6}, only_members=True, most_releases=3, empty=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


def add(place: Place, *names: str) -> None:
    """One after the other, a second apart."""
    with place.store() as store:
        for number, name in enumerate(names):
            store.enqueue([name], 1_000 + number, "queue add")


def waiting(place: Place) -> list[str]:
    with place.store() as store:
        return [row.normalized_name for row in store.queued()]


def failures(place: Place) -> dict[str, str]:
    with place.store() as store:
        return {row.normalized_name: row.reason for row in store.failures()}


def asked(replica: Handle, names: Iterable[str]) -> dict[str, int]:
    """How often each project's JSON was asked for since the last look."""
    paths = replica.statistics(paths=True)["paths"]
    replica.reset()
    return {name: paths.get(f"/pypi/{name}/json", 0) for name in names}


async def crawl(place: Place, replica: Handle, **arguments: str) -> Crawled:
    return await place.crawl("pypi", profile="plone", settings={"PYPI_MAX_RETRIES": 0}, **arguments)


def of_no_profile(replica: Handle) -> list[str]:
    members = set(replica.replica.members(PLONE))
    return [name for name in replica.replica.names() if name not in members]


async def test_what_is_up_to_date_is_asked_again_because_somebody_said_so(
    place: Place, replica: Handle
) -> None:
    await crawl(place, replica)
    member, other = replica.replica.members(PLONE)[0], of_no_profile(replica)[0]
    add(place, member, other)
    replica.reset()
    crawled = await crawl(place, replica)
    assert (crawled.outcome.exit_code, crawled.figures["fetched"], crawled.figures["queued"]) == (0, 2, 2)
    assert asked(replica, [member, other]) == {member: 1, other: 1}
    assert waiting(place) == []
    assert (await crawl(place, replica)).outcome.headline.startswith("Nothing to do")


async def test_queued_names_come_before_all_others_the_oldest_first(place: Place, replica: Handle) -> None:
    *_, last, first = of_no_profile(replica)
    add(place, first, last)
    crawled = await crawl(place, replica, limit="1")
    assert crawled.figures["fetched"] == 1
    assert waiting(place) == [last]
    assert crawled.stats["pyf/projects/to_check"] == 1
    await crawl(place, replica, limit="2")
    assert waiting(place) == []


async def test_each_is_asked_about_once_though_it_differs_as_well(place: Place, replica: Handle) -> None:
    names = [*replica.replica.members(PLONE)[:2], *of_no_profile(replica)[:2]]
    add(place, *names)
    crawled = await crawl(place, replica)
    assert crawled.figures["fetched"] == crawled.figures["to_check"] == SMALL.projects
    assert asked(replica, names) == dict.fromkeys(names, 1)
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    assert waiting(place) == []


async def test_what_the_index_does_not_list_yet_is_found(place: Place, replica: Handle) -> None:
    """A project of a minute ago: PyPI's caches keep the index for half an hour."""
    await crawl(place, replica)
    replica.event({"event": "create", "project": "fresh.plone", "version": "1.0", "classifiers": [PLONE]})
    replica.faults([{"match": "/simple/", "fault": "stale"}])
    add(place, "fresh-plone")
    crawled = await crawl(place, replica)
    assert crawled.figures["queued"] == 1
    assert "fresh-plone==1.0" in place.documents("plone")
    assert waiting(place) == []


async def test_a_name_that_nobody_has_is_a_failure(place: Place, replica: Handle) -> None:
    add(place, "no-such-project")
    crawled = await crawl(place, replica)
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, 1)
    assert failures(place) == {"no-such-project": "HTTP 404: PyPI has no such project"}
    assert waiting(place) == []


async def test_a_package_that_is_gone_leaves_index_and_queue(place: Place, replica: Handle) -> None:
    await crawl(place, replica)
    gone = replica.replica.members(PLONE)[0]
    replica.event({"event": "delete-project", "project": gone})
    add(place, gone)
    crawled = await crawl(place, replica)
    assert (crawled.outcome.exit_code, crawled.figures["vanished"]) == (0, 1)
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    assert waiting(place) == []


async def test_a_name_without_a_usable_answer_goes_on_waiting(place: Place, replica: Handle) -> None:
    """It has nowhere else to wait: its serial may be the stored one, or the index may not list it."""
    replica.event({"event": "create", "project": "unlisted", "version": "1.0", "classifiers": [PLONE]})
    replica.event({"event": "delete-project", "project": "unlisted"})
    await crawl(place, replica)
    odd, down, well, garbage = of_no_profile(replica)[:4]
    broken = [garbage, odd, down, "unlisted"]
    add(place, *broken, well)
    faults = {garbage: "garbage", odd: "status-403", down: "status-500", "unlisted": "garbage"}
    replica.faults([{"match": f"/pypi/{name}/json", "fault": fault} for name, fault in faults.items()])
    await crawl(place, replica)
    assert failures(place).keys() == faults.keys()
    assert waiting(place) == broken
    replica.faults([])
    add(place, well)
    await crawl(place, replica, limit="2")
    assert waiting(place) == [garbage, odd, down], "the unlisted is not there, and what failed is the last"
    assert (await crawl(place, replica)).outcome.exit_code == 0
    assert waiting(place) == []
    assert (await crawl(place, replica)).outcome.headline.startswith("Nothing to do")


async def test_what_failed_elsewhere_is_asked_again_by_the_next_run(place: Place, replica: Handle) -> None:
    """Though its serial is the stored one: `scrapy status` says so."""
    await crawl(place, replica)
    name = of_no_profile(replica)[0]
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "garbage"}])
    await place.crawl("project", profile="plone", names=name)
    assert failures(place).keys() == {name}
    replica.faults([])
    assert (await crawl(place, replica)).figures["fetched"] == 1
    assert failures(place) == {}


async def test_rejected_documents_are_a_failure(place: Place, replica: Handle) -> None:
    refusing = schema("plone-1")
    for field in refusing["fields"]:
        if field["name"] == "summary":
            field["type"] = "int64"
    with place.connection() as connection:
        connection.client.api_call.post("/collections", dict, body=refusing)
        connection.client.api_call.put("/aliases/plone", dict, body={"collection_name": "plone-1"})
    rejected = replica.replica.members(PLONE)[0]
    add(place, rejected)
    await crawl(place, replica)
    assert rejected in failures(place)
    assert waiting(place) == []


async def test_a_package_that_no_pipeline_can_take_is_a_failure(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be asked about first in every run, for ever."""
    broken = replica.replica.members(PLONE)[0]
    add(place, broken)
    monkeypatch.setattr("pyf_scrapy.pipelines.versions.version_fields", _broken)
    await crawl(place, replica, limit="1")
    assert "nobody foresaw" in failures(place)[broken]
    assert waiting(place) == []


def _broken(version: str, *, yanked: bool) -> None:
    raise ValueError("nobody foresaw this")


async def test_names_that_this_run_leaves_out_go_on_waiting(place: Place, replica: Handle) -> None:
    one, other = of_no_profile(replica)[:2]
    add(place, one, other)
    await crawl(place, replica, name=one)
    assert waiting(place) == [other]


async def test_the_spider_project_takes_its_names_out_as_well(place: Place, replica: Handle) -> None:
    one, other = of_no_profile(replica)[:2]
    add(place, one, other)
    crawled = await place.crawl("project", names=f"{one},{replica.replica.members(PLONE)[0]}", collection="x")
    assert (crawled.outcome.exit_code, crawled.figures["queued"]) == (0, 1)
    assert waiting(place) == [other]


async def test_a_run_that_is_stopped_loses_no_name(place: Place, replica: Handle) -> None:
    """Each name is either dealt with or still waits."""
    names = of_no_profile(replica)[:10]
    add(place, *names)
    crawled = await place.crawl(
        "pypi", profile="plone", settings={"CLOSESPIDER_ITEMCOUNT": 1, "PYPI_CONCURRENCY": 1}
    )
    assert crawled.outcome.reason == "closespider_itemcount"
    left = set(waiting(place))
    with place.store() as store:
        dealt_with = {name for name in names if store.project(name) is not None}
    assert left | dealt_with == set(names)
    await crawl(place, replica)
    assert waiting(place) == []


async def test_a_killed_run_loses_no_name(place: Place, replica: Handle) -> None:
    await crawl(place, replica)
    name = replica.replica.members(PLONE)[0]
    add(place, name)
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "slow", "delay": 60}])
    replica.reset()
    with place.popen("crawl", "pypi", "-p", "plone") as process:
        deadline = time.monotonic() + 120
        while not asked(replica, [name])[name]:
            assert process.poll() is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.communicate)
    assert waiting(place) == [name]
    replica.faults([])
    replica.reset()
    await crawl(place, replica)
    assert asked(replica, [name]) == {name: 1}
    assert waiting(place) == []


async def test_a_long_crawl_takes_what_is_queued_meanwhile(place: Place, replica: Handle) -> None:
    """When it reads the index again: a full crawl of all of PyPI lasts two days."""
    first = of_no_profile(replica)[0]
    add(place, first)
    replica.faults([{"match": "*", "fault": "slow", "delay": 0.03}])
    settings = {"PYPI_CONCURRENCY": 1, "INDEX_REFRESH": 0.1}
    running = asyncio.create_task(place.crawl("pypi", profile="plone", settings=settings))
    deadline = time.monotonic() + 120
    while not (place.folder / "store.sqlite").exists() or waiting(place):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    add(place, first)
    await running
    assert waiting(place) == []
    assert asked(replica, [first]) == {first: 2}
