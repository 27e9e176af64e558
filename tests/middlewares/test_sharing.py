"""Workers that share a Redis ask a host as one, whatever becomes of Redis.

Two crawls on one loop, each with a download handler of its own, share nothing but the server.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from redis import Redis

from pyf_scrapy.middlewares import shares
from pyf_scrapy.middlewares.shares import TOLERANCE, spacing
from pyf_scrapy.queue import rates
from pyf_scrapy.stats import PlainStatsCollector
from tests.middlewares.site import AskingSpider, Site, ask, serving
from tests.queue.valkey import Valkey

#: How wrong a process may be about the server's clock here, in seconds: its quickest answers take less.
WRONG = 0.05
RPS = 100.0
#: Seconds by which a moment is noted late on a busy machine.
JITTER = 0.003
INTERVAL = spacing(1 / RPS)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done once a second otherwise."""
    for name in ("_LISTEN_EVERY", "_RETRY_AFTER"):
        monkeypatch.setattr(shares, name, 0.2)


Script = Callable[[AskingSpider], Awaitable[None]]


class NotingStats(PlainStatsCollector):
    """Notes in `sent` when requests were sent."""

    sent: list[float]

    def inc_value(self, key: str, *args: Any, **kwargs: Any) -> None:
        super().inc_value(key, *args, **kwargs)
        if key.endswith("/requests"):
            self.sent.append(time.monotonic())


