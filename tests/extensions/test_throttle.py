"""A slow server must not be pushed over, a fast one need not be crept up on; the ceiling holds for both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from scrapy.utils.test import get_crawler

from pyf_scrapy.extensions.throttle import HostThrottle, delay_for
from tests.middlewares.site import AskingSpider, ask, serving

HOST = "127.0.0.1"
LATENCIES = st.floats(0.001, 100)


class TestDelay:
    @given(LATENCIES, st.integers(1, 200))
    def test_a_fast_server_is_not_held_back(self, latency: float, concurrency: int) -> None:
        assert delay_for(latency, concurrency, fast=latency) == 0

    @given(LATENCIES, LATENCIES, st.integers(1, 200))
    def test_the_slower_the_server_the_longer(self, one: float, other: float, concurrency: int) -> None:
        faster, slower = sorted((one, other))
        assert delay_for(faster, concurrency, 0.5) <= delay_for(slower, concurrency, 0.5)

    @given(st.floats(0.51, 100), st.integers(1, 200))
    def test_it_has_at_least_one_request_and_at_most_what_was_set(self, latency: float, most: int) -> None:
        under_way = latency / delay_for(latency, most, 0.5)
        assert 0.999 <= under_way <= most * 1.001

    @pytest.mark.parametrize(
        ("latency", "at_once", "a_second"),
        [(0.6, 13.3, 22), (1, 8, 8), (2, 4, 2), (4, 2, 0.5), (16, 1, 1 / 16)],
    )
    def test_twice_as_slow_is_half_as_many_at_once(
        self, latency: float, at_once: float, a_second: float
    ) -> None:
        delay = delay_for(latency, 16, 0.5)
        assert latency / delay == pytest.approx(at_once, rel=0.01)
        assert 1 / delay == pytest.approx(a_second, rel=0.02)

    def test_a_server_that_slows_under_load_is_not_driven_to_its_limit(self) -> None:
        """Model: 10 requests a second at best, each takes 0.2 s when alone; 16 at once would take 1.6 s."""
        latency, under_way = 0.2, 16.0
        for _ in range(500):
            latency += (max(0.2, under_way / 10) - latency) / 8
            delay = delay_for(latency, 16, 0.5)
            under_way = min(16.0, latency / delay) if delay else 16.0
        assert under_way < 10


class TestCrawl:
    """Crawls of servers that answer after so many seconds; fast is up to 0.02."""

    async def crawl(self, latency: float, requests: int = 80) -> tuple[float, int, AskingSpider]:
        """Delay at the end, most requests under way in the last quarter, the spider."""

        async def answer(request: web.Request, number: int) -> web.Response:
            await asyncio.sleep(latency)
            return web.Response()

        async with serving(answer) as site:
            urls = [f"{site.url}/{number}" for number in range(requests)]
            fast = 0.02 if latency else 10.0
            spider, crawler = await ask(["data:,", *urls], AUTOTHROTTLE_FAST_LATENCY=fast)
        assert len(spider.statuses) == requests + 1
        self.longest = crawler.stats.get_value("throttle/longest_delay")
        last = site.arrivals[-requests // 4 :]
        return spider.delays[HOST], max(arrival.under_way for arrival in last), spider

    async def test_a_fast_server_is_used(self) -> None:
        delay, _, _ = await self.crawl(latency=0)
        assert delay == 0
        assert self.longest is None

    async def test_a_slow_server_is_spared(self) -> None:
        delay, under_way, spider = await self.crawl(latency=0.06)
        assert delay >= 0.06 * 0.06 / 16 / 0.02 * 0.9
        assert self.longest >= delay
        assert under_way <= 10, "16 would be allowed; 16 * 0.02 / 0.06 = 5.3 are the aim"
        assert spider.delays.get("", 0) == 0, "what comes from no server waits for none"

    async def test_the_ceiling_is_kept_by_a_fast_server(self) -> None:
        async def answer(request: web.Request, number: int) -> web.Response:
            return web.Response()

        slots = {HOST: {"concurrency": 16, "delay": 0.02, "jitter": 0}}
        async with serving(answer) as site:
            urls = [f"{site.url}/{number}" for number in range(40)]
            spider, _ = await ask(urls, DOWNLOAD_SLOTS=slots)
        assert spider.delays[HOST] == 0, "the gate keeps it, more exactly"
        times = site.times()
        assert times[-1] - times[0] >= 39 * 0.02 - 0.03, "the first may have been late"

    @pytest.mark.parametrize(("status", "delay"), [(200, 0.0), (304, 0.0), (404, 0.03), (503, 0.03)])
    async def test_an_error_does_not_hasten_it_but_a_304_does(self, status: int, delay: float) -> None:
        """A server is quick to say that it is broken. A refresh gets nearly nothing but 304."""
        seen: list[float] = []
        limits: dict[str, Any] = {"AUTOTHROTTLE_FAST_LATENCY": 15, "AUTOTHROTTLE_MAX_DELAY": 0.03}

        async def answer(request: web.Request, number: int) -> web.Response:
            return web.Response(status=status)

        async def slowed_before(spider: AskingSpider) -> None:
            throttle = spider.crawler.get_extension(HostThrottle)
            assert throttle is not None
            await spider.fetch(site.url)
            # As after many answers that took 30 s each.
            throttle.latencies[HOST] = 30
            slot = spider.crawler.engine.downloader.slots[HOST]
            slot.delay = 0.03
            for _ in range(12):
                await spider.fetch(site.url)
            seen.append(slot.delay)

        async with serving(answer) as site:
            await ask([], slowed_before, RETRY_ENABLED=False, **limits)
        assert seen == [delay]


async def test_the_end_of_a_crawl_waits_for_no_delay() -> None:
    """Fifteen requests are queued behind a delay of 1 s each when the crawl is stopped."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response()

    async def stop(spider: AskingSpider) -> None:
        while not site.arrivals:
            await asyncio.sleep(0.01)
        stopping.append(asyncio.ensure_future(spider.crawler.stop_async()))

    stopping: list[asyncio.Future[None]] = []
    slots = {HOST: {"concurrency": 16, "delay": 1, "jitter": 0}}
    async with serving(answer) as site:
        async with asyncio.timeout(10):
            spider, _ = await ask(
                [f"{site.url}/{number}" for number in range(16)], stop, DOWNLOAD_SLOTS=slots
            )
    assert len(site.arrivals) <= 2
    assert set(spider.errors.values()) == {"IgnoreRequest"}


def test_it_can_be_switched_off() -> None:
    crawler = get_crawler(settings_dict={"EXTENSIONS": {"pyf_scrapy.extensions.throttle.HostThrottle": 0}})
    assert crawler.get_extension(HostThrottle) is None
