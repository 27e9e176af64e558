"""A server that answers as a test says, and a spider that asks it with the project's own settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.settings import Settings

PATIENCE = 30.0  # seconds; no crawl here takes more than two


@dataclass
class Arrival:
    """A request as the server saw it."""

    path: str
    at: float
    under_way: int
    """Requests that it was answering then, with this one."""
    answered: int
    """Requests that it had answered before."""


@dataclass
class Site:
    """A running server; `arrivals` in order."""

    url: str = ""
    arrivals: list[Arrival] = field(default_factory=list)
    under_way: int = 0
    answered: int = 0

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def times(self) -> list[float]:
        return [arrival.at for arrival in self.arrivals]


#: Called with the request and its number (from 1): what to answer.
Answer = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Site]:
    """A server at an address of its own, on the running loop."""
    site = Site()

    async def handle(request: web.Request) -> web.StreamResponse:
        site.under_way += 1
        site.arrivals.append(Arrival(request.path, time.monotonic(), site.under_way, site.answered))
        try:
            return await answer(request, len(site.arrivals))
        finally:
            site.under_way -= 1
            site.answered += 1

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        await runner.cleanup()


class AskingSpider(Spider):
    """Asks for `urls` through the scheduler, then runs `script` with itself, and notes what it gets."""

    name = "asking"
    urls: list[str]
    script: Callable[[AskingSpider], Awaitable[None]] | None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.statuses: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self.delays: dict[str, float] = {}

    async def start(self) -> AsyncIterator[Any]:
        for url in self.urls:
            yield Request(url, callback=self.parse, errback=self.failed, dont_filter=True)
        if self.script:
            await self.script(self)

    def parse(self, response: Any) -> None:
        self.statuses[response.url] = response.status
        slots = self.crawler.engine.downloader.slots
        self.delays = {key: slot.delay for key, slot in slots.items()}

    def failed(self, failure: Any) -> None:
        self.errors[failure.request.url] = failure.type.__name__

    async def fetch(self, url: str) -> Any:
        """Ask beside the scheduler."""
        return await self.crawler.engine.download_async(Request(url, dont_filter=True))


async def ask(
    urls: list[str],
    script: Callable[[AskingSpider], Awaitable[None]] | None = None,
    *,
    concurrency: int = 16,
    **settings: Any,
) -> tuple[AskingSpider, Crawler]:
    """Crawl on the running loop."""
    values = Settings()
    values.setmodule("pyf_scrapy.settings", priority="project")
    values.setdict(
        {
            "TWISTED_REACTOR_ENABLED": False,
            "LOG_ENABLED": False,
            "ITEM_PIPELINES": {},
            "PYPI_RETRY_BACKOFF": 0.01,
            "CONCURRENT_REQUESTS": concurrency,
            "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
            **settings,
        },
        priority="cmdline",
    )
    runner = AsyncCrawlerRunner(values)
    crawler = runner.create_crawler(AskingSpider)
    await asyncio.wait_for(runner.crawl(crawler, urls=urls, script=script), PATIENCE)
    assert isinstance(crawler.spider, AskingSpider)
    return crawler.spider, crawler
