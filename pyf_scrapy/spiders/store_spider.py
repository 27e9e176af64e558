"""`StoreSpider`: what all spiders have in common: one session, and first of all what is dirty."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self

import scrapy
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.http import Response
from twisted.python.failure import Failure

from pyf_scrapy.exceptions import FetchError, PyfError, StoreError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.profiles import unknown_classifiers
from pyf_scrapy.queue.connection import connect, redis_url
from pyf_scrapy.scheduler import SupplyScheduler
from pyf_scrapy.session import Session, Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.fetching import no_answer

logger = logging.getLogger(__name__)


class Wording(NamedTuple):
    """What a spider's progress is called: before it knows how much there is to do, then, and what is done."""

    before: str = "Reading the index"
    doing: str = "Checking projects"
    done: str = "projects checked"


class StoreSpider(scrapy.Spider):
    """Base of all spiders: their items are packages with their facts as the store has them.

    A spider overrides `requests`. Dirty packages of its profiles are passed on first, so that nothing
    stored stays unindexed. `problem` is the error that ended the crawl, if one did; `complaint` one that it
    goes on in spite of.
    """

    known_arguments: ClassVar[frozenset[str]] = arguments.COMMON

    arguments: Mapping[str, str]
    session: Session
    problem: PyfError | None = None
    complaint: PyfError | None = None
    #: of the log line that counts dirty packages
    dirty_level = logging.INFO
    wording = Wording()
    #: whether it adds no facts of its own, and may so run on a copy of another store
    on_copy: ClassVar[bool] = False

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        """The targets of a crawl with these arguments. Raises UsageProblem, before anything is opened."""
        arguments.refuse_unknown(str(cls.name), given, cls.known_arguments)
        arguments.positive("limit", given.get("limit"))
        if (url := redis_url(settings)) is not None:
            connect(url).close()  # its options
        return arguments.targets(given, settings)

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        given = arguments.own(kwargs)
        targets = cls.check_arguments(given, crawler.settings)
        spider = super().from_crawler(crawler)
        spider.setup(given, targets)
        return spider

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        """Take checked arguments; nothing is opened yet."""
        settings = self.settings
        self.arguments = given
        self.limit = arguments.positive("limit", given.get("limit"))
        self.session = Session(
            spider=self.name,
            settings=settings,
            targets=targets,
            now=datetime.now(UTC).date(),
            on_copy=self.on_copy,
        )
        for target in targets:
            for warning in (*target.profile.warnings, *unknown_classifiers(target.profile)):
                logger.warning("profile %s: %s", target.profile.key, warning)
        self._passing_on: set[str] = set()
        self._tried: set[str] = set()
        #: packages that left the pipelines and are not in the index, unless another run has sent them since
        self.unsettled: set[str] = set()
        #: packages that this run does not pass on again
        self.refused: set[str] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._places = asyncio.Semaphore(settings.getint("CONCURRENT_DIRTY_PACKAGES"))
        for signal in (signals.item_scraped, signals.item_dropped):
            self.crawler.signals.connect(self.item_done, signal=signal)
        self.crawler.signals.connect(self.item_failed, signal=signals.item_error)

    @property
    def is_endless(self) -> bool:
        """Whether to be interrupted is how it ends."""
        return False

    @property
    def is_passing_on(self) -> bool:
        """Whether stored packages are in the pipelines."""
        return bool(self._passing_on)

    @property
    def stopping(self) -> bool:
        """Whether the crawl ends: what is not under way yet is given up and left to the next run."""
        return self.problem is not None or not self.crawler.engine.running

    def count(self, key: str, number: int = 1) -> None:
        """Count something in Scrapy's stats."""
        self.crawler.stats.inc_value(key, number)

    async def start(self) -> AsyncIterator[Any]:
        """Pass on dirty packages, then yield `requests`, as fast as the engine takes them."""
        try:
            async for request in self.all_requests():
                await self._room()
                yield request
        except PyfError as error:
            if self.stopping:
                return  # by Ctrl-C, or by a problem that was told: what was given up says nothing new
            self.problem = error
            logger.error("%s", error)
            raise CloseSpider(reason="failed") from None

    async def all_requests(self) -> AsyncIterator[Request]:
        """The requests of the whole crawl, in order. Raises PyfError to end it."""
        async for request in self.dirty_packages():
            yield request
        async for request in self.requests():
            yield request

    async def _room(self) -> None:
        while self.crawler.engine.needs_backout() or self.scheduler.is_busy:
            await self.crawler.signals.wait_for(signals.scheduler_empty)

    @property
    def scheduler(self) -> SupplyScheduler:
        """That of the crawl."""
        scheduler = self.crawler.engine.scheduler
        assert isinstance(scheduler, SupplyScheduler), "SCHEDULER is ours"
        return scheduler

    async def supply(self, requests: Iterator[Request]) -> None:
        """Let the engine take requests whenever it wants some, until there are no more or the crawl ends.

        For very many: at most one is made before it is wanted, and `start` yields none of them, which costs
        more than making it.
        """
        used_up = self.scheduler.supply(requests)
        while not self.stopping and not used_up.done():
            await asyncio.wait([used_up], timeout=0.5)
        if used_up.done():
            used_up.result()

    def requests(self) -> AsyncIterator[Request]:
        """The spider's own requests, most wanted first. Raises PyfError to end the crawl."""
        raise NotImplementedError(f"{type(self).__name__} must say where packages come from")

    async def dirty_packages(self) -> AsyncIterator[Request]:
        """Packages whose stored facts are not in the index yet, a few at a time in the pipelines.

        They go through the engine as empty requests, because an item that `start` yields is not waited for
        when the spider closes (Scrapy 2.19).
        """
        store = self.session.store
        # A README that could not be rendered is tried again when its time has come.
        broken = sorted(await asyncio.to_thread(store.due, "description", int(time.time())) - self._tried)
        self._tried.update(broken)
        seen: set[str] = set()
        for profile in self.session.profiles:
            names = await asyncio.to_thread(list, store.dirty(profile.collection, profile))
            if names:
                logger.log(
                    self.dirty_level,
                    "%s: %d stored packages are not in the index yet",
                    profile.collection,
                    len(names),
                )
            if broken:
                names += await asyncio.to_thread(store.indexed, profile.collection, broken)
            for name in names:
                if name not in seen and name not in self._passing_on and name not in self.refused:
                    seen.add(name)
                    yield await self.pass_on_request(name)

    async def pass_on_request(self, name: str) -> Request:
        """The request that passes a stored package on, as soon as there is room in the pipelines."""
        await self._places.acquire()
        self._passing_on.add(name)
        return Request("data:,", callback=self.pass_on, cb_kwargs={"name": name}, dont_filter=True)

    async def pass_on(self, response: Response, name: str) -> AsyncIterator[PackageItem]:
        """A stored package -> its PackageItem."""
        try:
            item = await asyncio.to_thread(self.session.stored_item, name)
        except StoreError as error:
            self.end(error, reason="store_failed")
            return
        except Exception as error:  # a row that nobody can read costs its package only
            self.count("pyf/packages/failed")
            await self.session.fail(name, "pipeline", f"stored facts cannot be read: {no_answer(error)}")
            self.refused.add(name)
            self._release(name)
            return
        if item is None:
            self._release(name)
            return
        self.count("pyf/packages/passed_on")
        yield item

    def item_left(self, item: PackageItem) -> None:
        """An item has left the pipelines: in the index, dropped or failed."""
        if item.settled:
            self.unsettled.discard(item.normalized_name)
        else:
            self.unsettled.add(item.normalized_name)
        self._release(item.normalized_name)

    def item_done(self, item: Any) -> Awaitable[None] | None:
        """An item is in the index or dropped. Each listener costs a task: what there is to await is the
        exception."""
        if isinstance(item, PackageItem):
            self.item_left(item)
        return None

    async def item_failed(self, item: Any, failure: Failure) -> None:
        """A pipeline failed in a way that nobody foresaw: the package is named, and stays dirty."""
        if isinstance(item, PackageItem):
            self.item_left(item)
            self.count("pyf/packages/failed")
            await self.session.fail(item.normalized_name, "pipeline", str(no_answer(failure.value)))

    def _release(self, name: str) -> None:
        if name in self._passing_on:
            self._passing_on.discard(name)
            self._places.release()

    def nothing_answered(self) -> FetchError | None:
        """The error of a crawl that asked for few packages and got no answer for any."""
        return None

    def end(self, error: PyfError, *, reason: str) -> None:
        """End the crawl because of one error: one line in the log, what is under way is given up."""
        if self.problem is not None:
            return
        self.problem = error
        logger.error("%s", error)
        # Not awaited: closing waits for the callback or pipeline that calls this.
        closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason=reason))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
