"""Answers that are dear to compute and may be a little old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The result of `make` for so many seconds; whoever comes while it is made waits for it, too."""

    def __init__(
        self, make: Callable[[], T], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def __call__(self) -> T:
        """The result, made anew when it is too old. Raises what `make` raises."""
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] >= self._seconds:
                self._kept = self._clock(), self._make()
            return self._kept[1]
