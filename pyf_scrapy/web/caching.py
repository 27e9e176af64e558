"""Answers that are dear to compute: made once for all who wait, in a thread of their own, and kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds in which what failed is not tried again: whoever asks then gets the same error.
FAILED = 5.0


class Kept(Generic[T]):
    """The result of `make` for so many seconds, an error of it for FAILED.

    While it is made, whoever comes waits for the same result: with `ready` without holding a thread, of which
    there are few. 0 seconds: it is made for each who does not come while it is made. Thread-safe.
    """

    def __init__(
        self, make: Callable[[], T], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Future[T] | None = None
        self._until = 0.0

    def __call__(self) -> T:
        """The result, made anew when it is too old. Blocks, and raises what `make` raises."""
        return self._future().result()

    async def ready(self) -> T:
        """The same for a coroutine; one that is cancelled does not keep the others from the result."""
        return await asyncio.shield(asyncio.wrap_future(self._future()))

    def _future(self) -> Future[T]:
        with self._lock:
            if self._kept is None or (self._kept.done() and self._clock() >= self._until):
                self._kept = Future()
                threading.Thread(target=self._run, args=(self._kept,), daemon=True).start()
            return self._kept

    def _run(self, future: Future[T]) -> None:
        begun = self._clock()
        try:
            result = self._make()
        except Exception as error:
            self._until = self._clock() + FAILED
            future.set_exception(error)
        else:
            self._until = begun + self._seconds
            future.set_result(result)
