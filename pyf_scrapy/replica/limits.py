"""The clock of the services, budgets within windows of time, and who asks although told to wait."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

_LIMITING = (403, 429)


class Clock:
    """Seconds since it was started; `speed` of them pass in a real one."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begun = time.monotonic()
        self._advanced = 0.0

    def now(self) -> float:
        """The time."""
        return (time.monotonic() - self._begun) * self._speed + self._advanced

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._advanced += seconds

    def wait(self, moment: float) -> float:
        """Real seconds until it shows that time; of a clock that stands as if it went."""
        return max(0.0, moment - self.now()) / (self._speed or 1.0)

    def epoch(self, moment: float) -> int:
        """When that is, in seconds since 1970 UTC; never too early."""
        return math.ceil(time.time() + self.wait(moment))

    def after(self, seconds: float) -> float:
        """What it shows after so many real seconds."""
        return self.now() + seconds * (self._speed or 1.0)


@dataclass
class Budget:
    """What one client may spend in a window of time that its first request begins."""

    limit: int
    length: float
    used: int = 0
    ends: float = 0.0

    def roll(self, now: float) -> None:
        """Begins the next window when the last one is over."""
        if now >= self.ends:
            self.used, self.ends = 0, now + self.length

    @property
    def remaining(self) -> int:
        """What is left in this window."""
        return max(0, self.limit - self.used)


@dataclass
class Watch:
    """Counts what one service was asked, and the requests of clients that had been told to wait."""

    clock: Clock
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    points: int = 0
    limited: int = 0
    after_limit: int = 0
    running: int = 0
    most_running: int = 0
    _closed: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of a client: real time of the first limiting answer, and until when by the clock it has to wait."""

    def begin(self, client: str, grace: float) -> None:
        """A request came in."""
        self.requests += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        told, until = self._closed.get(client, (0.0, 0.0))
        if self.clock.now() < until and time.monotonic() - told >= grace:
            self.after_limit += 1

    def end(self, status: int) -> None:
        """Its answer has been sent; status 0: there was none."""
        self.running -= 1
        self.statuses[status] += 1

    def told(self, client: str, until: float) -> None:
        """The client is told to wait until the clock shows this."""
        self.limited += 1
        told, before = self._closed.get(client, (0.0, 0.0))
        if self.clock.now() >= before:
            told = time.monotonic()
        self._closed[client] = told, max(before, until)

    def hear(self, client: str, status: int, headers: Mapping[str, str]) -> None:
        """An answer of the fault plan that tells to wait counts, too."""
        value = headers.get("Retry-After")
        if status not in (*_LIMITING, 503) or value is None:
            return
        seconds = int(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
        self.told(client, self.clock.after(seconds))

    def report(self) -> dict[str, Any]:
        """The counters as JSON values."""
        return {
            "requests": self.requests,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "points": self.points,
            "limited": self.limited,
            "after_limit": self.after_limit,
            "most_concurrent": self.most_running,
        }

    def continue_from(self, other: Watch) -> None:
        """Takes over the counters; who had to wait is free."""
        self.requests, self.statuses, self.points = other.requests, other.statuses, other.points
        self.limited, self.after_limit = other.limited, other.after_limit
        self.running, self.most_running = other.running, other.most_running

    def reset(self) -> None:
        """Sets the counters to zero; who has to wait still has to."""
        self.requests = self.points = self.limited = self.after_limit = self.most_running = 0
        self.statuses.clear()
