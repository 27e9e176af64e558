"""Work that is not lost, not done twice, and of which no more is in memory than is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web
from scrapy import Request

from pyf_scrapy.scheduler import SupplyScheduler
from tests.middlewares.site import AskingSpider, ask, serving

#: Ten requests a second.
SLOTS = {"127.0.0.1": {"concurrency": 16, "delay": 0.1, "jitter": 0}}


def requests(count: int, made: list[int]) -> Iterator[Request]:
    for number in range(count):
        made.append(number)
        yield Request(f"data:,{number}")


def urls(scheduler: SupplyScheduler, most: int) -> list[str]:
    found = (scheduler.next_request() for _ in range(most))
    return [request.url for request in found if request is not None]


async def test_what_waits_comes_before_what_is_supplied() -> None:
    scheduler = SupplyScheduler()
    made: list[int] = []
    used_up = scheduler.supply(requests(3, made))
    assert urls(scheduler, 1) == ["data:,0"]
    for name in "ab":
        assert scheduler.enqueue_request(Request(f"data:,{name}"))
    assert urls(scheduler, 4) == ["data:,a", "data:,b", "data:,1", "data:,2"]
    assert not used_up.done()
    assert scheduler.next_request() is None
    assert used_up.done()


async def test_no_request_is_made_before_it_is_wanted() -> None:
    scheduler = SupplyScheduler()
    made: list[int] = []
    scheduler.supply(requests(1_000_000, made))
    urls(scheduler, 5)
    assert made == [0, 1, 2, 3, 4]


async def test_the_crawl_does_not_end_while_there_is_any() -> None:
    scheduler = SupplyScheduler()
    assert not scheduler.has_pending_requests()
    scheduler.supply(requests(1, []))
    assert scheduler.has_pending_requests()
    urls(scheduler, 2)
    assert not scheduler.has_pending_requests()
    scheduler.enqueue_request(Request("data:,"))
    assert scheduler.has_pending_requests()


async def test_nothing_begins_while_it_is_held_and_all_goes_on_by_itself_afterwards() -> None:
    """What is asked beside it does begin: that decides whether to go on."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response()

    async def hold(spider: AskingSpider) -> None:
        with scheduler_of(spider).held(), scheduler_of(spider).held():
            used_up = supplied(spider, [f"{site.url}/{number}" for number in range(8)])
            await spider.fetch(f"{site.url}/inline")
            await asyncio.sleep(0.2)
            begun.update(arrival.path for arrival in site.arrivals)
        await used_up

    begun: set[str] = set()
    async with serving(answer) as site:
        spider, _ = await ask([], hold)
    assert begun == {"/inline"}
    assert list(spider.statuses.values()) == [200] * 8


async def test_what_a_callback_asks_for_does_not_stand_behind_all_that_is_begun_later() -> None:
    """At 5 requests a second a release would be indexed seconds later, for each document that it needs."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response()

    async def inline(spider: AskingSpider) -> None:
        await spider.fetch(f"{site.url}/inline")

    async with serving(answer) as site:
        scheduled = [f"{site.url}/{number}" for number in range(16)]
        spider, _ = await ask(scheduled, inline, DOWNLOAD_SLOTS=SLOTS)
    assert list(spider.statuses.values()) == [200] * 16
    assert [arrival.path for arrival in site.arrivals].index("/inline") <= 6


async def test_of_what_is_supplied_no_more_stands_before_a_callback_s_request_either() -> None:
    """The engine takes all that it can get at once."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response()

    async def inline(spider: AskingSpider) -> None:
        await spider.fetch(f"{site.url}/first")
        used_up = supplied(spider, [f"{site.url}/{number}" for number in range(16)])
        while len(site.arrivals) < 5:
            await asyncio.sleep(0.01)
        await spider.fetch(f"{site.url}/inline")
        await used_up

    async with serving(answer) as site:
        spider, _ = await ask([], inline, DOWNLOAD_SLOTS=SLOTS)
    assert list(spider.statuses.values()) == [200] * 16
    assert [arrival.path for arrival in site.arrivals].index("/inline") <= 11


async def test_a_host_that_answers_late_is_asked_at_its_pace_all_the_same() -> None:
    """What waits here goes on when a request starts, not when one is answered."""

    crowd = asyncio.Event()

    async def answer(request: web.Request, number: int) -> web.Response:
        if site.under_way >= 9:
            crowd.set()
        if number > 1:
            async with asyncio.timeout(10):
                await crowd.wait()
        return web.Response()

    async def supply(spider: AskingSpider) -> None:
        await spider.fetch(f"{site.url}/first")
        await supplied(spider, [f"{site.url}/{number}" for number in range(16)])

    async with serving(answer) as site:
        spider, _ = await ask([], supply, DOWNLOAD_SLOTS=SLOTS)
    assert list(spider.statuses.values()) == [200] * 16
    assert crowd.is_set()


def supplied(spider: AskingSpider, urls: list[str]) -> asyncio.Future[None]:
    """Supply requests for these; the future is done when all are taken."""
    requests = (Request(url, callback=spider.parse, dont_filter=True) for url in urls)
    return scheduler_of(spider).supply(requests)


def scheduler_of(spider: AskingSpider) -> SupplyScheduler:
    assert spider.crawler.engine is not None
    scheduler = spider.crawler.engine.scheduler
    assert isinstance(scheduler, SupplyScheduler)
    return scheduler


async def test_the_same_request_may_be_made_twice() -> None:
    """An answer that is older than promised is asked for again."""
    scheduler = SupplyScheduler()
    for _ in range(2):
        assert scheduler.enqueue_request(Request("data:,x"))
    assert urls(scheduler, 3) == ["data:,x"] * 2


async def test_who_waits_for_the_end_learns_what_went_wrong() -> None:
    def failing() -> Iterator[Request]:
        yield Request("data:,")
        raise OSError("the index is gone")

    scheduler = SupplyScheduler()
    used_up = scheduler.supply(failing())
    assert len(urls(scheduler, 3)) == 1
    with pytest.raises(OSError, match="is gone"):
        used_up.result()
