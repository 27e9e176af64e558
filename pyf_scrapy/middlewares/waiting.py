"""Waiting that ends early when the crawl does."""

from __future__ import annotations

import asyncio
import time

from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest

from pyf_scrapy.spiders.store_spider import StoreSpider

#: Seconds within which a wait notices that the crawl stops.
STEP = 0.5


def is_stopping(crawler: Crawler) -> bool:
    """Whether the crawl ends: what is not under way yet is given up and left to the next run."""
    spider = crawler.spider
    return spider.stopping if isinstance(spider, StoreSpider) else not crawler.engine.running


def refuse_when_stopping(crawler: Crawler) -> None:
    """Raise IgnoreRequest when the crawl ends."""
    if is_stopping(crawler):
        raise IgnoreRequest("the crawl is stopping")


async def sleep(crawler: Crawler, seconds: float) -> None:
    """Sleep in short steps. Raises IgnoreRequest when the crawl ends meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        refuse_when_stopping(crawler)
        await asyncio.sleep(min(left, STEP))
