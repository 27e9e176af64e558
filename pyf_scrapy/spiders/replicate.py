"""`scrapy crawl replicate`: facts come from another instance (`scrapy serve`), whose copy this one is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Mapping
from datetime import UTC, datetime
from typing import Any

from scrapy import Request

from pyf_scrapy.exceptions import FetchError, SourceReplacedError, UsageProblem
from pyf_scrapy.replication.client import SourceBusyError, checked_url, opened
from pyf_scrapy.replication.copying import STAGE, Received, begin_copy, receive, shown_scope
from pyf_scrapy.replication.lines import MAX_LINE, TooLarge
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.store_spider import Wording
from pyf_scrapy.store import Store
from pyf_scrapy.store.copies import CopyState

logger = logging.getLogger(__name__)

_LAST_SECONDS = 5.0

#: Times in a row that a source may be cut off before it sent a whole page.
PATIENCE = 5


class ReplicateSpider(EnrichmentSpider):
    """Copies what the source has and this store lacks, then indexes what changed; with `follow` again and
    again. Neither PyPI nor any other service is asked."""

    name = "replicate"
    known_arguments = frozenset({"url", "profile", "collection", "releases", "whole", "follow", "anew"})
    on_copy = True
    wording = Wording("Copying", "Indexing what changed", "packages judged")

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        if "url" not in given:
            raise UsageProblem("which source? give url=http(s)://HOST[:PORT] of its `scrapy serve`")
        checked_url(given["url"])
        arguments.positive("follow", given.get("follow"))
        arguments.flag("whole", given.get("whole"))
        arguments.flag("anew", given.get("anew"))
        return super().check_arguments(given, settings)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        self.url = checked_url(given["url"])
        self.follow = arguments.positive("follow", given.get("follow"))
        is_whole = arguments.flag("whole", given.get("whole"))
        self.scope = None if is_whole else tuple(target.profile.key for target in targets)
        self.anew = arguments.flag("anew", given.get("anew"))
        self._backoff = self.settings.getfloat("PYPI_RETRY_BACKOFF")

    @property
    def is_endless(self) -> bool:
        return self.follow is not None

    async def requests(self) -> AsyncIterator[Request]:
        store = self.session.store
        state = await asyncio.to_thread(begin_copy, store, self.url, self.scope, anew=self.anew)
        while True:
            try:
                state = await self._copy(state)
            except SourceBusyError as error:
                if self.follow is None:
                    raise
                logger.warning("%s; trying again in %d s", error, self.follow)
            async for request in self.dirty_packages():
                yield request
            while self.is_passing_on and not self.stopping:
                await asyncio.sleep(0.05)  # what is forgotten has to leave the index first
            await asyncio.to_thread(store.purge_forgotten)
            if self.follow is None:
                return
            await self.wait(self.follow)
            async for request in self._new_day():
                yield request

    async def _copy(self, state: CopyState) -> CopyState:
        """Read until there is nothing left; returns how far that is. Raises ReplicationError, FetchError."""
        failed = 0
        if not state.cursor:
            logger.info("Copying %s of %s", shown_scope(state.scope), state.source)
        while True:
            try:
                async for received in self._pages(state):
                    state, failed = received.state, 0
                    self.count("pyf/replication/projects", received.projects + received.gone)
                    self.count("pyf/replication/events", received.events)
                    for line in received.left_out:
                        await self._left_out(line)
                    if received.done:
                        return state
                raise SourceBusyError(f"{state.source} was cut off")
            except SourceBusyError as error:
                failed += 1
                if failed > PATIENCE:
                    raise
                delay = error.retry_after or self._backoff * 2**failed
                logger.info("%s; going on in %.1f s", error, delay)
            except SourceReplacedError as error:
                raise SourceReplacedError(
                    f"{error}; `scrapy replicate {self.url} --anew` copies it"
                ) from None
            await self.wait(delay)

    async def _left_out(self, line: TooLarge) -> None:
        """Count and name a package that the source could not send."""
        reason = f"its line of {line.size:,} bytes is longer than {MAX_LINE:,}, or has too many elements"
        logger.warning("%s is not copied: %s", line.normalized_name, reason)
        self.count("pyf/packages/failed")
        await self.session.fail(line.normalized_name, STAGE, reason)

    async def _pages(self, state: CopyState) -> AsyncIterator[Received]:
        """Write what one answer of the source brings, a page at a time in a thread."""
        pages = _received(self.session.store, state)
        step: asyncio.Future[Received | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, pages, None))
                step.add_done_callback(_seen)
                received = await asyncio.shield(step)
                if received is None:
                    return
                yield received
                if self.stopping:
                    raise FetchError("the crawl is stopping", transport=True)
        finally:
            # Interrupted: a page that was read is still written, but a silent source is not waited for.
            if step is not None and not step.done():
                await asyncio.wait([step], timeout=_LAST_SECONDS)
            if step is None or step.done():
                await asyncio.to_thread(pages.close)
            else:
                step.add_done_callback(lambda _: pages.close())

    async def _new_day(self) -> AsyncIterator[Request]:
        """Ages are in days: on the next one all packages are judged again."""
        today = datetime.now(UTC).date()
        if today == self.session.now:
            return
        self.session.now = today
        for name in await asyncio.to_thread(self.member_names):
            yield await self.pass_on_request(name)


def _seen(step: asyncio.Future[Received | None]) -> None:
    """Look at an error that nobody waits for any more: asyncio would log it."""
    if not step.cancelled():
        step.exception()


def _received(store: Store, state: CopyState) -> Generator[Received, None, None]:
    with opened(state) as lines:
        yield from receive(store, state, lines)
