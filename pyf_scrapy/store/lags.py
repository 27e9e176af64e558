"""How long ago each source was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.index_file import IndexFile
from pyf_scrapy.store.store import Store


@dataclass(frozen=True)
class Lags:
    """How long ago each source was asked, in seconds; None = it never was.

    `feeds`: the last successful poll, of the feed for which that is longer ago. `index`: the last time that
    PyPI's index was read. `refresh`: the member that was verified longest ago; `never_verified` counts the
    members that were not verified yet.
    """

    feeds: int | None = None
    index: int | None = None
    refresh: int | None = None
    never_verified: int = 0


def lags(store: Store, folder: Path, members: Iterable[str], now: int) -> Lags:
    """Those of a store and of the index file of its data folder, at `now` (epoch seconds). `members` are the
    packages that refreshes are about. Raises StoreError."""
    polled = min((feed.polled_at for feed in store.feeds()), default=None)
    oldest, never = None, 0
    for names in chunks(members):
        for standing in store.standings(names).values():
            if standing.verified_at is None:
                never += 1
            elif oldest is None or standing.verified_at < oldest:
                oldest = standing.verified_at
    return Lags(
        feeds=_since(polled, now),
        index=_since(index_read_at(store, folder), now),
        refresh=_since(oldest, now),
        never_verified=never,
    )


def index_read_at(store: Store, folder: Path) -> int | None:
    """When PyPI's index was read last (epoch seconds), None when it never was. Raises StoreError."""
    reads = store.index_reads()
    if reads:
        return max(read.last_read_at for read in reads)
    with IndexFile(folder / "index") as index:
        header = index.read_header()
    return None if header is None else header.written_at


def _since(at: int | None, now: int) -> int | None:
    return None if at is None else max(now - at, 0)
