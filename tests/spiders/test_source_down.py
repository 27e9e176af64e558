"""Is PyPI down, or are packages broken that stand side by side? Told wrongly, all others are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scrapy.crawler import AsyncCrawlerRunner

from pyf_scrapy.extensions.report import RunReport
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.base import PackageSpider
from tests.crawling import Place

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=110, members={"plone": 100}, only_members=True, most_releases=2, empty=0)
AT_ONCE = {"PYPI_MAX_RETRIES": 0}


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
async def filled(tmp_path: Path, replica: Handle, empty_index: Server) -> Place:
    """A place that has everything."""
    place = Place(tmp_path / "data", replica.url, empty_index)
    await place.crawl("pypi", profile="plone")
    return place


def members(replica: Handle) -> list[str]:
    return replica.replica.members(PLONE)


def release(replica: Handle, names: list[str]) -> None:
    for name in names:
        replica.event({"event": "release", "project": name})


def break_(replica: Handle, names: list[str]) -> None:
    replica.faults([{"match": name, "fault": "status-500"} for name in names])


def indexed(place: Place, replica: Handle) -> set[str]:
    """The members of which the store has seen the last change."""
    with place.store() as store:
        seen = dict(store.iter_serials())
    projects = {name: replica.replica.project(name) for name in members(replica)}
    return {name for name, project in projects.items() if project and seen[name] == project.serial}


def late(work: Callable[[PackageSpider], str | None]) -> Callable[[PackageSpider], str | None]:
    def after_a_moment(spider: PackageSpider) -> str | None:
        time.sleep(0.5)
        return work(spider)

    return after_a_moment


async def test_a_pypi_that_is_down_is_one_event_and_deletes_nothing(
    filled: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it asked for all the rest while it is found out, however long that takes."""
    monkeypatch.setattr(PackageSpider, "_well_in_store", late(PackageSpider._well_in_store))
    before = filled.documents("plone")
    replica.faults([{"match": "/pypi/*", "fault": "status-503"}])
    crawled = await filled.crawl("pypi", profile="plone", full="1", settings=AT_ONCE)
    assert crawled.outcome.exit_code == 1
    assert crawled.outcome.reason == "source_down"
    assert crawled.figures["fetched"] < 60  # of 110: 20 until it is suspected, and what was under way then
    replica.faults([{"match": "/simple/", "fault": "status-503"}])
    crawled = await filled.crawl("pypi", profile="plone", settings=AT_ONCE)
    assert crawled.outcome.exit_code == 1
    assert filled.documents("plone") == before


async def test_broken_projects_side_by_side_hold_up_nobody(filled: Place, replica: Handle) -> None:
    """Twenty in a row looked like a PyPI that is down, in every run: all behind them were never reached."""
    broken, well = members(replica)[:30], members(replica)[35:]
    release(replica, [*broken, *well])
    break_(replica, broken)
    crawled = await filled.crawl("pypi", profile="plone", settings=AT_ONCE)
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, 30)
    assert indexed(filled, replica) == {*members(replica)[30:]}


@pytest.mark.parametrize("is_gone", [True, False], ids=["deleted", "without releases"])
async def test_that_a_package_is_gone_is_an_answer_of_a_pypi_that_is_well(
    filled: Place, replica: Handle, is_gone: bool
) -> None:
    """The last package with an answer was one that is gone, and is asked about again."""
    first, broken, well = members(replica)[0], members(replica)[1:41], members(replica)[45:]
    release(replica, [*broken, *well])
    if is_gone:
        replica.event({"event": "delete-project", "project": first})
    else:
        project = replica.replica.project(first)
        assert project is not None
        for version in [release.version for release in project.releases]:
            replica.event({"event": "delete-release", "project": first, "version": version})
    break_(replica, broken)
    crawled = await filled.crawl("pypi", profile="plone", settings=AT_ONCE)
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, 40)
    assert set(well) <= indexed(filled, replica)


async def test_an_answer_while_it_is_found_out_tells_more_than_the_package_that_is_asked_about(
    filled: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one has broken just now, too."""
    broken, slow, unchanged = members(replica)[:20], members(replica)[20:26], members(replica)[40]
    release(replica, [name for name in members(replica) if name != unchanged])
    faults = [{"match": name, "fault": "status-500"} for name in (*broken, unchanged)]
    replica.faults([*faults, *({"match": name, "fault": "slow", "delay": 1} for name in slow)])
    project = PackageSpider._still_answers

    async def after_all_that_is_under_way(spider: PackageSpider) -> bool:
        while spider._fruitless >= len(broken):
            await asyncio.sleep(0.01)
        spider.well = unchanged
        return await project(spider)

    monkeypatch.setattr(PackageSpider, "_still_answers", after_all_that_is_under_way)
    crawled = await filled.crawl("pypi", profile="plone", settings=AT_ONCE)
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, 20)


@pytest.mark.parametrize(
    ("spider", "arguments"), [("pypi", {"full": "1"}), ("project", {"refresh": "1"})], ids=["pypi", "refresh"]
)
async def test_who_stops_a_crawl_while_it_is_found_out_is_told_of_no_error(
    filled: Place,
    replica: Handle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spider: str,
    arguments: dict[str, str],
) -> None:
    """The crawl itself gives up the question then."""
    runner = AsyncCrawlerRunner(filled.settings(**AT_ONCE))
    crawler = runner.create_crawler(spider)
    loop = asyncio.get_running_loop()

    def stop(asking: PackageSpider) -> str:
        asyncio.run_coroutine_threadsafe(crawler.stop_async(), loop)
        while not asking.stopping:
            time.sleep(0.01)
        return members(replica)[-1]

    monkeypatch.setattr(PackageSpider, "_well_in_store", stop)
    replica.faults([{"match": "/pypi/*", "fault": "status-500"}])
    await runner.crawl(crawler, profile="plone", **arguments)
    report = crawler.get_extension(RunReport)
    assert report is not None
    assert report.outcome is not None
    assert report.outcome.reason == "shutdown"
    assert "does not answer" not in caplog.text
