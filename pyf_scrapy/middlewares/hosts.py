"""One host as the requests of this process meet it: its gate, and what it shares with other processes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from pyf_scrapy.middlewares.gates import Gate
from pyf_scrapy.middlewares.host_counts import HostCounts
from pyf_scrapy.middlewares.shares import Share
from pyf_scrapy.middlewares.waiting import STEP
from pyf_scrapy.queue.rates import SharedRates, Wish
from pyf_scrapy.scheduler import AHEAD

logger = logging.getLogger(__name__)


class Host:
    """Requests await their `turn`, first come first served; each turn ends with `end`.

    Without `rates` the gate keeps the ceiling of this process; with them `share` keeps that of all.
    """

    def __init__(
        self,
        name: str,
        gate: Gate,
        share: Share,
        rates: SharedRates | None,
        counts: HostCounts,
    ) -> None:
        self.name = name
        #: called when a request starts: fewer wait
        self.started: Callable[[], None] | None = None
        self.counts = counts
        self.gate = gate
        self._share = share
        self._rates = rates
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._changed = asyncio.Event()
        self._is_asking = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def turn(self, check: Callable[[], None]) -> int:
        """Wait until a request may start; its ticket. `check` raises when there is no point in waiting."""
        if self._need_not_queue:
            check()
            now = time.monotonic()
            if self._wait(now) <= 0:
                return self._start(now)
        self._waiting += 1
        try:
            async with self._turn:
                check()
                while (wait := self._wait(time.monotonic())) > 0:
                    await self._change(min(wait, STEP))
                    check()
                return self._start(time.monotonic())
        finally:
            self._waiting -= 1

    def end(self, ticket: int) -> None:
        """The request is over, and what it told about the host has been told."""
        self.gate.end(ticket)
        self._wake()

    def closed(self, seconds: float) -> None:
        """The gate closed for so long: that holds for all processes."""
        if self._rates is not None:
            self._share.pause()
            self._in_background(self._rates.pause(self.name, seconds, self.gate.refusals))

    def answered(self, ticket: int) -> None:
        """The host answered as usual. After a pause the next process may come back."""
        returned = self.gate.returning
        self.gate.answered(ticket)
        if self._rates is not None and returned and not self.gate.returning:
            self._in_background(self._rates.returned(self.name))

    async def close(self) -> None:
        """Wait for what is told to others just now."""
        await asyncio.gather(*self._tasks)

    def is_crowded(self, others: int) -> bool:
        """Whether enough requests wait here, or are about to, that no moment of the ceiling is lost."""
        return (self._waiting + others) * self._share.pace >= AHEAD

    @property
    def _need_not_queue(self) -> bool:
        if self._share.interval and self._rates is not None:
            return False  # starts are asked for by those who wait, some at a time
        # Who waits before an open gate without a ceiling is about to pass, and is not overtaken for long.
        return not self._waiting or (self.gate.is_open and not self._share.interval)

    def _start(self, now: float) -> int:
        self._share.start(now)
        if self.started is not None:
            self.started()
        return self.gate.start(now)

    def _wait(self, now: float) -> float:
        wait = self.gate.wait(now)
        if wait > 0 or self._rates is None:
            return wait
        returning = self.gate.returning
        if not self._is_asking:
            could_start = min(self._waiting, self.gate.window)
            wish = self._share.wish(now, could_start, returning=returning)
            if wish is not None:
                self._is_asking = True
                self._in_background(self._ask(self._rates, wish))
        return self._share.wait(now, returning=returning)

    async def _ask(self, rates: SharedRates, wish: Wish) -> None:
        try:
            sent = time.monotonic()
            grant = await rates.ask(self.name, wish)
            now = time.monotonic()
            if grant is None:
                self._share.miss(now)
                return
            if grant.pause:
                if grant.refusals and now + grant.pause > self.gate.closed_until + 1:  # else old news
                    logger.info(
                        "%s asked another worker to wait: nothing is asked for %.1f s", self.name, grant.pause
                    )
                self._share.pause()
                self.gate.pause(now, grant.pause, grant.refusals)
            if self.gate.returning and not wish.returning:  # what it was asked for is over
                grant = grant._replace(starts=0)
            self._share.take(sent, now, grant)
        finally:
            self._is_asking = False
            self._wake()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self) -> None:
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    async def _change(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
