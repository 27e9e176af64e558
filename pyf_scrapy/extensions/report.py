"""The run report: in the store and as a file, at the end of a run; and what closes the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from scrapy import Spider, signals
from scrapy.crawler import Crawler

from pyf_scrapy import __version__
from pyf_scrapy.exceptions import AlreadyRunningError, PyfError, StoreError
from pyf_scrapy.extensions.outcome import Outcome, outcome
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.store_spider import StoreSpider
from pyf_scrapy.store import run_reports
from pyf_scrapy.store.lags import Lags, lags

logger = logging.getLogger(__name__)


class RunReport:
    """After the crawl `outcome` says what it came to; the command prints it and exits with its code.

    A spider that runs until it is interrupted writes its file each RUN_REPORT_INTERVAL seconds, too: who
    looks after it need not wait for its end, and a kill leaves the last one.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.kept = crawler.settings.getint("RUNS_KEPT")
        self.interval = crawler.settings.getfloat("RUN_REPORT_INTERVAL")
        self.outcome: Outcome | None = None
        self._run: int | None = None
        self._started_at = int(time.time())
        self._began = time.monotonic()
        self._over = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        crawler.signals.connect(self.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(self.spider_closed, signal=signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> RunReport:
        return cls(crawler)

    async def spider_opened(self, spider: Spider) -> None:
        if not isinstance(spider, StoreSpider) or not spider.session.is_open:
            return
        await asyncio.to_thread(self._start_run, spider)
        if spider.is_endless:
            self._writing = asyncio.create_task(self._write_now_and_then(spider))

    async def spider_closed(self, spider: Spider, reason: str) -> None:
        if not isinstance(spider, StoreSpider):
            return
        self._over.set()
        session = spider.session
        if not session.is_open and spider.problem is None:
            reason = "failed"  # Scrapy's word is "shutdown" when a component failed to open
        if reason == "finished" and spider.problem is None and (error := spider.nothing_answered()):
            spider.problem = error
            logger.error("%s", error)
        try:
            if session.is_open:
                waiting = await asyncio.to_thread(session.waiting)
                self.crawler.stats.set_value("pyf/packages/waiting", len(waiting))
                # The others are on their way from another run, which is at work just now.
                ours = spider.unsettled.intersection(waiting)
                self.crawler.stats.set_value("pyf/packages/unsettled", len(ours))
        except StoreError as error:
            spider.problem = spider.problem or error
        if reason == "shutdown" and spider.is_endless:
            reason = "finished"
        if reason == "finished":
            spider.problem = spider.problem or spider.complaint
        self.outcome = outcome(self.crawler.stats.get_stats(), reason, spider.problem)
        try:
            await asyncio.to_thread(self._finish_run, spider, self.outcome)
            if self._writing is not None:
                await self._writing
            await asyncio.to_thread(self._write, spider, self.outcome, is_over=True)
        finally:
            await session.close()
        told = {name: number for name, number in self.outcome.figures.items() if number}
        logger.info("%s %s", self.outcome.headline, told)

    def _start_run(self, spider: StoreSpider) -> None:
        start = spider.session.store.start_run
        self._run = start(spider.name, _arguments(spider), self._started_at)

    def _finish_run(self, spider: StoreSpider, outcome: Outcome) -> None:
        """Note in the store how the run ended, also of one whose search server could not be opened."""
        stats = {**outcome.figures, "hosts": outcome.hosts, "profiles": _profiles(spider)}
        try:
            if self._run is None and spider.session.has_store:
                self._start_run(spider)
            if self._run is not None:
                finish = spider.session.store.finish_run
                finish(self._run, outcome.reason, outcome.exit_code, stats, int(time.time()))
        except StoreError as error:
            logger.error("%s", error)

    async def _write_now_and_then(self, spider: StoreSpider) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self.interval)
                return
            so_far = outcome(self.crawler.stats.get_stats(), "finished", None)
            await asyncio.to_thread(self._write, spider, so_far, is_over=False)

    def _write(self, spider: StoreSpider, outcome: Outcome, *, is_over: bool) -> None:
        """Write the report as a file. What keeps it from being written costs nothing else."""
        if not self.kept or outcome.exit_code == AlreadyRunningError.exit_code:
            return
        folder = spider.session.data_dir
        try:
            run_reports.write_report(folder, self._report(spider, outcome, is_over=is_over))
            # Without the lock another run may just be writing its own.
            has_lock = spider.session.has_store
            run_reports.prune_reports(folder, spider.name, self.kept, parts=has_lock)
        except PyfError as error:
            logger.warning("This run has no report: %s", error)

    def _report(self, spider: StoreSpider, outcome: Outcome, *, is_over: bool) -> run_reports.Report:
        session = spider.session
        return run_reports.Report(
            run=self._run,
            spider=spider.name,
            arguments=_arguments(spider),
            profiles=_profiles(spider),
            collections=[target.profile.collection for target in session.targets],
            version=__version__,
            started_at=self._started_at,
            finished_at=int(time.time()) if is_over else None,
            seconds=round(time.monotonic() - self._began, 1),
            reason=outcome.reason if is_over else None,
            exit_code=outcome.exit_code if is_over else None,
            headline=outcome.headline if is_over else "Still running.",
            problem=str(spider.problem) if spider.problem is not None else None,
            figures=outcome.figures,
            hosts={
                host: run_reports.HostReport(**figures, statuses=outcome.statuses.get(host, {}))
                for host, figures in outcome.hosts.items()
            },
            failures=session.failures,
            lags=_lags(session),
        )


def _arguments(spider: StoreSpider) -> dict[str, str]:
    """The arguments as text that can be stored: the name of a file need not be UTF-8."""
    return {name: value.encode(errors="replace").decode() for name, value in spider.arguments.items()}


def _profiles(spider: StoreSpider) -> list[str]:
    return [target.profile.key for target in spider.session.targets]


def _lags(session: Session) -> Lags | None:
    """How long ago each source was asked; None when the store cannot tell."""
    if not session.is_open:
        return None
    store = session.store
    try:
        members = {name for profile in session.profiles for name in store.members(profile)}
        return lags(store, session.data_dir, members, int(time.time()))
    except StoreError:
        return None
