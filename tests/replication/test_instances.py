"""Two instances: one crawls, the other one copies it by HTTP and has an index of its own. What fails here
shows other packages at the second address than at the first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from scrapy import signals
from scrapy.cmdline import execute
from scrapy.crawler import AsyncCrawlerRunner

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.exceptions import SearchError, StoreError
from pyf_scrapy.extensions.report import RunReport
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.replication import lines as lines_module
from pyf_scrapy.replication import source as source_module
from pyf_scrapy.replication.lines import encode
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.replicate import ReplicateSpider
from tests.crawling import EmbeddedPlace, Place
from tests.replication.histories import PLONE, assert_same_facts, told
from tests.replication.instances import Breaking, served
from tests.soak import seed

OPTIONS = Options(projects=80, members={"plone": 24}, only_members=False, most_releases=3)
CLASSIFIER = "Framework :: Plone"


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def second(tmp_path: Path, replica: Handle, empty_index: Server) -> Place:
    """The second instance; its collection is on the same search server under another name."""
    return Place(tmp_path / "second", replica.url, empty_index)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "PAGE_LINES", 2)


async def replicate(place: Place, url: str, **arguments: str) -> Any:
    given: dict[str, Any] = {"profile": "plone", "collection": "copy"} | arguments
    return await place.crawl("replicate", url=url, **given)


def assert_equal(first: Place, second: Place, alias: str = "copy", *, whole: bool = False) -> None:
    with first.store() as store, second.store() as copy:
        assert_same_facts(copy, store, None if whole else PLONE)
        if whole:
            assert told(copy) == told(store)
    assert second.documents(alias) == first.documents("plone")


async def test_a_copy_that_is_cut_off_20_times_equals_the_first(
    place: Place, second: Place, replica: Handle
) -> None:
    """Bytes are cut anywhere, also inside of a page; PyPI is not asked."""
    await place.crawl("pypi", profile="plone")
    with served(place) as url:
        breaking = Breaking(url)
        with breaking.running() as through:
            replica.reset()
            breaking.cuts, breaking.after = 20, 1800
            while (crawled := await replicate(second, through, whole="1")).outcome.exit_code:
                assert breaking.cuts, "it goes on where it was, each time"
                breaking.after += 200  # its largest page
            assert (breaking.cuts, breaking.connections) == (0, 21), "not complete before"
            breaking.cuts, breaking.after = 10, 500
            lost = await replicate(second, through, whole="1", anew="1")
            assert lost.outcome.exit_code == ExitCode.FAILED, "nothing whole came in six answers"
            breaking.cuts = 0
            crawled = await replicate(second, through, whole="1")
        assert crawled.outcome.exit_code == ExitCode.OK
        assert replica.statistics()["requests"] == {}
    assert_equal(place, second, whole=True)


@pytest.mark.parametrize("hours", [3, pytest.param(24, marks=pytest.mark.soak)])
async def test_a_copy_stays_equal_through_a_day_of_events(
    place: Place, second: Place, replica: Handle, hours: int
) -> None:
    dice = Dice(seed(), "a day")
    await place.crawl("pypi", profile="plone")
    with served(place) as url:
        for hour in range(hours):
            assert (await replicate(second, url)).outcome.exit_code == ExitCode.OK
            assert_equal(place, second)
            replica.advance(3600)
            replica.busy(dice, 6, classifier=CLASSIFIER)
            await place.crawl("pypi", profile="plone")
            if hour % 3 == 1:
                await place.crawl("project", profile="plone", refresh="1")
        replica.reset()
        done = await replicate(second, url)
        assert done.outcome.exit_code == ExitCode.OK
        assert replica.statistics()["requests"] == {}
    assert_equal(place, second)
    if hours > 3:
        print(f"soak: {hours} hours of events, {len(second.documents('copy'))} documents equal after each")


async def test_a_rebuilt_source_is_refused_and_copied_anew_when_told_so(
    place: Place, second: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same address, but another store behind it."""
    await place.crawl("pypi", profile="plone")
    with served(place) as url:
        way = Breaking(url)
        with way.running() as through:
            assert (await replicate(second, through)).outcome.exit_code == ExitCode.OK
            place.folder.rename(tmp_path / "lost")
            await place.crawl("pypi", profile="plone")
            with served(place) as other:
                way.lead_to(other)
                refused = await replicate(second, through)
                assert refused.outcome.exit_code == ExitCode.FAILED
                assert "another store" in caplog.text
                assert f"scrapy replicate {through} --anew" in caplog.text
                assert (await replicate(second, through, anew="1")).outcome.exit_code == ExitCode.OK
    assert_equal(place, second)


