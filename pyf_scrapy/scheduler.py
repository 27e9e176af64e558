"""The scheduler: requests of the work list are made when the engine wants one, and never queued."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Final, Self

from scrapy import Request
from scrapy.core.downloader import Downloader
from scrapy.core.engine import ExecutionEngine
from scrapy.core.scheduler import BaseScheduler
from scrapy.crawler import Crawler

#: Seconds for which requests wait before a host that is asked at intervals: none of its moments is lost. More
#: would stand before what a callback asks for, whose package is begun.
AHEAD: Final = 0.4


class SupplyScheduler(BaseScheduler):
    """First come first served, in memory; when nothing waits, requests come from what was supplied.

    Before a host that is asked at intervals no more wait than it will take soon: they wait here, and so do
    all behind them. The download handler says where (`watch`) and what becomes of them.

    There is no filter of duplicates: spiders ask twice on purpose, and know what they have asked. Nor is
    anything kept for the next run: what is left to do is the difference between index and store.
    """

    def __init__(self, engine: Callable[[], ExecutionEngine | None] = lambda: None) -> None:
        """`engine`: that of the crawl, by then."""
        self._engine = engine
        self._crowds: dict[str, list[Callable[[int], bool]]] = {}
        # By download slot; the engine takes several before the first of them gets anywhere.
        self._on_the_way: defaultdict[str, set[Request]] = defaultdict(set)
        self._is_returning = False
        self._holders = 0
        self._waiting: deque[Request] = deque()
        self._supply: Iterator[Request] | None = None
        self._used_up: asyncio.Future[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(lambda: crawler.engine)

    @property
    def is_busy(self) -> bool:
        """Whether a request waits here."""
        return bool(self._waiting)

    def watch(self, slot: str, is_crowded: Callable[[int], bool]) -> None:
        """Ask there whether enough wait before a host of this download slot, with so many on the way."""
        self._crowds.setdefault(slot, []).append(is_crowded)

    def arrived(self, request: Request) -> None:
        """A request waits before its host, or has passed."""
        self._on_the_way[request.meta.get("download_slot", "")].discard(request)

    def look_again(self) -> None:
        """Fewer wait before a host: let the engine ask for more, if there are any. It looks by itself when a
        request has ended, which may be long after it began."""
        engine = self._engine()
        if self._waiting and engine is not None and engine.spider is not None:
            self._is_returning = True
            engine.crawl(self._waiting.popleft())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let no request begin meanwhile. Those that callbacks make beside the scheduler do."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._waiting:
                self._take_supplied()
            self.look_again()

    def supply(self, requests: Iterator[Request]) -> asyncio.Future[None]:
        """Take requests from there from now on; the future is done when there are no more, or has the error
        that making one raised."""
        assert self._supply is None, "one supply at a time"
        self._supply = requests
        self._used_up = used_up = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._take_supplied()
        self.look_again()
        return used_up

    def has_pending_requests(self) -> bool:
        return bool(self._waiting) or self._supply is not None

    def enqueue_request(self, request: Request) -> bool:
        if self._is_returning:
            self._is_returning = False
            self._waiting.appendleft(request)
        else:
            self._waiting.append(request)
        return True

    def next_request(self) -> Request | None:
        if self._holders:
            return None
        if not self._waiting:
            self._take_supplied()
            if not self._waiting:
                return None
        if self._crowds and (engine := self._engine()) is not None:
            key = engine.downloader.get_slot_key(self._waiting[0])
            if key in self._crowds:
                if self._is_crowded(key, engine.downloader):
                    return None
                self._on_the_way[key].add(self._waiting[0])
        return self._waiting.popleft()

    def _take_supplied(self) -> None:
        if self._supply is None:
            return
        try:
            self._waiting.append(next(self._supply))
        except StopIteration:
            self._end(None)
        except Exception as error:
            self._end(error)

    def _is_crowded(self, key: str, downloader: Downloader) -> bool:
        """Whether enough wait before the hosts of a download slot."""
        coming, slot = len(self._on_the_way[key]), downloader.slots.get(key)
        if slot is not None and slot.delay * max(coming, len(slot.queue)) >= AHEAD:
            return True
        return any(is_crowded(coming) for is_crowded in self._crowds[key])

    def _end(self, error: Exception | None) -> None:
        self._supply = None
        if self._used_up is None or self._used_up.done():
            return
        if error is None:
            self._used_up.set_result(None)
        else:
            self._used_up.set_exception(error)
