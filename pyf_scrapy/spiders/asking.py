"""What is asked about one project, and the questions that are asked again later."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

from scrapy import Request

from pyf_scrapy.spiders.store_spider import StoreSpider
from pyf_scrapy.sync.staleness import Promise


@dataclass(frozen=True)
class Ask:
    """One question about a project, by its normalized name.

    `promise` is what an answer must have not to be stale, `attempt` how many answers were. `unlisted` is the
    stored serial of a package that the index lacks, so that a 404 may prove that it is gone; with `refresh`
    a 404 proves nothing yet. `etag` is that of the last answer, for a conditional request. `keys` note
    the entries of feeds that hinted at it when it is done; `announced`: a feed did, and another spider noted
    it.
    """

    name: str
    promise: Promise = field(default_factory=Promise)
    attempt: int = 0
    unlisted: int | None = None
    etag: str | None = None
    refresh: bool = False
    keys: tuple[str, ...] = ()
    announced: bool = False

    @property
    def is_promised(self) -> bool:
        """Whether an index or a feed said that there is something."""
        return self.promise.serial is not None or self.is_announced

    @property
    def is_announced(self) -> bool:
        """Whether a feed named it: it may be ahead of everything else."""
        return self.announced or bool(self.keys)

    def again(self) -> Ask:
        """The same question for another answer; only a whole one will do."""
        return replace(self, attempt=self.attempt + 1, etag=None)


class Later:
    """Questions with the moment (of a monotonic clock) at which they are asked again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Ask]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, moment: float, ask: Ask) -> None:
        heapq.heappush(self._heap, (moment, next(self._numbers), ask))

    def due(self, now: float) -> Iterator[Ask]:
        """Take what is due."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def wait(self, now: float) -> float | None:
        """Seconds until something is due, None when nothing waits."""
        return max(0.0, self._heap[0][0] - now) if self._heap else None


class AskingSpider(StoreSpider):
    """Asks about projects and keeps count of what is open."""

    def prepare_asking(self) -> None:
        """Begin with nothing open."""
        self.later = Later()
        #: projects with a question that is under way or to be asked again
        self.open_asks: Counter[str] = Counter()
        self._answered = asyncio.Event()

    def request_for(self, ask: Ask) -> Request:
        """The request of a question."""
        raise NotImplementedError

    def ask(self, ask: Ask) -> Request:
        """The request of a new question, which is open until `closed_ask`."""
        self.open_asks[ask.name] += 1
        return self.request_for(ask)

    def ask_later(self, delay: float, ask: Ask) -> None:
        """Ask again in `delay` seconds; nobody waits for it."""
        self.open_asks[ask.name] += 1
        self.later.add(time.monotonic() + delay, ask)

    def closed_ask(self, ask: Ask) -> None:
        """A question has been dealt with; another one may have been opened in its place."""
        self.open_asks[ask.name] -= 1
        if not self.open_asks[ask.name]:
            del self.open_asks[ask.name]
            self.count("pyf/projects/done")
        self._answered.set()

    def due_requests(self) -> Iterator[Request]:
        """The questions that are to be asked again by now."""
        for ask in self.later.due(time.monotonic()):
            yield self.request_for(ask)

    async def open_requests(self) -> AsyncIterator[Request]:
        """What is asked again, until each question has its answer."""
        while self.open_asks and not self.stopping:
            for request in self.due_requests():
                yield request
            await self.wait(self.later.wait(time.monotonic()))

    async def wait(self, seconds: float | None) -> None:
        """Wait for a question's last answer, `seconds` at most, or for the end of the crawl."""
        self._answered.clear()
        end = time.monotonic() + seconds if seconds is not None else None
        while not self.stopping and not self._answered.is_set():
            left = 0.5 if end is None else min(0.5, end - time.monotonic())
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), left)
