"""The run report: noted in the store at the start and the end, and what closes the session."""

from __future__ import annotations

import asyncio
import logging
import time

from scrapy import Spider, signals
from scrapy.crawler import Crawler

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.extensions.outcome import Outcome, outcome
from pyf_scrapy.spiders.store_spider import StoreSpider

logger = logging.getLogger(__name__)


class RunReport:
    """After the crawl `outcome` says what it came to; the command prints it and exits with its code."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.outcome: Outcome | None = None
        self._run: int | None = None
        crawler.signals.connect(self.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(self.spider_closed, signal=signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> RunReport:
        return cls(crawler)

    async def spider_opened(self, spider: Spider) -> None:
        if isinstance(spider, StoreSpider) and spider.session.is_open:
            self._run = await asyncio.to_thread(
                spider.session.store.start_run, spider.name, dict(spider.arguments), int(time.time())
            )

    async def spider_closed(self, spider: Spider, reason: str) -> None:
        if not isinstance(spider, StoreSpider):
            return
        session = spider.session
        if not session.is_open and spider.problem is None:
            reason = "failed"  # Scrapy's word is "shutdown" when a component failed to open
        if reason == "finished" and spider.problem is None and (error := spider.nothing_answered()):
            spider.problem = error
            logger.error("%s", error)
        try:
            if session.is_open:
                waiting = await asyncio.to_thread(session.waiting)
                self.crawler.stats.set_value("pyf/packages/waiting", waiting)
        except StoreError as error:
            spider.problem = spider.problem or error
        if reason == "shutdown" and spider.is_endless:
            reason = "finished"
        if reason == "finished":
            spider.problem = spider.problem or spider.complaint
        self.outcome = outcome(self.crawler.stats.get_stats(), reason, spider.problem)
        try:
            if self._run is not None:
                exit_code = self.outcome.exit_code
                figures = {**self.outcome.figures, "hosts": self.outcome.hosts}
                finish = session.store.finish_run
                await asyncio.to_thread(finish, self._run, reason, exit_code, figures, int(time.time()))
        except StoreError as error:
            logger.error("%s", error)
        finally:
            await session.close()
        told = {name: number for name, number in self.outcome.figures.items() if number}
        logger.info("%s %s", self.outcome.headline, told)
