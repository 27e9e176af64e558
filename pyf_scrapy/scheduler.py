"""The scheduler: requests of the work list are made when the engine wants one, and never queued."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from scrapy import Request
from scrapy.core.scheduler import BaseScheduler


class SupplyScheduler(BaseScheduler):
    """First come first served, in memory; when nothing waits, requests come from what was supplied.

    There is no filter of duplicates: spiders ask twice on purpose, and know what they have asked. Nor is
    anything kept for the next run: what is left to do is the difference between index and store.
    """

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()
        self._supply: Iterator[Request] | None = None
        self._used_up: asyncio.Future[None] | None = None

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
        if self._waiting:
            return self._waiting.popleft()
        if self._supply is None:
            return None
        try:
            return next(self._supply)
        except StopIteration:
            self._end(None)
        except Exception as error:
            self._end(error)
        return None

    def _end(self, error: Exception | None) -> None:
        self._supply = None
        if self._used_up is None or self._used_up.done():
            return
        if error is None:
            self._used_up.set_result(None)
        else:
            self._used_up.set_exception(error)
