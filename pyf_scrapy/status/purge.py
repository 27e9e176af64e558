"""Forgetting what waits. What PyPI's index and the store differ in is found again by the next crawl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.queue.waiting import RedisQueue
from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store


@dataclass(frozen=True)
class Purged:
    """What is, or was, purged: names that somebody asked for, requests that wait for workers in Redis, and
    entries of feeds that count as done."""

    names: int = 0
    requests: int = 0
    seen: int = 0

    def __bool__(self) -> bool:
        return bool(self.names or self.requests or self.seen)


def purgeable(settings: Mapping[str, Any], spiders: Sequence[str], *, seen: bool, now: int) -> Purged:
    """What `purge` would take now (epoch seconds). Raises StoreError, QueueError, UsageProblem."""
    requests = names = marked = 0
    if (url := redis_url(settings)) is not None:
        with RedisQueue(url, spiders) as queue:
            state = queue.state()
        requests, marked = state.requests, state.seen
    if has_store(settings):
        with open_store(settings, of_any_pypi=True) as store:
            names = sum(source.names for source in store.queued_by_source())
            if url is None:
                marked = store.count_seen(now)
    return Purged(names, requests, marked if seen else 0)


def purge(settings: Mapping[str, Any], spiders: Sequence[str], *, seen: bool) -> Purged:
    """Forget what waits, in Redis first: where that fails nothing else is done. Makes no store.

    `spiders` are the names of all there are; the entries of feeds go only with `seen`. Raises StoreError,
    QueueError, UsageProblem.
    """
    requests = forgotten = names = 0
    if (url := redis_url(settings)) is not None:
        with RedisQueue(url, spiders) as queue:
            requests = queue.purge()
            forgotten = queue.forget_seen() if seen else 0
    if has_store(settings):
        with open_store(settings, of_any_pypi=True) as store:
            names = store.purge_queue()
            if seen and url is None:
                forgotten = store.forget_seen()
    return Purged(names, requests, forgotten)
