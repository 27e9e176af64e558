"""`PackageSpider`: everything about fetching a project. The spiders only say where names come from."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any

from scrapy import Request
from scrapy.http import Response
from scrapy.settings import BaseSettings
from twisted.python.failure import Failure

from pyf_scrapy.exceptions import FetchError, NoProjectError, ParseError, PyfError, StaleError, StoreError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.session import Target
from pyf_scrapy.spiders.asking import Ask, AskingSpider
from pyf_scrapy.spiders.collecting import Collector
from pyf_scrapy.spiders.fetching import InlineFetch, PyPI, no_answer, pypi_slot
from pyf_scrapy.store import UnstorableError
from pyf_scrapy.sync.staleness import retry_delay

logger = logging.getLogger(__name__)

#: After so many packages in a row without any answer another one, which is known to be well, tells whether
#: PyPI is down or they are broken; after very many PyPI is not as it should be, whatever it tells.
SUSPICIOUS_AFTER = 20
DOWN_AFTER = 500


class PackageSpider(AskingSpider):
    """Base of the spiders that fetch projects from PyPI and emit one PackageItem for each.

    A spider overrides `requests`. An answer older than promised is asked for again later, beside all others.
    """

    pypi: PyPI
    full = False

    @classmethod
    def update_settings(cls, settings: BaseSettings) -> None:
        """Keep PYPI_MAX_RPS by the download slot of PyPI's host: one figure for the whole process."""
        super().update_settings(settings)
        concurrency = settings.getint("PYPI_CONCURRENCY")
        settings.set("CONCURRENT_REQUESTS", concurrency, priority="spider")
        settings.set("CONCURRENT_REQUESTS_PER_DOMAIN", concurrency, priority="spider")
        settings.set("DOWNLOAD_SLOTS", pypi_slot(settings), priority="spider")

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        settings = self.settings
        self.pypi = PyPI(
            str(settings["PYPI_URL"]),
            InlineFetch(
                self.crawler, settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN"), lambda: self.stopping
            ),
        )
        self.collector = Collector(self.session, self.pypi, self.count, lambda: self.stopping, full=self.full)
        self.patience = settings.getfloat("STALE_PATIENCE")
        self.prepare_asking()
        #: names that wait in the store's queue and are asked about here
        self.queued: set[str] = set()
        self._asked = 0
        self._fruitless = 0
        self._silence: PyfError | None = None
        #: a package that PyPI had an answer about, or surely has
        self.well: str | None = None

    # -- where packages come from -----------------------------------------------------------------

    async def all_requests(self) -> AsyncIterator[Request]:
        """Dirty packages, then `requests` made by `project_request`, most wanted first, and between them what
        is asked again, until nothing is open."""
        for requests in (super().all_requests(), self.open_requests()):
            async for request in requests:
                for due in self.due_requests():
                    yield due
                yield request
        if self._silence is not None and not self.stopping:
            await self._still_answers()

    @property
    def is_limited(self) -> bool:
        """Whether `limit` is reached."""
        return self.limit is not None and self._asked >= self.limit

    def project_request(self, ask: Ask) -> Request | None:
        """The request of a new question, or None when `limit` is reached."""
        if self.is_limited:
            return None
        self._asked += 1
        if ask.name in self.queued:
            self.count("pyf/projects/queued")
        return self.ask(ask)

    def request_for(self, ask: Ask) -> Request:
        """The request of a question for a project's JSON."""
        return Request(
            self.pypi.project_url(ask.name),
            headers={"If-None-Match": ask.etag} if ask.etag else None,
            callback=self.parse_project,
            errback=self.project_failed,
            cb_kwargs={"ask": ask},
            meta={
                "verbatim_url": True
            },  # it is quoted; Scrapy's own quoting takes as long as making a request
            dont_filter=True,
        )

    # -- answers ----------------------------------------------------------------------------------

    async def parse_project(self, response: Response, ask: Ask) -> AsyncIterator[PackageItem]:
        """A project's JSON -> its PackageItem, a question for later, or a failure in the store."""
        self.count("pyf/projects/fetched")
        try:
            item = await self.understand(response, ask)
        except (FetchError, ParseError, UnstorableError) as error:
            await self.failed(ask, error)
        except StoreError as error:
            self.end(error, reason="store_failed")
        else:
            self._fruitless, self.well = 0, ask.name
            if item is not None:
                yield item
            elif self.open_asks[ask.name] == 1:  # else it is asked again
                await self.dealt_with(ask.name)
        finally:
            self.closed_ask(ask)

    async def understand(self, response: Response, ask: Ask) -> PackageItem | None:
        """The item of an answer, None when there is nothing new in it. A stale one is asked for again.

        Raises FetchError, ParseError, StoreError.
        """
        item, fresh = await self.collector.collect(response, ask)
        if not fresh:
            delay = retry_delay(ask.attempt + 1, self.patience_for(ask))
            if delay is not None:
                self.ask_later(delay, ask.again())
            else:
                try:
                    item, fresh = await self.collector.collect_round(ask), True
                except (FetchError, ParseError) as error:
                    if item is None:
                        raise
                    await self.failed(ask, error)
        if item is not None:
            item.fresh, item.keys = fresh, ask.keys
        return item

    def patience_for(self, ask: Ask) -> float:
        """Seconds for which a project is asked again when its answers are older than promised."""
        return self.patience

    async def project_failed(self, failure: Failure) -> None:
        """No answer at all (refused, timed out, too large, cut off): a failure in the store."""
        ask = failure.request.cb_kwargs["ask"]  # type: ignore[attr-defined]  # Scrapy sets it
        try:
            await self.failed(ask, no_answer(failure.value))
        finally:
            self.closed_ask(ask)

    async def failed(self, ask: Ask, error: PyfError) -> None:
        """Note a package that could not be fetched; end the crawl when nothing answers any more."""
        if self.stopping:
            return
        self.count("pyf/packages/failed")
        logger.warning("%s: %s", ask.name, error)
        is_silence = isinstance(error, FetchError) and error.transport
        self._fruitless = self._fruitless + 1 if is_silence else 0
        self._silence = error if self._fruitless else None
        if not self._fruitless or self._fruitless % SUSPICIOUS_AFTER:
            await self._note_failure(ask, error)
            return
        is_down = self._fruitless >= DOWN_AFTER
        with self.scheduler.held():  # a PyPI in trouble is not asked for more meanwhile
            await self._note_failure(ask, error)
            is_down = is_down or not await self._still_answers()
            # Meanwhile the crawl may have been stopped, or another package answered.
            if is_down and self._fruitless and not self.stopping:
                self.source_is_down(self._source_down(error))

    async def _note_failure(self, ask: Ask, error: PyfError) -> None:
        stage = "stale" if isinstance(error, StaleError) else "project"
        try:
            await self.session.fail(ask.name, stage, str(error))
        except StoreError as store_error:
            self.end(store_error, reason="store_failed")
            return
        if isinstance(error, NoProjectError):
            await self.dealt_with(ask.name)

    def item_done(self, item: Any) -> Awaitable[None] | None:
        super().item_done(item)
        if (
            isinstance(item, PackageItem)
            and item.normalized_name in self.queued
            and not item.stored
            and item.fresh
            and (item.settled or item.noted)
        ):
            return self.dealt_with(item.normalized_name)
        return None

    async def item_failed(self, item: Any, failure: Failure) -> None:
        await super().item_failed(item, failure)
        # With a revision its facts are stored: it is passed on until the index has it.
        if isinstance(item, PackageItem) and not item.stored and item.revision:
            await self.dealt_with(item.normalized_name)

    async def dealt_with(self, name: str) -> None:
        """A package is in the index, stored, noted as of no profile, or PyPI has none of this name: it waits
        in the queue no longer. Not so when there was no usable answer: the next run asks again."""
        if name not in self.queued:
            return
        self.queued.discard(name)
        try:
            await self.session.writer.dequeue(name)
        except StoreError as error:
            self.end(error, reason="store_failed")

    async def _still_answers(self) -> bool:
        """Whether PyPI has just now an answer about a package that is known to be well, though it may be that
        there is none any more. Broken projects that stand next to each other must not keep all others from
        their turn."""
        name = self.well or await asyncio.to_thread(self._well_in_store)
        if name is None:
            return False
        try:
            await self.pypi.project(name)
        except FetchError as error:
            if error.transport:
                return False
        self._silence = None
        return True

    def _well_in_store(self) -> str | None:
        """A package of the profiles that has not failed and is not being asked about."""
        store = self.session.store
        others = {row.normalized_name for row in store.failures()} | self.open_asks.keys()
        members = (name for profile in self.session.profiles for name in store.members(profile))
        return next((name for name in members if name not in others), None)

    def source_is_down(self, error: FetchError) -> None:
        """Nothing answers any more."""
        self.end(error, reason="source_down")

    def nothing_answered(self) -> FetchError | None:
        """The error of a crawl that asked for few packages and got no answer for any."""
        fetched = self.crawler.stats.get_value("pyf/projects/fetched", 0)
        return self._source_down(self._silence) if self._silence and not fetched else None

    def _source_down(self, error: PyfError) -> FetchError:
        return FetchError(
            f"{self.pypi.base} does not answer ({error}): check PYPI_URL, or run the same command later"
        )
