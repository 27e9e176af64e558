"""The scheduler: requests of the work list are made when the engine wants one, and never queued."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Self

from scrapy import Request
from scrapy.core.downloader import Downloader
from scrapy.core.scheduler import BaseScheduler
from scrapy.crawler import Crawler

#: Seconds for which requests wait before a host that is asked at intervals: none of its moments is lost. More
#: would stand before what a callback asks for, whose package is begun.
AHEAD: Final = 0.4


class SupplyScheduler(BaseScheduler):
    """First come first served, in memory; when nothing waits, requests come from what was supplied.

    Before a host that is asked at intervals no more wait than it will take soon: they wait here, and so do
    all behind them.

    There is no filter of duplicates: spiders ask twice on purpose, and know what they have asked. Nor is
    anything kept for the next run: what is left to do is the difference between index and store.
    """

    def __init__(self, downloader: Callable[[], Downloader | None] = lambda: None) -> None:
        """`downloader`: that of the crawl, by then."""
        self._downloader = downloader
        self._crowds: dict[str, list[Callable[[], bool]]] = {}
        self._waiting: deque[Request] = deque()
        self._supply: Iterator[Request] | None = None
        self._used_up: asyncio.Future[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(lambda: crawler.engine.downloader)

    @property
    def is_busy(self) -> bool:
        """Whether a request waits here."""
        return bool(self._waiting)

    def watch(self, slot: str, is_crowded: Callable[[], bool]) -> None:
        """Ask there, too, whether enough wait before a host of this download slot."""
        self._crowds.setdefault(slot, []).append(is_crowded)

    def supply(self, requests: Iterator[Request]) -> asyncio.Future[None]:
        """Take requests from there from now on; the future is done when there are no more, or has the error
        that making one raised."""
        assert self._supply is None, "one supply at a time"
        self._supply = requests
        self._used_up = asyncio.get_running_loop().create_future()
        return self._used_up

    def has_pending_requests(self) -> bool:
        return bool(self._waiting) or self._supply is not None

    def enqueue_request(self, request: Request) -> bool:
        self._waiting.append(request)
        return True

    def next_request(self) -> Request | None:
        if not self._waiting and (supplied := self._supplied()) is not None:
            self._waiting.append(supplied)
        if not self._waiting or self._is_crowded(self._waiting[0]):
            return None
        return self._waiting.popleft()

    def _supplied(self) -> Request | None:
        if self._supply is None:
            return None
        try:
            return next(self._supply)
        except StopIteration:
            self._end(None)
        except Exception as error:
            self._end(error)
        return None

    def _is_crowded(self, request: Request) -> bool:
        """Whether enough wait before the request's host. When one is answered the engine asks again."""
        downloader = self._downloader()
        if downloader is None:
            return False
        key = downloader.get_slot_key(request)
        slot = downloader.slots.get(key)
        if slot is not None and slot.delay * len(slot.queue) >= AHEAD:
            return True
        return any(is_crowded() for is_crowded in self._crowds.get(key, ()))

    def _end(self, error: Exception | None) -> None:
        self._supply = None
        if self._used_up is None or self._used_up.done():
            return
        if error is None:
            self._used_up.set_result(None)
        else:
            self._used_up.set_exception(error)
