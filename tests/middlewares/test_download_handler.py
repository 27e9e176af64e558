"""Retry-After holds for the whole process: for what is queued, for inline requests, and not one moment less.

And whatever becomes of a request, those that wait for it go on.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from pyf_scrapy.middlewares import download_handler
from pyf_scrapy.middlewares.shares import TOLERANCE, spacing
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.spiders.base import SUSPICIOUS_AFTER
from tests.crawling import Place, true_documents
from tests.middlewares.site import PATIENCE, AskingSpider, Site, ask, serving

OPTIONS = Options(projects=40, members={"plone": 6}, only_members=True, most_releases=3, empty=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def in_seconds(seconds: int) -> str:
    return str(seconds)


def at_a_date(seconds: int) -> str:
    """Not earlier than so many seconds from now; a date has no fractions."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds + 1), usegmt=True)


class TestTheWholeProcess:
    @pytest.mark.parametrize("retry_after", [in_seconds, at_a_date])
    async def test_obeys_and_comes_back_gently(self, retry_after: Callable[[int], str]) -> None:
        closed: list[float] = []

        async def answer(request: web.Request, number: int) -> web.Response:
            if number == 3:
                closed.append(time.monotonic())
                return web.Response(status=429, headers={"Retry-After": retry_after(1)})
            await asyncio.sleep(0.1)
            return web.Response()

        async def beside_the_scheduler(spider: AskingSpider) -> None:
            urls = [f"{site.url}/inline/{number}" for number in range(12)]
            for response in await asyncio.gather(*map(spider.fetch, urls)):
                spider.parse(response)

        async with serving(answer) as site:
            # A slot with a delay, as on PyPI: without the gate what is queued there would go on.
            slots = {"127.0.0.1": {"concurrency": 12, "delay": 0.02, "jitter": 0}}
            urls = [f"{site.url}/{number}" for number in range(12)]
            spider, _ = await ask(urls, beside_the_scheduler, concurrency=12, DOWNLOAD_SLOTS=slots)
        assert list(spider.statuses.values()) == [200] * 24
        (refused_at,) = closed
        late = [arrival.at - refused_at for arrival in site.arrivals[3:]]
        # One may have been on its way; what was made late starts with it, as far as TOLERANCE allows.
        assert len([seconds for seconds in late if seconds < 0.95]) <= 1 + TOLERANCE / spacing(0.02)
        back = [arrival for arrival in site.arrivals if arrival.at > refused_at + 0.95]
        for arrival in back:
            assert arrival.under_way <= 1 + arrival.answered - back[0].answered

    async def test_keeps_its_ceiling_when_it_comes_back(self) -> None:
        """A dozen have passed their slot and wait for the host by then."""

        async def answer(request: web.Request, number: int) -> web.Response:
            return web.Response(status=429 if number == 1 else 200)

        async with serving(answer) as site:
            slots = {"127.0.0.1": {"concurrency": 16, "delay": 0.04, "jitter": 0}}
            urls = [f"{site.url}/{number}" for number in range(16)]
            await ask(urls, DOWNLOAD_SLOTS=slots, PYPI_RETRY_BACKOFF=0.6)
        times = [at for at in site.times() if at > site.times()[0] + 0.5]
        assert times[-1] - times[0] >= (len(times) - 1) * 0.04 - 0.03, "one may have been late at the start"

    async def test_gives_up_answers_that_do_not_come_when_it_is_told_to_stop(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Process managers kill after 30 seconds, and then nothing is written in order."""
        monkeypatch.setattr(download_handler, "DRAIN", 0.1)
        stopping: list[asyncio.Future[None]] = []

        async def never(_request: web.Request, _number: int) -> web.Response:
            await asyncio.sleep(3600)
            return web.Response()

        async def stop(spider: AskingSpider) -> None:
            while len(site.arrivals) < 2:
                await asyncio.sleep(0.01)
            stopping.append(asyncio.ensure_future(spider.crawler.stop_async()))

        async with serving(never) as site:
            urls = [f"{site.url}/{number}" for number in range(2)]
            spider, _ = await ask(urls, stop)
        assert spider.errors == dict.fromkeys(urls, "IgnoreRequest")

    async def test_and_leaves_other_hosts_alone_and_stops_when_it_is_told(self) -> None:
        async def never(request: web.Request, number: int) -> web.Response:
            return web.Response(status=503, headers={"Retry-After": "3000"})

        async def always(request: web.Request, number: int) -> web.Response:
            return web.Response()

        async def stop_when_the_open_host_is_done(spider: AskingSpider) -> None:
            while len(spider.statuses) < 20 or not closed.arrivals:
                await asyncio.sleep(0.01)
            stopping.append(asyncio.ensure_future(spider.crawler.stop_async()))

        stopping: list[asyncio.Future[None]] = []
        async with serving(never) as closed, serving(always) as open_:
            urls = [f"{closed.url}/1", *(f"{open_.url}/{number}" for number in range(20))]
            spider, crawler = await ask(urls, stop_when_the_open_host_is_done)
        assert len(spider.statuses) == 20
        assert len(closed.arrivals) == 1
        assert spider.errors == {f"{closed.url}/1": "IgnoreRequest"}
        assert crawler.stats.get_value("finish_reason") == "shutdown"


class TestOneBadAddress:
    async def test_does_not_stop_the_others(self) -> None:
        async def answer(request: web.Request, number: int) -> web.Response:
            return web.Response(status=503 if request.path == "/bad" else 200)

        async with serving(answer) as site:
            urls = [f"{site.url}/bad", *(f"{site.url}/{number}" for number in range(60))]
            # Waits so long that the crawl would not end in time if it closed the gate.
            spider, crawler = await ask(
                urls, PYPI_MAX_RETRIES=3, PYPI_RETRY_BACKOFF=0.05, DOWNLOAD_TIMEOUT=600
            )
        assert sorted(spider.statuses.values()) == [200] * 60 + [503]
        assert [arrival.path for arrival in site.arrivals].count("/bad") == 4
        assert crawler.stats.get_value("backoff/longest_wait") is None

    async def test_slows_the_host_until_it_answers(self) -> None:
        async def answer(request: web.Request, number: int) -> web.Response:
            end = time.monotonic() + 0.5
            while site.under_way < 4 and time.monotonic() < end:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.03)
            return web.Response(status=503)

        async with serving(answer) as site:
            await ask([f"{site.url}/{number}" for number in range(40)], PYPI_MAX_RETRIES=0)
        assert len(site.arrivals) == 40
        assert max(arrival.under_way for arrival in site.arrivals[20:]) == 4

    async def test_a_host_that_always_answers_503_is_down_after_few_requests(
        self, place: Place, replica: Handle
    ) -> None:
        replica.faults([{"match": "/pypi/*", "fault": "status-503"}])
        few = {"PYPI_MAX_RETRIES": 1, "PYPI_CONCURRENCY": 4}
        crawl = place.crawl("pypi", profile="plone", settings=few)
        down = await asyncio.wait_for(crawl, PATIENCE)
        assert (down.outcome.exit_code, down.outcome.reason) == (1, "source_down")
        assert replica.statistics()["requests"]["project"] <= 3 * SUSPICIOUS_AFTER, "of 80"


#: What becomes of a request instead of an answer.
Death = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def disconnect(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport is not None
    request.transport.close()
    return response


async def bomb(request: web.Request) -> web.StreamResponse:
    """Refused by a middleware, after the download was fine."""
    body = gzip.compress(b" " * 2_000_000)
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def giant(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b" " * 2_000_000)


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(600)
    return web.Response()


def hang_once() -> Death:
    hung: list[web.Request] = []

    async def death(request: web.Request) -> web.StreamResponse:
        if not hung:
            hung.append(request)
            await asyncio.sleep(600)
        return web.Response()

    return death


class TestTheFirstRequestAfterAWait:
    """The others wait for it; nothing that becomes of it may leave them waiting."""

    FIRST = 5  # four are refused together

    def site(self, death: Death) -> AbstractAsyncContextManager[Site]:
        victims = []

        async def answer(request: web.Request, number: int) -> web.StreamResponse:
            if number < self.FIRST:
                await asyncio.sleep(0.05)
                return web.Response(status=429)
            if number == self.FIRST:
                victims.append(request.path)  # also when a client asks again by itself
            return await death(request) if request.path in victims else web.Response()

        return serving(answer)

    @pytest.mark.parametrize("death", [disconnect, cut, bomb, giant, hang])
    async def test_may_die(self, death: Death) -> None:
        timeout = 0.5 if death is hang else 600
        async with self.site(death) as site:
            spider, _ = await ask(
                [f"{site.url}/{number}" for number in range(8)],
                concurrency=4,
                PYPI_MAX_RETRIES=0,
                DOWNLOAD_TIMEOUT=timeout,
                DOWNLOAD_MAXSIZE=1_000_000,
            )
        assert len(spider.errors) == 1
        assert list(spider.statuses.values()) == [200] * 7

    async def test_may_be_given_up(self) -> None:
        """Scrapy 2.19 goes on with a download that nobody waits for any more, until it times out."""

        async def impatient(spider: AskingSpider) -> None:
            async def until_answered(number: int) -> None:
                while True:
                    try:
                        async with asyncio.timeout(0.6):
                            spider.parse(await spider.fetch(f"{site.url}/{number}"))
                            return
                    except TimeoutError:
                        continue

            await asyncio.gather(*map(until_answered, range(4)))

        async with self.site(hang_once()) as site:
            spider, _ = await ask([], impatient, concurrency=4, DOWNLOAD_TIMEOUT=0.8)
        assert list(spider.statuses.values()) == [200] * 4


def test_a_users_command_waits_too(place: Place, replica: Handle) -> None:
    """With Twisted's reactor and the download handler of production."""
    rule = {"match": "/pypi/*", "fault": "status-429", "retry_after": 1, "times": 3, "per": "rule"}
    replica.faults([rule])
    done = place.run("crawl", "pypi", "-p", "plone")
    assert done.returncode == 0, done.stderr
    assert "HTTP 429: nothing is asked for 1.0 s" in done.stderr
    assert set(place.documents("plone")) == true_documents(replica.replica, "Framework :: Plone")
