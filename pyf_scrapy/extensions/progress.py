"""Progress of a crawl: a bar with rate and time left on a terminal, a log line now and then otherwise."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.utils.asyncio import AsyncioLoopingCall, create_looping_call
from scrapy.utils.log import get_scrapy_root_handler
from twisted.internet.task import LoopingCall

from pyf_scrapy.spiders.store_spider import StoreSpider, Wording

logger = logging.getLogger(__name__)


def duration(seconds: float) -> str:
    """About how long: "40 s", "12 min", "49 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


class ProgressExtension:
    """Reads the crawl's stats each half second (bar) or each `PROGRESS_INTERVAL` seconds (log line)."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.interval = crawler.settings.getfloat("PROGRESS_INTERVAL")
        self.bar: Progress | None = None
        self._loop: AsyncioLoopingCall | LoopingCall | None = None
        self._started = 0.0
        self._wording = Wording()
        crawler.signals.connect(self.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(self.spider_closed, signal=signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> ProgressExtension:
        return cls(crawler)

    def spider_opened(self, spider: Spider) -> None:
        if not isinstance(spider, StoreSpider) or spider.problem is not None:
            return
        self._started = time.monotonic()
        self._wording = spider.wording
        if sys.stderr.isatty() and not self.crawler.settings["LOG_FILE"]:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.add_task(spider.wording.before, total=None, rate="")
            self.bar.start()
            # While the bar is shown, what goes to sys.stderr is printed above it.
            self._log_to(sys.stderr)
        self._loop = create_looping_call(self.tick)
        self._loop.start(0.5 if self.bar is not None else self.interval, now=False)

    def spider_closed(self, spider: Spider, reason: str) -> None:
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        if self.bar is not None:
            self.tick()
            self.bar.stop()
            self._log_to(sys.stderr)

    def _log_to(self, stream: TextIO) -> None:
        handler = get_scrapy_root_handler()
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)

    def tick(self) -> None:
        stats = self.crawler.stats
        done = stats.get_value("pyf/projects/done", 0)
        total = stats.get_value("pyf/projects/to_check")
        rate = done / max(time.monotonic() - self._started, 0.001)
        if self.bar is not None:
            text = self._wording.before if total is None else self._wording.doing
            self.bar.update(
                self.bar.task_ids[0], description=text, completed=done, total=total, rate=f"{rate:.1f}/s"
            )
        elif total or done:
            # Of a shared crawl only the leader knows how much there is, and after a round what is left of it.
            is_known = total is not None and total >= done
            left = f", about {duration((total - done) / rate)} left" if is_known and rate else ""
            logger.info(
                "%d%s %s (%.1f/s%s), %d packages indexed, %d failed",
                done,
                f" of {total}" if is_known else "",
                self._wording.done,
                rate,
                left,
                stats.get_value("pyf/packages/indexed", 0),
                stats.get_value("pyf/packages/failed", 0),
            )
