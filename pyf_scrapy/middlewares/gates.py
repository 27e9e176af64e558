"""How many requests a host may have under way once it asked to wait. Pure: each call is told the time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pyf_scrapy.middlewares.shares import TOLERANCE, spacing

#: Own waits (no Retry-After) grow to 2 ** 4 = 16 times the first one: a host is asked again within a minute.
_MOST_REFUSALS = 5


@dataclass
class Gate:
    """The gate of one host: ask `wait`, `start`, then say by `answered`, `refused`, `overloaded` or `end`
    what became of the request.

    Open, it lets everything pass. A refused request closes it; when the wait is over one request may be
    under way, then 2, 4, ... as they are answered, until `concurrency`: open again. Each refusal on the way
    closes it again, for twice as long if the host does not say how long. What was sent before the gate
    closed tells nothing about the time after it, so it neither opens the gate nor counts as a new refusal.

    `first_wait` and `longest_wait` are in seconds. A request without a result for `patience` seconds no
    longer keeps others from starting. `interval`: least seconds between two starts, in every state. One that
    is so short that a late start costs much of it is kept as `Share` does: what starts late is made up for,
    and yet no second has more than `1 / interval` starts.
    """

    concurrency: int
    first_wait: float
    longest_wait: float
    patience: float
    interval: float = 0.0
    closed_until: float = field(default=-math.inf, init=False)
    window: int = field(init=False)
    """Requests that may be under way; `concurrency` is no limit."""
    refusals: int = field(default=0, init=False)
    """In a row, as far as they tell how long to wait."""
    returning: bool = field(default=False, init=False)
    """Whether nothing was answered yet since the gate closed."""

    def __post_init__(self) -> None:
        self.window = self.concurrency
        is_short = 0 < self.interval < TOLERANCE
        self._spacing = spacing(self.interval) if is_short else self.interval
        self._catch_up = TOLERANCE if is_short else 0.0
        self._next_start = -math.inf
        self._tickets = 0
        # Ticket -> start; only of requests that were sent since the gate closed last.
        self._under_way: dict[int, float] = {}

    @property
    def is_open(self) -> bool:
        """Whether any number of requests may be under way, as far as a pause does not hold them up."""
        return self.window >= self.concurrency

    def wait(self, now: float) -> float:
        """Seconds until asking again may help, 0 when a request may start now."""
        pause = max(self.closed_until, self._next_start) - now
        if pause > 0:
            return pause
        if self.is_open:
            return 0.0
        counted = [begun for begun in self._under_way.values() if now - begun < self.patience]
        return 0.0 if len(counted) < self.window else max(0.0, min(counted) + self.patience - now)

    def start(self, now: float) -> int:
        """A request starts; the ticket says which one when its result is known."""
        self._tickets += 1
        self._under_way[self._tickets] = now
        self._next_start = max(self._next_start, now - self._catch_up) + self._spacing
        return self._tickets

    def end(self, ticket: int) -> None:
        """The request is over and says nothing about the host (or its result has been told already)."""
        self._under_way.pop(ticket, None)

    def answered(self, ticket: int) -> None:
        """The host answered as usual: one more may be under way."""
        if self._under_way.pop(ticket, None) is None:
            return
        self.returning = False
        self.window = min(self.window + 1, self.concurrency)
        if self.window == self.concurrency:
            self.refusals = 0

    def refused(self, ticket: int, now: float, told: float | None) -> float:
        """The host asked to wait, for `told` seconds if it said so; seconds for which the gate closed, 0
        when it had closed already. Of two waits the longer one holds.
        """
        told = min(told or 0.0, self.longest_wait)
        if self._under_way.pop(ticket, None) is not None:
            self.refusals = min(self.refusals + 1, _MOST_REFUSALS)
            wait = told or min(self.first_wait * 2 ** (self.refusals - 1), self.longest_wait)
        elif told and now + told > self.closed_until:
            wait = told
        else:
            return 0.0
        self._close(now + wait)
        return wait

    def pause(self, now: float, seconds: float, refusals: int) -> None:
        """Another process was refused, and so often in a row: this one need not be told by the host."""
        self.refusals = max(self.refusals, min(refusals, _MOST_REFUSALS))
        self._close(max(self.closed_until, now + min(seconds, self.longest_wait)))

    def _close(self, until: float) -> None:
        self.closed_until = until
        self.returning = True
        self.window = 1
        self._under_way.clear()

    def overloaded(self, ticket: int, now: float) -> float:
        """The host failed in a way that may be its load or only this address (503 without Retry-After).

        Half as many may be under way, but a quarter of `concurrency` always: one address that never
        answers must not stop all others. The first request after a wait is believed; seconds as `refused`.
        """
        if ticket not in self._under_way:
            return 0.0
        if self.refusals and self.window == 1:
            return self.refused(ticket, now, None)
        self.end(ticket)
        least = min(self.window, max(1, self.concurrency // 4))
        self.window = max(self.window // 2, least)
        return 0.0
