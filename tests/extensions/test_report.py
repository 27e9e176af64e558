"""Each run leaves a report, however it ended: it is what is left to look at when nobody was there."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy import __version__
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.session import run_lock
from pyf_scrapy.store import Check
from tests.crawling import Place

PLONE = "Framework :: Plone"
SMALL = Options(projects=30, members={"plone": 5}, only_members=True, most_releases=3, missing=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


def reports(place: Place) -> list[dict[str, Any]]:
    """All reports, the oldest first."""
    paths = sorted((place.folder / "runs").glob("*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    return [json.loads(path.read_text()) for path in paths]


async def test_a_report_says_what_the_run_came_to(place: Place, replica: Handle) -> None:
    failing = replica.replica.members(PLONE)[0]
    replica.faults([{"match": failing, "fault": "garbage"}])
    crawled = await place.crawl("pypi", profile="plone")
    (report,) = reports(place)
    host = place.pypi_url.removeprefix("http://")
    with place.store() as store:
        (run,) = store.runs()
    assert (report["run"], report["spider"], report["arguments"]) == (run.id, "pypi", {"profile": "plone"})
    assert (report["profiles"], report["collections"]) == (["plone"], ["plone"])
    assert (report["started_at"], report["version"]) == (run.started_at, __version__)
    assert (report["reason"], report["exit_code"], report["problem"]) == ("finished", 3, None)
    assert report["headline"] == crawled.outcome.headline
    assert report["figures"] == crawled.figures
    traffic = crawled.outcome.hosts[host]
    assert report["hosts"] == {host: {"not_modified": 0, **traffic, "statuses": {"200": traffic["answers"]}}}
    assert report["failures"]["total"] == 1
    (failure,) = report["failures"]["first"]
    assert (failure["name"], failure["stage"]) == (failing, "project")
    assert failure["reason"].startswith("project JSON: ")
    assert report["lags"]["index"] <= time.time() - run.started_at + 1
    assert (report["lags"]["feeds"], report["lags"]["never_verified"]) == (None, SMALL.members["plone"] - 1)
    assert run.stats is not None
    assert run.stats["profiles"] == ["plone"]


async def test_a_run_that_is_stopped_leaves_one_as_well(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone", settings={"CLOSESPIDER_ITEMCOUNT": 1})
    (report,) = reports(place)
    assert (report["reason"], report["exit_code"]) == ("closespider_itemcount", 1)
    assert report["headline"].startswith("Stopped by a limit")


async def test_a_run_that_could_not_open_what_it_needs_leaves_one(tmp_path: Path) -> None:
    """Without a search server it is in the list of runs, too; without its store there is no list."""
    place = Place(tmp_path, "http://127.0.0.1:9", Server("127.0.0.1", 9, "http", "key"))
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 1
    with place.store() as store:
        (run,) = store.runs()
        store.record_checks([Check("a", "a", 1, ())])
    place.pypi_url = "http://127.0.0.1:10"
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 2
    other, one = reports(place)
    assert (one["run"], one["reason"], one["exit_code"]) == (run.id, "failed", 1)
    assert (run.reason, run.exit_code) == ("failed", 1)
    assert "cannot be reached" in one["problem"]
    assert (other["run"], other["reason"], other["exit_code"]) == (None, "failed", 2)
    assert "holds the facts of" in other["problem"]
    assert (one["lags"], other["lags"]) == (None, None)


async def test_the_newest_are_kept_and_none_at_all_when_that_is_wished(place: Place, replica: Handle) -> None:
    for _ in range(3):
        await place.crawl("pypi", profile="plone", settings={"RUNS_KEPT": 2})
    assert [report["run"] for report in reports(place)] == [2, 3]
    await place.crawl("pypi", profile="plone", settings={"RUNS_KEPT": 0})
    assert [report["run"] for report in reports(place)] == [2, 3]


async def test_a_store_that_cannot_be_opened_does_not_let_reports_pile_up(
    place: Place, replica: Handle
) -> None:
    """Cron tries each minute."""
    await place.crawl("pypi", profile="plone")
    for number in range(3):
        (place.folder / "runs" / f"20200101T00000{number}Z-pypi-0.json").write_text("{}")
    settings = {"RUNS_KEPT": 2, "PYPI_URL": "http://127.0.0.1:9"}
    crawled = await place.crawl("pypi", profile="plone", settings=settings)
    assert crawled.outcome.exit_code == 2
    assert len(reports(place)) == 2
    assert all("spider" in report for report in reports(place)), "the newest are kept"


async def test_a_file_name_that_is_no_text_is_reported(place: Place, replica: Handle, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.txt")
    path.write_text(replica.replica.members(PLONE)[0])
    crawled = await place.crawl("project", requirements=str(path), collection="mine")
    assert crawled.outcome.exit_code == 0
    (report,) = reports(place)
    assert report["arguments"]["requirements"] == f"{tmp_path}/?.txt"


async def test_what_nobody_foresaw_in_a_report_costs_no_result(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the outcome, by which the command exits, nor the end of the session."""
    monkeypatch.setattr("pyf_scrapy.store.run_reports.write_report", _broken)
    settings = {"RUN_REPORT_INTERVAL": 0.05, "CLOSESPIDER_TIMEOUT": 1}
    crawled = await place.crawl("rss", profile="plone", follow="30", settings=settings)
    assert crawled.outcome.reason == "closespider_timeout"
    with place.store() as store:
        (run,) = store.runs()
        assert run.reason == "closespider_timeout"
        lock = run_lock(store, "rss")
        assert lock.acquire(blocking=False), "the session is closed"
        lock.release()


def _broken(folder: Path, report: Any) -> None:
    raise ValueError("nobody foresaw this")


async def test_a_report_that_cannot_be_written_costs_a_line(
    place: Place, replica: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    place.folder.mkdir()
    (place.folder / "runs").write_text("a file")
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 0
    of_ours = [record for record in caplog.records if record.name.startswith("pyf_scrapy")]
    (line,) = [record.getMessage() for record in of_ours if record.levelname == "WARNING"]
    assert line.startswith("This run has no report: cannot write ")


async def test_who_follows_the_feeds_reports_now_and_then(place: Place, replica: Handle) -> None:
    """It has no end, and a kill must not leave nothing."""
    settings = {"RUN_REPORT_INTERVAL": 0.05, "CLOSESPIDER_TIMEOUT": 2}
    running = asyncio.create_task(place.crawl("rss", profile="plone", follow="30", settings=settings))
    deadline = time.monotonic() + 30
    while not (place.folder / "runs").exists() or not reports(place):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    (report,) = reports(place)
    assert (report["finished_at"], report["reason"], report["exit_code"]) == (None, None, None)
    assert report["headline"] == "Still running."
    await running
    (report,) = reports(place)
    assert report["finished_at"] is not None
    assert report["exit_code"] is not None


async def test_a_package_that_is_passed_on_and_fetched_counts_once(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    with place.store() as store:
        store.forget_indexed("plone", [name])
    replica.event({"event": "release", "project": name, "version": "99.0"})
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.figures["passed_on"], crawled.figures["fetched"]) == (1, 1)
    assert crawled.figures["packages_indexed"] == 1
