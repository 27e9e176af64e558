"""When this process may start its requests to a host that others ask, too. Pure: each call is told the time.

In any `seconds` all processes together start at most `1 + (seconds + TOLERANCE + e) / spacing(interval)`
requests; e is how wrong the processes may be about the server's clock, less than their quickest answer took.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from pyf_scrapy.queue.rates import Grant, Wish

#: A start that was missed by more seconds is given up: late requests must not meet the punctual ones.
TOLERANCE: Final = 0.03
#: Share of the starts that is left out: in any second late and punctual ones together keep the ceiling, also
#: when the net and the server are some 25 ms late themselves.
_MARGIN: Final = 0.06

#: Seconds. Who is told of starts too late again and again asks for ever later ones, at the cost of fewer.
_LONGEST_LEAD: Final = 1.0

#: Seconds of a host's schedule that one process takes at a time, at most; but always one start.
_SPAN: Final = 0.25
#: Seconds after which a process that needs no starts asks for news. Those that are twice as old are none.
_LISTEN_EVERY: Final = 1.0
#: Seconds after which a process that got no answer asks again.
_RETRY_AFTER: Final = 1.0

#: Without Redis a process takes its share of the ceiling: as of the most that asked within so many seconds;
#: never more than the half, and this one when it does not know.
_REMEMBERED: Final = 60.0
_FEWEST: Final = 2
_UNKNOWN: Final = 4

#: How much two clocks may drift apart in a second.
_DRIFT: Final = 1e-4


def spacing(interval: float) -> float:
    """Seconds between two starts of a host's schedule, so that no late one meets a punctual one too soon."""
    return interval + min(_MARGIN * interval, TOLERANCE)


class ServerClock:
    """The server's clock by that of this process: never too early, and late by less than the quickest answer
    took."""

    def __init__(self) -> None:
        self.is_known = False
        self._earliest = -math.inf
        self._latest = math.inf
        self._heard = 0.0

    def hear(self, sent: float, received: float, server: float) -> None:
        """The server's clock showed `server` between two moments of this process."""
        drift = (received - self._heard) * _DRIFT
        earliest = max(sent - server, self._earliest - drift)
        latest = min(received - server, self._latest + drift)
        if earliest > latest:  # it was set, or the server is another one
            earliest, latest = sent - server, received - server
        self._earliest, self._latest, self._heard, self.is_known = earliest, latest, received, True

    def local(self, server: float) -> float:
        """When it surely shows that time."""
        return server + self._latest


class Share:
    """The starts of this process at one host: ask for what `wish` says, tell the answer to `take` or its
    absence to `miss`; ask `wait`, then `start`.

    `interval`: least seconds between two starts of all processes together; 0: no ceiling, and only pauses are
    shared. `returning` is whether the request would be the first one after a pause.
    """

    def __init__(self, interval: float) -> None:
        self.interval = spacing(interval)
        self._clock = ServerClock()
        self._starts: deque[float] = deque()
        self._lead = 0.0
        self._is_lost = False
        self._retry_at = self._listen_at = -math.inf
        self._last_start = -math.inf
        self._users = 0
        self._users_at = -math.inf

    @property
    def pace(self) -> float:
        """Seconds between two starts of this process, when all ask as much as they may; 0: no ceiling."""
        return self.interval * max(self._users, 1)

    def wish(self, now: float, waiting: int, *, returning: bool) -> Wish | None:
        """What to ask for now, if anything, while so many requests could start."""
        self._give_up_missed(now)
        starts = self._missing(now, waiting, returning=returning)
        return None if starts is None else Wish(starts, self.interval, self._lead, returning)

    def _missing(self, now: float, waiting: int, *, returning: bool) -> int | None:
        if now < self._retry_at:
            return None
        if not self._clock.is_known:
            return 0  # the first answer takes long: it only tells the time
        if returning:
            return None if self._starts else 1
        if not self.interval:
            return 0 if now >= self._listen_at else None
        # As many as wait and no more: so none is lost, and others need not wait for them.
        most = max(1, min(waiting, int(_SPAN / self.interval)))
        missing = most - len(self._starts)
        return missing if 2 * missing >= most else None

    def take(self, sent: float, received: float, grant: Grant) -> None:
        """The answer to what was asked at `sent`."""
        self._clock.hear(sent, received, grant.now)
        self._is_lost = False
        self._listen_at = received + _LISTEN_EVERY
        if grant.users >= self._users or received > self._users_at + _REMEMBERED:
            self._users, self._users_at = grant.users, received
        if not grant.starts:
            return
        first = self._clock.local(grant.first)
        is_late = received > first + TOLERANCE
        self._lead = min(max(2 * self._lead, TOLERANCE), _LONGEST_LEAD) if is_late else self._lead / 2
        self._starts.extend(first + number * self.interval for number in range(grant.starts))

    def miss(self, now: float) -> None:
        """There was no answer."""
        self._is_lost = True
        self._retry_at = now + _RETRY_AFTER
        self._starts.clear()

    def pause(self) -> None:
        """What was granted before a pause is void."""
        self._starts.clear()

    def wait(self, now: float, *, returning: bool) -> float:
        """Seconds until a request may start, inf when an answer has to come first."""
        if self._is_lost:
            return max(0.0, self._last_start + self._own_interval - now)
        self._give_up_missed(now)
        if self._starts:
            return max(0.0, self._starts[0] - now)
        if self.interval or returning or now > self._listen_at + _LISTEN_EVERY:
            return math.inf
        return 0.0

    def start(self, now: float) -> None:
        """A request starts."""
        self._last_start = now
        if self._starts:
            self._starts.popleft()

    def _give_up_missed(self, now: float) -> None:
        while self._starts and self._starts[0] < now - TOLERANCE:
            self._starts.popleft()

    @property
    def _own_interval(self) -> float:
        return self.interval * max(self._users or _UNKNOWN, _FEWEST)
