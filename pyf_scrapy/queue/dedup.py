"""What of the feeds was dealt with already: keys that say "done", kept in Redis or in the store for a while.

They spare fetches and nothing depends on them: when they cannot be read or written, everything counts as
not done. A key is set after success only, so what failed is tried again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol, TypeVar

from pyf_scrapy.exceptions import StoreError, UsageProblem
from pyf_scrapy.queue.connection import connect, redis_url, shown
from pyf_scrapy.store import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE: Final = (
    5.0  # seconds after a failure in which nothing is asked: a dead host takes seconds for each call
)
_DEFAULT_TTL: Final = 86_400  # seconds
_LONGEST_TTL: Final = 315_360_000  # ten years; servers refuse what overflows


class Dedup(Protocol):
    """Blocks for seconds at most, can be used from any thread, and raises nothing."""

    def seen(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that say "done"."""

    def mark(self, keys: Mapping[str, int]) -> None:
        """Set each key for so many seconds; 0 = not at all."""

    def close(self) -> None:
        """Close the connections that it opened."""


class _FailOpen:
    """Lets no error out: says once per outage that it cannot do its work, and once that it can again."""

    def __init__(self, name: str, errors: tuple[type[Exception], ...], pause: float) -> None:
        self._name = name
        self._errors = errors
        self._pause = pause
        self._lock = threading.Lock()
        self._failing: str | None = None  # what failed first; an outage ends when that works again
        self._resume_at = 0.0

    def attempt(self, operation: str, work: Callable[[], T], otherwise: T) -> T:
        """The result of `work`, or `otherwise` when it fails or failed a moment ago."""
        if time.monotonic() < self._resume_at:
            return otherwise
        try:
            result = work()
        except self._errors as error:
            self._failed(operation, error)
            return otherwise
        self._worked(operation)
        return result

    def _failed(self, operation: str, error: Exception) -> None:
        with self._lock:
            self._resume_at = time.monotonic() + self._pause
            is_news, self._failing = self._failing is None, self._failing or operation
        if is_news:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            logger.warning(
                "%s cannot be used to tell what of the feeds is done (%s): meanwhile it is fetched again",
                self._name,
                reason,
            )

    def _worked(self, operation: str) -> None:
        with self._lock:
            is_news = self._failing == operation
            if is_news:
                self._failing = None
        if is_news:
            logger.info("%s can be used again to tell what of the feeds is done", self._name)


class StoreDedup:
    """Keys in the store; see `Dedup`. `clock` gives epoch seconds."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time, pause: float = PAUSE) -> None:
        self._store = store
        self._clock = clock
        self._fail_open = _FailOpen("the store", (StoreError,), pause)

    def seen(self, keys: Collection[str]) -> set[str]:
        if not keys:
            return set()
        now = int(self._clock())
        return self._fail_open.attempt("seen", lambda: set(self._store.seen_keys(keys, now)), set())

    def mark(self, keys: Mapping[str, int]) -> None:
        now = int(self._clock())
        expiries = {key: now + ttl for key, ttl in _kept(keys).items()}
        if expiries:
            self._fail_open.attempt("mark", lambda: self._store.mark_seen(expiries, now), None)

    def close(self) -> None:
        """Nothing: the store is closed by whoever opened it."""


class RedisDedup:
    """Keys in Redis, where other workers and pyf.aggregator see them; see `Dedup`. Raises UsageProblem."""

    def __init__(self, url: str, *, pause: float = PAUSE) -> None:
        self._client = connect(url)
        from redis.exceptions import RedisError  # with connect(): see there

        # A name of a host that cannot be encoded is a ValueError.
        self._fail_open = _FailOpen(f"Redis at {shown(url)}", (RedisError, OSError, ValueError), pause)

    def seen(self, keys: Collection[str]) -> set[str]:
        asked = list(keys)
        if not asked:
            return set()
        return self._fail_open.attempt("seen", lambda: self._seen(asked), set())

    def mark(self, keys: Mapping[str, int]) -> None:
        ttls = _kept(keys)
        if ttls:
            self._fail_open.attempt("mark", lambda: self._mark(ttls), None)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _seen(self, keys: list[str]) -> set[str]:
        values: Any = self._client.mget(keys)
        return {key for key, value in zip(keys, values, strict=True) if value is not None}

    def _mark(self, ttls: Mapping[str, int]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for key, ttl in ttls.items():
                pipeline.set(key, 1, ex=ttl)
            pipeline.execute()


def open_dedup(settings: Mapping[str, Any], store: Store) -> Dedup:
    """In Redis when `REDIS_URL` or `REDIS_HOST` is set, else in the store. Raises UsageProblem."""
    url = redis_url(settings)
    return StoreDedup(store) if url is None else RedisDedup(url)


def ttls(settings: Mapping[str, Any]) -> tuple[int, int]:
    """Seconds for which an entry of a new package and one of a release stay done, 0 = not at all.

    `RSS_DEDUP_TTL_NEW` and `RSS_DEDUP_TTL_UPDATE`, where not set `RSS_DEDUP_TTL`. Raises UsageProblem.
    """
    both = _ttl(settings, "RSS_DEDUP_TTL", _DEFAULT_TTL)
    return _ttl(settings, "RSS_DEDUP_TTL_NEW", both), _ttl(settings, "RSS_DEDUP_TTL_UPDATE", both)


def _ttl(settings: Mapping[str, Any], name: str, default: int) -> int:
    value = settings.get(name)
    if value is None or value == "":
        return default
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        seconds = -1
    if seconds < 0:
        raise UsageProblem(f"{name}={str(value)[:100]!r} must be a whole number of at least 0")
    return seconds


def _kept(keys: Mapping[str, int]) -> dict[str, int]:
    return {key: min(ttl, _LONGEST_TTL) for key, ttl in keys.items() if ttl > 0}
