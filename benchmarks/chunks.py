"""An experiment that is not in the product: one Scrapy request fetches a whole chunk of names in its handler.

    python -m benchmarks.chunks URL SIZE

reads the index, fetches all projects, SIZE of them with each request, reads their outlines, and prints as
JSON how many it got. No store, no gate, no stale check: what is measured is what Scrapy costs for each
request. With SIZE 1 the requests are ordinary ones.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from packaging.utils import canonicalize_name
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.http import Response
from scrapy.settings import Settings

from pyf_scrapy.middlewares.lean_handler import LeanDownloadHandler
from pyf_scrapy.parsers.project_json import parse_outline
from pyf_scrapy.parsers.simple_index import parse_index
from pyf_scrapy.scheduler import SupplyScheduler

CONNECTIONS = 64
REQUESTS = 4
"""Chunks under way at the same time; they share the connections."""


class Chunk(Response):
    """The answers to a chunk of names."""

    answers: list[Response]


class ChunkHandler(LeanDownloadHandler):
    """Fetches each address of the meta key `urls`."""

    async def download_request(self, request: Request) -> Response:
        if "urls" not in request.meta:
            return await super().download_request(request)
        urls, answers = iter(request.meta["urls"]), []

        async def fetch() -> None:
            for url in urls:
                answers.append(await super(ChunkHandler, self).download_request(Request(url)))

        await asyncio.gather(*(fetch() for _ in range(CONNECTIONS // REQUESTS)))
        chunk = Chunk(request.url)
        chunk.answers = answers
        return chunk


class ChunkSpider(Spider):
    """Reads outlines; `found` counts them."""

    name = "chunks"
    found = 0

    def __init__(self, url: str, size: int) -> None:
        super().__init__()
        self.url, self.size = url, size

    async def start(self) -> AsyncIterator[Any]:
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        index = await self.crawler.engine.download_async(Request(f"{self.url}/simple/", headers=accept))
        names = (str(canonicalize_name(entry.name)) for entry in parse_index(index.body).projects)
        scheduler = self.crawler.engine.scheduler
        assert isinstance(scheduler, SupplyScheduler)
        used_up = scheduler.supply(self._requests(names))
        first = scheduler.next_request()
        assert first is not None
        yield first
        await used_up

    def _requests(self, names: Iterator[str]) -> Iterator[Request]:
        urls = (f"{self.url}/pypi/{name}/json" for name in names)
        while some := list(itertools.islice(urls, self.size)):
            meta: dict[str, Any] = {"verbatim_url": True}
            if self.size > 1:
                meta["urls"] = some
            yield Request(some[0], meta=meta)

    def parse(self, response: Response) -> None:
        for answer in response.answers if isinstance(response, Chunk) else [response]:
            parse_outline(answer.body)
            self.found += 1


def main() -> None:
    """Crawls once and prints what was found."""
    url, size = sys.argv[1], int(sys.argv[2])
    settings = Settings()
    settings.setmodule("pyf_scrapy.settings", priority="project")
    handler = ChunkHandler
    settings.setdict(
        {
            "DOWNLOAD_HANDLERS": {"http": handler, "https": handler},
            "CONCURRENT_REQUESTS": REQUESTS if size > 1 else CONNECTIONS,
            "CONCURRENT_REQUESTS_PER_DOMAIN": REQUESTS if size > 1 else CONNECTIONS,
            "ITEM_PIPELINES": {},
            "LOG_LEVEL": "WARNING",
        },
        priority="cmdline",
    )
    process = AsyncCrawlerProcess(settings)
    crawler: Crawler = process.create_crawler(ChunkSpider)
    process.crawl(crawler, url=url, size=size)
    process.start()
    assert isinstance(crawler.spider, ChunkSpider)
    print(json.dumps({"projects": crawler.spider.found}))


if __name__ == "__main__":
    main()
