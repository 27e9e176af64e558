"""A crawl of `pypi` that any number of workers share: who leads writes names to Redis, all fetch them.

The leader is a worker like the others. It compares PyPI's index with the store, writes what differs to the
queue, a little ahead of the workers, and compares again when the queue is empty: what a killed worker had
taken, or Redis has forgotten, still differs and is written again. The crawl is over when nothing differs but
what failed in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from scrapy import Request

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.queue.messages import Message, decode, encode
from pyf_scrapy.queue.sharing import Crawl, SharedQueue, low_water
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.queue_reader import QueueReader
from pyf_scrapy.store.index_file import NO_SERIAL, IndexFile
from pyf_scrapy.sync.staleness import Promise
from pyf_scrapy.sync.work_list import WorkList

if TYPE_CHECKING:
    from pyf_scrapy.spiders.pypi import PypiSpider

logger = logging.getLogger(__name__)

#: Seconds between two looks: of a worker whether there is more, of the leader whether workers need more.
_LOOK = 0.2
#: Seconds within which each worker tells a Redis that had lost it, or was away, what it works on.
_SETTLED = 5
#: Times that a name is written in one crawl whose answer did not help: then it is left to the next.
_MOST_TIMES = 5


class SharedWork(QueueReader):
    """The part of one worker. `requests` gives its requests; `close` hands back what it has not used."""

    def __init__(self, spider: PypiSpider, queue: SharedQueue) -> None:
        super().__init__(spider, queue)
        self.spider: PypiSpider = spider
        self._to_pass_on: deque[str] = deque()
        self._joined: str | None = None
        self._is_over = False
        self._problem: BaseException | None = None
        self._beating: asyncio.Task[None] | None = None
        self._leading: asyncio.Task[None] | None = None
        self._crawl: Crawl | None = None  # while this worker leads

    async def requests(self) -> AsyncIterator[Request]:
        """What this worker asks, until the crawl is over. Raises QueueError when Redis cannot be reached at
        the beginning, and what the leader's part raises."""
        await self.first(self.queue.length)
        await self.beat()
        self._beating = self._in_background(self.keep_beating())
        try:
            async for request in self._requests():
                yield request
        finally:
            self._cancel()

    async def close(self) -> None:
        self._cancel()
        await super().close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin work whose failure is that of the crawl: a leader that is dead would lead for ever."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._problem = error

        task = asyncio.ensure_future(work)
        task.add_done_callback(ended)
        return task

    def _cancel(self) -> None:
        for task in (self._leading, self._beating):
            if task is not None:
                task.cancel()

    async def _requests(self) -> AsyncIterator[Request]:
        spider = self.spider
        while not spider.stopping and not self._is_over:
            if self._problem is not None:
                raise self._problem
            while self._to_pass_on:
                yield await spider.pass_on_request(self._to_pass_on.popleft())
            for due in spider.due_requests():
                yield due
            if await self.fill():
                await spider.supply(self._supplied())
                if spider.is_limited:
                    return
            else:
                await asyncio.sleep(_LOOK)

    def _supplied(self) -> Iterator[Request]:
        """The requests for what was taken from the queue, and what is due, until `limit`."""
        spider = self.spider
        while not spider.is_limited and (message := self.taken()) is not None:
            if message.name in spider.open_asks:
                continue
            if message.queued:
                spider.queued.add(message.name)
            serial = message.serial if message.serial != NO_SERIAL else None
            request = spider.project_request(
                Ask(message.name, Promise(serial=serial), unlisted=message.unlisted)
            )
            assert request is not None, "limit= is not reached"
            yield from spider.due_requests()
            yield request
            if self._problem is not None or self._to_pass_on:
                return

    # -- a worker ---------------------------------------------------------------------------------

    async def beat(self) -> None:
        """Say that we live and what we hold; lead if nobody does; see whether the crawl is over."""
        queue = self.queue
        await super().beat()
        leads = await asyncio.to_thread(queue.lead)
        crawl = await asyncio.to_thread(queue.crawl)
        if crawl is not None and crawl.done and crawl.id == self._joined:
            self._is_over = True  # and the lead, if its leader has just left it to us, is for nothing
            return
        if leads and self._crawl is None:
            if crawl is None or crawl.done:
                crawl = Crawl(secrets.token_hex(8), int(time.time()))
            self._crawl = crawl
            self._leading = self._in_background(self._lead(crawl))
        if leads and self._crawl is not None and not self._crawl.done:
            crawl = self._crawl
            await asyncio.to_thread(queue.save_crawl, crawl)  # Redis may have lost it
        if not leads and self._leading is not None and self._crawl is not None and not self._crawl.done:
            logger.info("Another worker leads the crawl now")
            self._leading.cancel()
            self._leading, self._crawl = None, None
        if crawl is not None and not crawl.done:
            self._joined = crawl.id

    # -- the leader -------------------------------------------------------------------------------

    async def _lead(self, crawl: Crawl) -> None:
        """Raises FetchError, ParseError, StoreError."""
        logger.info("This worker leads the crawl")
        await self._distribute(crawl)
        self._crawl = ended = Crawl(crawl.id, crawl.began, done=True)
        await self.surely(lambda: self.queue.save_crawl(ended))
        self._is_over = True

    async def _distribute(self, crawl: Crawl) -> None:
        """Write names until nothing differs but what failed. Raises FetchError, ParseError, StoreError."""
        spider = self.spider
        refresh = spider.settings.getfloat("INDEX_REFRESH") or math.inf
        index = await spider.read_index()
        read_at = time.monotonic()
        full, times, passed = spider.full, Counter[str](), set[str]()
        for number in itertools.count():
            # First, or what is answered in between would be neither up to date nor in work.
            busy = await self._busy()
            work = await asyncio.to_thread(spider.compute_work, index, full=full)
            full = False
            spider.report(work)
            await spider.doubt(work)
            spider.ask_queued()
            left_out = busy | await asyncio.to_thread(spider.failed_since, crawl.began)
            written = 0
            for messages in _batches(self._messages(index, work), low_water({})):
                some = [m for m in messages if m.name not in left_out and times[m.name] < _MOST_TIMES]
                if number:  # of the first round there may be a million
                    times.update(message.name for message in some)
                written += len(some)
                await self._write(some)
                if time.monotonic() - read_at >= refresh:
                    break
            dirty = await asyncio.to_thread(self._dirty, busy | passed)
            passed.update(dirty)
            self._to_pass_on.extend(dirty)
            if not (written or dirty or busy):
                return
            await self._until_idle(refresh - (time.monotonic() - read_at))
            if time.monotonic() - read_at >= refresh:
                index, read_at = await spider.newer_index() or index, time.monotonic()

    def _messages(self, index: IndexFile, work: WorkList) -> Iterator[Message]:
        """What is to be asked, most wanted first."""
        queued = self.spider.queued
        for ask in self.spider.take_unlisted():
            yield Message(ask.name, unlisted=ask.unlisted, queued=ask.name in queued)
        for place in work:
            name, _, serial = index.entry_at(place)
            yield Message(name, serial, queued=name in queued)

    async def _busy(self) -> set[str]:
        """What waits in the queue or is held by a living worker."""
        known = min(await self.surely(self.queue.age), time.monotonic() - self.found_at)
        await asyncio.sleep(max(0.0, _SETTLED - known))
        waiting = await self.surely(self.queue.waiting)
        await asyncio.sleep(_LOOK)  # what was taken a moment ago is held by then
        held = await self.surely(self.queue.held)
        for data in waiting:
            with contextlib.suppress(ParseError):
                held.add(decode(data).name)
        return held

    def _dirty(self, others: set[str]) -> list[str]:
        store, profiles = self.spider.session.store, self.spider.session.profiles
        names = {name for profile in profiles for name in store.dirty(profile.collection, profile)}
        return sorted(names - others)

    async def _write(self, messages: list[Message]) -> None:
        """Write messages as soon as the workers need more."""
        if not messages:
            return
        while await self.surely(self.queue.length) >= low_water(await self.surely(self.queue.alive)):
            await asyncio.sleep(_LOOK)
        data = [encode(message) for message in messages]
        await self.surely(lambda: self.queue.push(data))

    async def _until_idle(self, seconds: float) -> None:
        """Wait until nothing waits and nobody holds anything, `seconds` at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(_LOOK)
            waiting = await self.surely(self.queue.length)
            if waiting or self._to_pass_on or self.spider.is_passing_on:
                continue
            if not await self._busy():
                return


def _batches(messages: Iterator[Message], size: int) -> Iterator[list[Message]]:
    while some := list(itertools.islice(messages, size)):
        yield some
