"""What a server is asked each second, and how much it allows. Pure: each call is told the time in seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

#: Seconds for which everything is refused after there was too much.
BAN: Final = 5


class Second(msgspec.Struct):
    """Requests that came and that were refused in one second, and the most that were under way at a time."""

    asked: int = 0
    refused: int = 0
    under_way: int = 0

    @property
    def answered(self) -> int:
        """Requests that got what they asked for."""
        return self.asked - self.refused


class Traffic:
    """Counts requests by seconds since the first of them."""

    def __init__(self) -> None:
        self.seconds: list[Second] = []
        self._begun: float | None = None
        self._under_way = 0

    def begin(self, now: float) -> None:
        """A request came that will be answered."""
        second = self._at(now)
        second.asked += 1
        self._under_way += 1
        second.under_way = max(second.under_way, self._under_way)

    def end(self, now: float) -> None:
        """It was answered."""
        self._at(now)
        self._under_way -= 1

    def refuse(self, now: float) -> None:
        """A request came and was refused at once."""
        second = self._at(now)
        second.asked += 1
        second.refused += 1

    def _at(self, now: float) -> Second:
        if self._begun is None:
            self._begun = now
        while len(self.seconds) <= now - self._begun:
            self.seconds.append(Second(under_way=self._under_way))
        return self.seconds[-1]


class Allowance:
    """`limit` requests in any second; one more, and all are refused for BAN seconds. No limit: 0."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._starts: deque[float] = deque()
        self._closed_until = 0.0

    def allows(self, now: float, earliest: float) -> bool:
        """Whether a request that comes now is answered. A server that had no turn for a while finds many at
        once that came one after another: this one came at the `earliest` when it had looked last."""
        if not self.limit:
            return True
        if now < self._closed_until:
            return False
        while self._starts and self._starts[0] <= now - 1:
            self._starts.popleft()
        if len(self._starts) >= self.limit:
            self._closed_until = now + BAN
            return False
        self._starts.append(earliest)
        return True