class Worker:
    """A crawl of the site; when it sent its requests."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name
        self.sent: list[float] = []
        self.spider: AskingSpider | None = None

    async def run(self, script: Script, rps: float = RPS, **settings: Any) -> AskingSpider:
        """Run a script, with a ceiling if there is one."""

        async def watched(spider: AskingSpider) -> None:
            self.spider = spider
            assert isinstance(spider.crawler.stats, NotingStats)
            spider.crawler.stats.sent = self.sent
            await script(spider)

        slot = {"concurrency": 16, "delay": 1 / rps if rps else 0, "jitter": 0}
        spider, _ = await ask(
            [], watched, DOWNLOAD_SLOTS={"127.0.0.1": slot}, STATS_CLASS=NotingStats, **settings
        )
        return spider

    def urls(self, count: int) -> list[str]:
        return [f"{self.site.url}/{self.name}/{number}" for number in range(count)]

    def asks_for(self, count: int) -> Script:
        """The script that asks for so many addresses, each until it is answered."""

        async def script(spider: AskingSpider) -> None:
            for response in await asyncio.gather(*map(spider.fetch, self.urls(count))):
                spider.parse(response)

        return script

    def asks_until(self, done: asyncio.Event) -> Script:
        """The script that asks as much as it may."""

        async def lane(spider: AskingSpider) -> None:
            while not done.is_set():
                spider.parse(await spider.fetch(self.urls(1)[0]))

        async def script(spider: AskingSpider) -> None:
            await asyncio.gather(*(lane(spider) for _ in range(16)))

        return script


async def fine(request: web.Request, number: int) -> web.Response:
    return web.Response()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def excess(times: list[float], interval: float) -> float:
    """How many starts the worst time has beyond what its length allows (Kadane)."""
    worst = current = 0.0
    for before, after in itertools.pairwise([-math.inf, *sorted(times)]):
        current = 1.0 + max(0.0, current - (after - before) / interval)
        worst = max(worst, current)
    return worst


def messages(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if words in record.getMessage()]


async def test_two_workers_keep_one_ceiling(valkey: Valkey) -> None:
    async with serving(fine) as site:
        one, other = Worker(site, "one"), Worker(site, "other")
        spiders = await asyncio.gather(
            one.run(one.asks_for(40), REDIS_URL=valkey.url),
            other.run(other.asks_for(40), REDIS_HOST=valkey.url),
        )
    assert [list(spider.statuses.values()) for spider in spiders] == [[200] * 40] * 2
    assert excess(one.sent + other.sent, INTERVAL) <= 1 + (TOLERANCE + WRONG) / INTERVAL
    assert max(one.sent[0], other.sent[0]) < min(one.sent[-1], other.sent[-1]), "they took turns"


@pytest.mark.parametrize("rps", [RPS, 0])
async def test_retry_after_that_one_gets_pauses_the_other_and_they_come_back_one_by_one(
    valkey: Valkey, rps: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused: list[float] = []
    answers: list[tuple[str, float, float]] = []
    """Of which worker, and between which times it was under way."""

    async def answer(request: web.Request, number: int) -> web.Response:
        begun = time.monotonic()
        if number == 30:
            refused.append(begun)
            return web.Response(status=429, headers={"Retry-After": "3"})
        await asyncio.sleep(0.08)
        answers.append((request.path.split("/")[1], begun, time.monotonic()))
        return web.Response()

    done = asyncio.Event()
    async with serving(answer) as site:
        workers = [Worker(site, "one"), Worker(site, "other")]
        running = asyncio.gather(
            *(worker.run(worker.asks_until(done), rps, REDIS_URL=valkey.url) for worker in workers)
        )
        await eventually(lambda: bool(refused))

        def is_back(name: str) -> bool:
            return any(who == name and begun > refused[0] + 2.9 for who, begun, _ in answers)

        await eventually(lambda: is_back("one") and is_back("other"))
        done.set()
        await running
    heard = refused[0] + 0.6  # each asks for news, or for starts, several times a second
    assert not [at for at in site.times() if heard < at < refused[0] + 2.95]
    back = [(who, begun, end) for who, begun, end in answers if begun > heard]
    (first, _, over) = min(back, key=lambda answer: answer[1])
    second = min(begun for who, begun, _ in back if who != first)
    assert second >= over, "two at once for a server that asked for rest"
    (news,) = messages(caplog, "asked another worker to wait")
    assert site.host in news.getMessage()


async def test_what_happens_when_redis_is_killed_and_comes_back(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """They slow down, never speed up, and share again as soon as they can."""
    caplog.set_level(logging.INFO)
    done = asyncio.Event()
    async with serving(fine) as site:
        workers = [Worker(site, "one"), Worker(site, "other")]
        running = asyncio.gather(
            *(worker.run(worker.asks_until(done), REDIS_URL=valkey.url) for worker in workers)
        )
        await eventually(lambda: all(len(worker.sent) > 10 for worker in workers))
        valkey.kill()
        await eventually(lambda: len(messages(caplog, "cannot be used")) == 2)
        lost = time.monotonic()

        def alone_for_long(worker: Worker) -> bool:
            return sum(at > lost + 0.3 for at in worker.sent) > 10

        await eventually(lambda: all(map(alone_for_long, workers)))
        recovering = time.monotonic()
        valkey.start()
        await eventually(lambda: len(messages(caplog, "can be used again")) == 2)
        recovered = time.monotonic()
        await eventually(lambda: all(worker.sent[-1] > recovered + 0.3 for worker in workers))
        done.set()
        spiders = await running
        with valkey.client() as client:
            assert client.zcard(f"pyf:users:{{{site.host}}}") == 2
    assert {*spiders[0].statuses.values(), *spiders[1].statuses.values()} == {200}
    for worker in workers:
        # What was granted before is still due for a moment.
        alone = [at for at in worker.sent if lost + 0.3 < at < recovering]
        assert min(after - before for before, after in itertools.pairwise(alone)) >= 2 * INTERVAL - JITTER
    everything = workers[0].sent + workers[1].sent
    # Each of the two states keeps the ceiling, and a change of state adds what was granted or due just then.
    assert excess(everything, INTERVAL) <= 1 + (TOLERANCE + WRONG) / INTERVAL + 2 * 2
    assert len(messages(caplog, "cannot be used")) == 2


async def test_a_worker_that_never_reached_redis_is_slow(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    valkey.kill()
    async with serving(fine) as site:
        worker = Worker(site, "one")
        spider = await worker.run(worker.asks_for(8), REDIS_URL=valkey.url)
    assert list(spider.statuses.values()) == [200] * 8
    assert min(after - before for before, after in itertools.pairwise(worker.sent)) >= 4 * INTERVAL - JITTER
    assert len(messages(caplog, "cannot be used")) == 1


async def test_a_crawl_that_stops_does_not_wait_for_its_turn(
    valkey: Valkey, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for a Redis that hangs."""
    async with serving(fine) as site:
        client.set(f"pyf:pause:{{{site.host}}}", 0, px=100_000)
        worker = Worker(site, "one")

        async def stop(spider: AskingSpider) -> None:
            asking = asyncio.gather(*map(spider.fetch, worker.urls(5)), return_exceptions=True)
            await eventually(lambda: bool(client.exists(f"pyf:users:{{{site.host}}}")))
            monkeypatch.setattr(rates, "_PATIENCE", 0.5)
            valkey.freeze()
            await spider.crawler.stop_async()
            errors.extend(await asking)

        errors: list[Any] = []
        await worker.run(stop, REDIS_URL=valkey.url)
        valkey.thaw()
    assert [type(error).__name__ for error in errors] == ["IgnoreRequest"] * 5
    assert site.arrivals == []


@pytest.fixture
def client(valkey: Valkey) -> Redis:
    return valkey.client()