async def test_a_profile_is_copied_by_its_key_whatever_its_collections_are_called(
    place: Place, second: Place
) -> None:
    """The copy's names of collections are its own affair, as those of the source are."""
    await place.crawl("pypi", profile="plone", collection="sources")
    with served(place) as url:
        assert httpx.get(f"{url}/p/sources/").status_code == 200
        assert (await replicate(second, url)).outcome.exit_code == ExitCode.OK
        by_collection = httpx.get(f"{url}/replicate", params={"profile": "sources"}).text.splitlines()
        assert json.loads(by_collection[0])["scope"] == ["sources"]
    with place.store() as store, second.store() as copy:
        assert_same_facts(copy, store, PLONE)
    assert second.documents("copy") == place.documents("sources")


async def test_a_package_that_is_too_large_is_a_failure_with_a_name(
    place: Place, second: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    with place.store() as store:
        sizes = {one.normalized_name: len(encode(one)) for one in store.copied(store.members(PLONE))}
    largest = max(sizes, key=lambda name: sizes[name])
    monkeypatch.setattr(lines_module, "MAX_LINE", sizes[largest] - 2)
    with served(place) as url:
        crawled = await replicate(second, url)
    assert crawled.outcome.exit_code == ExitCode.SOME_FAILED
    assert crawled.outcome.figures["failed"] == 1
    with second.store() as copy:
        (failure,) = copy.failures()
        assert (failure.normalized_name, failure.stage) == (largest, "replicate")
        assert set(copy.members(PLONE)) == sizes.keys() - {largest}


async def test_a_store_that_is_a_copy_is_not_crawled(
    place: Place, second: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it has facts that its source has not; its own scores may grow older."""
    await place.crawl("pypi", profile="plone", limit="20")
    with served(place) as url:
        await replicate(second, url)
        refused = await second.crawl("pypi", profile="plone", collection="copy")
        assert refused.outcome.exit_code == ExitCode.USAGE
        assert f"scrapy replicate {url}" in caplog.text
        assert (await second.crawl("health", profile="plone", collection="copy")).outcome.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which source?"),
        (["ftp://x"], "not the address of a source"),
        (["http://user:secret@x"], "not the address of a source"),
        (["http://x:99999"], "not the address of a source"),
        (["http://x", "http://y"], "unknown argument"),
        (["http://x", "--follow", "often"], "follow='often'"),
        (["http://x", "--nonsense"], "unknown option"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    second: Place, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    command = ["scrapy", "replicate", *arguments, "-p", "plone"]
    with pytest.raises(SystemExit) as ended:
        execute(command, settings=second.settings())
    output, errors = capsys.readouterr()
    assert ended.value.code == ExitCode.USAGE
    assert message in errors
    assert (errors.count("\n"), output) == (1, "")
    assert not second.folder.exists(), "nothing is begun"


async def test_a_source_that_is_not_there_is_one_line(
    second: Place, caplog: pytest.LogCaptureFixture
) -> None:
    gone = await replicate(second, "http://127.0.0.1:1")
    assert gone.outcome.exit_code == ExitCode.FAILED
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "127.0.0.1:1" in errors[0]


async def test_following_outlives_a_source_that_is_gone_for_a_while(
    place: Place, second: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """And judges all packages again when a day begins; to be interrupted is how it ends."""
    await place.crawl("pypi", profile="plone")
    with served(place) as url:
        way = Breaking(url)
        with way.running() as through:
            runner = AsyncCrawlerRunner(second.settings())
            crawler = runner.create_crawler("replicate")
            given = {"url": through, "profile": "plone", "collection": "copy", "follow": "1"}
            begun = asyncio.Event()

            def begin() -> None:
                begun.set()

            crawler.signals.connect(begin, signal=signals.spider_opened)
            crawl = asyncio.ensure_future(runner.crawl(crawler, **given))
            await begun.wait()
            await until(lambda: crawler.stats.get_value("pyf/packages/indexed", 0) >= 24)
            way.cuts, way.after = 1_000, 1
            await until(lambda: "trying again in 1 s" in caplog.text)
            way.cuts = 0
            assert isinstance(crawler.spider, ReplicateSpider)
            crawler.spider.session.now -= timedelta(days=1)
            await until(lambda: crawler.stats.get_value("pyf/packages/passed_on", 0) >= 48)
            await crawler.stop_async()
            await crawl
    report = crawler.get_extension(RunReport)
    assert report is not None
    assert report.outcome is not None
    assert report.outcome.exit_code == ExitCode.OK
    assert_equal(place, second)


async def until(happened: Callable[[], bool]) -> None:
    """Wait for at most a minute."""
    for _ in range(1200):
        if happened():
            return
        await asyncio.sleep(0.05)
    assert happened()


class TestHTTP:
    """What anybody who writes a program against it relies on."""

    async def test_the_answers(self, place: Place) -> None:
        await place.crawl("pypi", profile="plone")
        with served(place, SERVE_STREAMS=1) as url, httpx.Client(base_url=url, timeout=30) as client:
            answer = client.get("/replicate", params={"profile": "plone"})
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            lines = [json.loads(line) for line in answer.text.splitlines()]
            assert (lines[0]["type"], lines[-1]["type"], lines[-1]["done"]) == ("head", "page", True)
            names = [line["normalized_name"] for line in lines if line["type"] == "project"]
            with place.store() as store:
                assert names == list(store.members(PLONE))
            cursor = lines[-1]["cursor"]
            events = [line for line in lines if line["type"] == "event"]
            again = client.get("/changes", params={"profile": "plone"}).text.splitlines()
            assert [line for line in map(json.loads, again) if line["type"] == "event"] == events
            news = client.get("/changes", params={"since": cursor, "profile": "plone", "facts": 1})
            assert [json.loads(line)["type"] for line in news.text.splitlines()] == ["head", "page"]
            for path, status in (
                ("/replicate?profile=nope", 404),
                ("/replicate?cursor=nonsense", 400),
                ("/replicate?cursor=" + "1" * 1000, 400),
                ("/changes?since=1.ab.-.c.0.0.-.~", 409),
                (f"/changes?since={cursor}", 409),
                (f"/changes?facts=maybe&since={cursor}", 400),
                (f"/changes?cursor={cursor}&profile=plone", 400),  # it would be all events again
                (f"/replicate?since={cursor}&profile=plone", 400),
            ):
                wrong = client.get(path)
                assert (wrong.status_code, wrong.json()["status"]) == (status, status), path
                assert wrong.headers["content-type"].startswith("application/problem+json")

    async def test_so_many_streams_at_once_and_each_place_is_free_again(self, place: Place) -> None:
        """Also when the client goes away in the middle."""
        await place.crawl("pypi", profile="plone")
        with served(place, SERVE_STREAMS=1) as url, httpx.Client(base_url=url, timeout=30) as client:
            for _ in range(3):
                with client.stream("GET", "/replicate") as answer:
                    assert answer.status_code == 200
                    next(answer.iter_raw(10))
                while (answer := client.get("/replicate")).status_code == 429:
                    assert answer.headers["retry-after"]
                assert answer.text.splitlines()[-1].endswith('"done":true}')


@pytest.mark.soak
async def test_a_second_machine_follows_the_first(tmp_path: Path, place: Place, replica: Handle) -> None:
    """As users have it: commands, a search server for each, `--follow`, and a kill in the middle."""
    second = EmbeddedPlace(tmp_path / "second", replica.url)
    await place.crawl("pypi", profile="plone")
    with served(place) as url:
        arguments = ("replicate", url, "-p", "plone", "--follow", "1", "-L", "WARNING")
        dice = Dice(seed(), "second machine")
        for turn in range(5):
            process = second.popen(*arguments)
            try:
                replica.busy(dice, 10, classifier=CLASSIFIER)
                await place.crawl("pypi", profile="plone")
                await until_equal(place, second)
            finally:
                process.kill() if turn % 2 else process.terminate()
                process.communicate()
    print("soak: a second machine was equal after each of 5 turns of events and kills")


async def until_equal(first: Place, second: Place) -> None:
    for _ in range(60):
        try:
            assert_equal(first, second, "plone")
        except (AssertionError, SearchError, StoreError):
            await asyncio.sleep(1)
        else:
            return
    assert_equal(first, second, "plone")
