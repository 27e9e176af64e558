"""What a feed tells: which entries are news, which come first, and whether some went by unseen.

A feed only hastens a fetch (rule R8): what it does not show is found by the index.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from pyf_scrapy.parsers.rss import FeedEntry

#: The shortest time between two polls (seconds), and the fewest entries that tell a pace.
SHORTEST = 5.0
FEWEST = 5


def dedup_key(entry: FeedEntry) -> str:
    """The key that says "done" of an entry, as pyf.aggregator writes it."""
    if entry.version is None:
        return f"pyf:dedup:new:{entry.normalized_name}"
    return f"pyf:dedup:update:{entry.normalized_name}:{entry.version}"


def newest(entries: Sequence[FeedEntry]) -> int | None:
    """The time (epoch seconds) of the newest entry, None when none is dated."""
    return max((entry.published for entry in entries if entry.published is not None), default=None)


def is_overrun(seen: int | None, entries: Sequence[FeedEntry]) -> bool:
    """Whether entries may have come and gone since the polls whose newest entry was of `seen`.

    True when not even the oldest entry is older than that: several may be of that very second. A deleted
    project leaves the feed, so a missing entry alone proves nothing. `seen` is the newest of *all* polls, for
    a cache may answer with an older feed; None: nothing was read before, so nothing can be missed.
    """
    dated = [entry.published for entry in entries if entry.published is not None]
    return seen is not None and bool(dated) and min(dated) >= seen


def next_poll(entries: Sequence[FeedEntry], interval: float, now: float, *, unchanged: int = 0) -> float:
    """Seconds until a feed is read again: `interval`, or less in two cases.

    While so much is released that half of its entries would have been replaced by then: several hundred
    releases within a minute or two (a monorepo) are more than the feed shows. `entries` are those of the last
    answer, `now` is epoch seconds; the pace is that of the newest quarter of them.
    And after the first answer in a row that brought nothing new (`unchanged` counts them): PyPI's cache gives
    the first asker after a release the old feed, and has the new one a moment later.
    """
    if unchanged == 1:
        return min(interval, SHORTEST)
    times = sorted((entry.published for entry in entries if entry.published is not None), reverse=True)
    quarter = len(times) // 4
    if quarter < FEWEST:
        return interval
    return min(interval, max(SHORTEST, 2 * (now - times[quarter])))


def urgency(entry: FeedEntry, *, members: Container[str], hinted: Callable[[str], bool]) -> int:
    """How soon an entry is fetched, 0 = first: members, hinted names, new projects, all else.

    A burst of a few hundred releases keeps the ceiling of requests busy for a minute or two; what is known
    to belong to a profile must not stand behind it, whichever poll named it.
    """
    if entry.normalized_name in members:
        return 0
    if hinted(entry.normalized_name):
        return 1
    return 2 if entry.version is None else 3


def order(
    entries: Iterable[FeedEntry], *, members: Container[str], hinted: Callable[[str], bool]
) -> list[FeedEntry]:
    """Entries in the order in which they are fetched: by urgency, then the oldest first, as none may wait
    for ever behind newer ones. Entries without a date count as the oldest."""
    return sorted(
        entries,
        key=lambda entry: (urgency(entry, members=members, hinted=hinted), entry.published or 0),
    )
