"""What went wrong in one run must neither hang it, nor look done, nor be forgotten by the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.documents import documents
from pyf_scrapy.spiders.base import SUSPICIOUS_AFTER
from pyf_scrapy.store import Store, journal
from tests.crawling import Crawled, Place, true_documents

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=60, members={"plone": 8}, only_members=True, most_releases=4, empty=0)
PATIENCE = 30.0  # seconds; a crawl here takes one


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


async def crawl(place: Place, **arguments: Any) -> Crawled:
    return await asyncio.wait_for(place.crawl("pypi", **({"profile": "plone"} | arguments)), PATIENCE)


def lose_the_index(place: Place) -> None:
    with place.connection() as connection:
        connection.client.api_call.delete("/collections/plone-1", dict)


async def test_a_crawl_ends_while_stored_packages_are_on_their_way(place: Place, replica: Handle) -> None:
    await crawl(place)
    lose_the_index(place)
    replica.faults([{"match": "/simple/", "fault": "status-500"}])
    settings = {"TYPESENSE_BATCH_LINGER": 1.0, "PYPI_MAX_RETRIES": 0}
    ended = await crawl(place, settings=settings)
    assert (ended.outcome.exit_code, ended.outcome.reason) == (1, "failed")
    replica.faults([])
    assert (await crawl(place)).outcome.exit_code == 0
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_an_unforeseen_error_names_its_package_and_is_no_success(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky = replica.replica.members(PLONE)[0]

    def broken(item: Any, *arguments: Any, **options: Any) -> Any:
        if item.normalized_name == unlucky:
            raise ValueError("nobody foresaw this")
        return documents(item, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("pyf_scrapy.pipelines.duplicates.documents", broken)
        crawled = await crawl(place)
    assert (crawled.outcome.exit_code, crawled.figures["failed"], crawled.figures["waiting"]) == (3, 1, 1)
    with place.store() as store:
        assert [(f.normalized_name, f.stage) for f in store.failures()] == [(unlucky, "pipeline")]
    healed = await crawl(place)
    assert (healed.outcome.exit_code, healed.figures["passed_on"]) == (0, 1)
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    with place.store() as store:
        assert store.failures() == []


async def test_names_do_not_take_over_the_collection_of_a_profile(place: Place, replica: Handle) -> None:
    await crawl(place)
    before = place.documents("plone")
    some = replica.replica.members(PLONE)[0]
    taken = await asyncio.to_thread(
        place.run, "crawl", "project", "-a", f"names={some}", "-a", "collection=plone", "-L", "ERROR"
    )
    assert (taken.returncode, "belongs to the profile plone" in taken.stderr) == (2, True)
    assert taken.stderr.count("\n") == 1
    assert place.documents("plone") == before


async def test_a_package_that_lost_its_releases_leaves_every_collection(
    place: Place, replica: Handle
) -> None:
    await crawl(place)
    await place.crawl("pypi", classifier=PLONE, collection="other")
    name = replica.replica.members(PLONE)[0]
    project = replica.replica.project(name)
    assert project is not None
    for release in project.releases:
        replica.event({"event": "delete-release", "project": name, "version": release.version})
    await crawl(place)
    await place.crawl("pypi", classifier=PLONE, collection="other")
    for collection in ("plone", "other"):
        assert not [id_ for id_ in place.documents(collection) if id_.startswith(f"{name}==")]
    quiet = await crawl(place)
    assert quiet.outcome.headline.startswith("Nothing to do")


async def test_an_answer_older_than_the_store_takes_nothing_away(place: Place, replica: Handle) -> None:
    outsider = next(name for name in replica.replica.names() if name not in replica.replica.members(PLONE))
    replica.event({"event": "reclassify", "project": outsider, "classifiers": [PLONE]})
    await crawl(place)
    held = place.documents("plone")
    assert any(id_.startswith(f"{outsider}==") for id_ in held)
    replica.faults([{"match": outsider, "fault": "stale"}])
    again = await crawl(place, full="1")
    assert again.figures["stale"] > 0
    assert place.documents("plone") == held


async def test_full_is_full_though_the_index_is_read_again(place: Place, replica: Handle) -> None:
    await crawl(place)
    again = await crawl(place, full="1", settings={"INDEX_REFRESH": 0.05, "DOWNLOAD_DELAY": 0.005})
    assert again.stats["pyf/index/read"] > 1
    assert again.figures["fetched"] == 60


async def test_an_index_that_fails_later_does_not_end_the_crawl(place: Place, replica: Handle) -> None:
    replica.faults([{"match": "/pypi/*", "fault": "slow", "delay": 0.01}])
    crawling = asyncio.create_task(
        crawl(place, settings={"INDEX_REFRESH": 0.3, "DOWNLOAD_DELAY": 0.02, "PYPI_MAX_RETRIES": 0})
    )
    while (await asyncio.to_thread(replica.statistics))["total"] < 3:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(replica.faults, [{"match": "/simple/", "fault": "status-500"}])
    crawled = await crawling
    assert (crawled.outcome.exit_code, crawled.figures["fetched"]) == (0, 60)


async def test_a_readme_that_failed_is_tried_again_when_its_time_has_come(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_FIRST_DELAY", 0)
    failed = await crawl(place, settings={"RENDER_TIMEOUT": 0.0001})
    assert failed.outcome.exit_code == 3
    healed = await crawl(place)
    assert healed.outcome.exit_code == 0
    assert any(document.get("description") for document in place.documents("plone").values())
    with place.store() as store:
        assert store.failures() == []


async def test_nothing_more_is_asked_once_the_source_is_down(place: Place, replica: Handle) -> None:
    replica.faults([{"match": "/pypi/*", "fault": "status-503", "retry_after": 600}])
    settings = {"BACKOFF_MAX_DELAY": 0.01, "BACKOFF_THROTTLED_RETRIES": 0, "PYPI_CONCURRENCY": 4}
    down = await crawl(place, settings=settings)
    assert (down.outcome.exit_code, down.outcome.reason) == (1, "source_down")
    assert replica.statistics()["requests"]["project"] <= SUSPICIOUS_AFTER + 8


async def test_an_empty_index_is_no_index(place: Place, replica: Handle) -> None:
    with running_replica(Options(projects=1, members={}, only_members=True)) as other:
        name = other.replica.names()[0]
        other.event({"event": "delete-project", "project": name})
        emptied = Place(place.folder, other.url, place.server)
        assert (await crawl(emptied)).outcome.exit_code == 1


@pytest.mark.parametrize(
    "method", ["save_packages", "record_checks", "begin_index", "finish_index", "indexed"]
)
async def test_a_store_that_fails_is_one_line_and_the_next_run_goes_on(
    place: Place,
    replica: Handle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    def full(*arguments: Any, **options: Any) -> Any:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched, caplog.at_level("ERROR"):
        patched.setattr(Store, method, full)
        ended = await crawl(place)
    assert (ended.outcome.exit_code, ended.outcome.reason) == (1, "store_failed")
    assert [record.getMessage() for record in caplog.records] == ["the disk is full"]
    healed = await crawl(place)
    assert healed.outcome.exit_code == 0
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_a_pypi_that_answers_for_nothing_it_is_asked_is_named(place: Place) -> None:
    silent = Place(place.folder, "http://127.0.0.1:9", place.server, {"PYPI_MAX_RETRIES": 0})
    ended = await silent.crawl("project", names="one,two", collection="stack")
    assert ended.outcome.exit_code == 1
