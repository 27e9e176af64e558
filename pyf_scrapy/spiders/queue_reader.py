"""Names that others have written to Redis, read by one worker; while Redis is gone it waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pyf_scrapy.exceptions import ParseError, QueueError
from pyf_scrapy.queue.messages import Message, decode
from pyf_scrapy.spiders.base import PackageSpider

if TYPE_CHECKING:
    from pyf_scrapy.queue.sharing import SharedQueue

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks at an empty queue, or for a Redis that cannot be reached.
AGAIN = 1.0
#: Seconds between two words of a worker.
BEAT = 2.0
#: So many messages are taken at a time, of the requests that this worker has at a time.
_TAKEN = 2
#: Seconds for which a start waits for Redis: later a pause has no end, but a wrong REDIS_URL must show.
_PATIENCE = 30.0


class QueueReader:
    """Reads messages for a spider, some at a time. `close` puts back what it has taken and not used."""

    def __init__(self, spider: PackageSpider, queue: SharedQueue) -> None:
        self.spider = spider
        self.queue = queue
        self.concurrency = spider.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        self._buffer: deque[tuple[bytes, Message]] = deque()
        self._taking: asyncio.Future[bool] | None = None
        self._is_lost = False
        self.found_at = 0.0  # monotonic; when Redis had been away last
        # What is taken must be in what is told, or others take it for free.
        self._telling = asyncio.Lock()

    @property
    def unused(self) -> set[str]:
        """What was taken and not used yet."""
        return {message.name for _, message in self._buffer}

    @property
    def held(self) -> set[str]:
        """What this worker works on."""
        return self.unused | self.spider.open_asks.keys()

    def word(self) -> Callable[[], None]:
        """What says that this worker is alive and what it works on just now; blocking, raises QueueError."""
        # Taken here, on the loop, which changes it while a thread would read it.
        return partial(self.queue.report, self.held, self.concurrency)

    async def beat(self) -> None:
        """Say the word. Raises QueueError."""
        async with self._telling:
            await asyncio.to_thread(self.word())

    async def keep_beating(self) -> None:
        """Do so again and again, whatever keeps the worker waiting."""
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self.beat()
            except QueueError as error:
                await self.pause(error)
            else:
                self.found()

    async def first(self, work: Callable[[], T]) -> T:
        """The result of what needs Redis at the start. Raises QueueError when it does not come up."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return await asyncio.to_thread(work)
            except QueueError as error:
                if time.monotonic() > end:
                    raise
                await self.pause(error)

    def taken(self) -> Message | None:
        """The next of what `fill` has taken, None when all is used."""
        return self._buffer.popleft()[1] if self._buffer else None

    async def fill(self) -> bool:
        """Take some messages when none is left, set aside what nobody understands; whether there is one."""
        while not self._buffer:
            # It goes on when who waits for it is cancelled: `close` gives back what it gets.
            self._taking = asyncio.ensure_future(self._take_some())
            if not await asyncio.shield(self._taking):
                break
        return bool(self._buffer)

    async def _take_some(self) -> bool:
        async with self._telling:
            some = await self.tried(self._take)
            if some is None or not (some.messages or some.refused):
                return False
            self._buffer.extend(some.messages)
        for data, error in some.refused:
            self.spider.count("pyf/queue/set_aside")
            logger.warning("A message of the queue is set aside: %s", error)
            await self.tried(partial(self.queue.set_aside, data))
        return True

    async def close(self) -> None:
        """End: others may go on at once with what was not used here."""
        if self._taking is not None:
            await asyncio.wait([self._taking])
        with contextlib.suppress(QueueError):
            await asyncio.to_thread(self.queue.give_back, [data for data, _ in self._buffer])
            await asyncio.to_thread(self.queue.retire, self.concurrency)
        await asyncio.to_thread(self.queue.close)

    async def tried(self, work: Callable[[], T]) -> T | None:
        """The result of what needs Redis; None when it cannot be reached, which is a pause and no end."""
        try:
            result = await asyncio.to_thread(work)
        except QueueError as error:
            await self.pause(error)
            return None
        self.found()
        return result

    async def surely(self, work: Callable[[], T]) -> T:
        """The result as soon as Redis can be reached."""
        while True:
            result = await self.tried(work)
            if result is not None:
                return result

    async def pause(self, error: QueueError) -> None:
        """Wait a moment for Redis; say so once."""
        if not self._is_lost:
            self._is_lost = True
            logger.warning("%s; waiting for it", error)
        await asyncio.sleep(AGAIN)

    def found(self) -> None:
        """Redis has answered."""
        if self._is_lost:
            self._is_lost = False
            self.found_at = time.monotonic()
            logger.info("Redis is back")

    def _take(self) -> _Taken:
        """Take messages and say at once that this worker has them; blocking, raises QueueError."""
        taken = _Taken([], [])
        for data in self.queue.pop(_TAKEN * self.concurrency):
            try:
                taken.messages.append((data, decode(data)))
            except ParseError as error:
                taken.refused.append((data, error))
        with contextlib.suppress(QueueError):  # the next word says it
            self.queue.hold(message.name for _, message in taken.messages)
        return taken


class _Taken(NamedTuple):
    messages: list[tuple[bytes, Message]]
    refused: list[tuple[bytes, ParseError]]
