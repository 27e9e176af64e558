"""How far each source was read: indexes, feeds, which entries of feeds are done, and notes of spiders."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import bindparam, delete, func, select

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import NAMES, StorePart
from pyf_scrapy.store.records import FeedState, IndexRead
from pyf_scrapy.store.tables import dedup, feeds, indexes, notes

#: Seconds for which indexes that were read are remembered; longer than any outage to be looked back upon.
INDEXES_KEPT = 40 * 86_400

_INDEX = select(indexes).where(indexes.c.serial == bindparam("of_serial"))
_SEEN = select(dedup.c.key).where(dedup.c.key.in_(NAMES), dedup.c.expires_at > bindparam("now"))


class Lanes(StorePart):
    """The methods of `Store` about PyPI's index, its feeds, the entries that are done, and notes."""

    def note_index(self, serial: int | None, read_at: int, count: int) -> None:
        """Note that an index of `count` projects was read, or that it was not modified.

        One without a last serial says nothing about how far PyPI was then and is not noted.
        """
        if serial is None:
            return
        with self._database.write() as connection:
            row = connection.execute(_INDEX, {"of_serial": serial}).first()
            first, last = (row.first_read_at, row.last_read_at) if row is not None else (read_at, read_at)
            read = IndexRead(serial, min(first, read_at), max(last, read_at), count)
            connection.execute(self._database.upsert(indexes), [asdict(read)])
            newest = connection.execute(select(func.max(indexes.c.last_read_at))).scalar_one()
            connection.execute(delete(indexes).where(indexes.c.last_read_at < newest - INDEXES_KEPT))

    def index_reads(self) -> list[IndexRead]:
        """The indexes read in the last 40 days, by serial."""
        with self._database.read() as connection:
            rows = connection.execute(select(indexes).order_by(indexes.c.serial)).all()
        return [IndexRead(*row) for row in rows]

    def feed(self, url: str) -> FeedState | None:
        """A feed as last polled, None when it never was."""
        with self._database.read() as connection:
            row = connection.execute(select(feeds).where(feeds.c.url == url)).first()
        return None if row is None else FeedState(*row)

    def save_feed(self, state: FeedState) -> None:
        """Remember a feed as polled now."""
        with self._database.write() as connection:
            connection.execute(self._database.upsert(feeds), [state._asdict()])

    def feeds(self) -> list[FeedState]:
        """All feeds that were ever polled, by URL."""
        with self._database.read() as connection:
            rows = connection.execute(select(feeds).order_by(feeds.c.url)).all()
        return [FeedState(*row) for row in rows]

    def seen_keys(self, keys: Iterable[str], now: int) -> set[str]:
        """Those of the keys that were marked and have not expired."""
        found: set[str] = set()
        for some in chunks(keys):
            with self._database.read() as connection:
                found.update(connection.execute(_SEEN, {"names": some, "now": now}).scalars())
        return found

    def mark_seen(self, keys: Mapping[str, int], now: int | None = None) -> None:
        """Mark keys until the time given with each. Keys that expired by `now` (None: the clock) go."""
        if not keys:
            return
        rows = [{"key": key, "expires_at": expires_at} for key, expires_at in keys.items()]
        expired = dedup.c.expires_at <= (int(time.time()) if now is None else now)
        with self._database.write() as connection:
            connection.execute(delete(dedup).where(expired))
            connection.execute(self._database.upsert(dedup), rows)

    def count_seen(self, now: int) -> int:
        """How many keys are marked and have not expired."""
        query = select(func.count()).select_from(dedup).where(dedup.c.expires_at > now)
        with self._database.read() as connection:
            count: int = connection.execute(query).scalar_one()
        return count

    def forget_seen(self) -> int:
        """Forget all keys that were marked; returns how many there were."""
        with self._database.write() as connection:
            return connection.execute(delete(dedup)).rowcount

    def remember(self, name: str, value: Any) -> None:
        """Note a small value of JSON under a name, for later runs; None forgets it. On return it is safe
        from a kill. Two that change the same note at once: the last one wins."""
        with self._database.write() as connection:
            if value is None:
                connection.execute(delete(notes).where(notes.c.name == name))
            else:
                connection.execute(self._database.upsert(notes), [{"name": name, "value": value}])

    def recall(self, name: str) -> Any:
        """What was noted under a name, None when nothing is."""
        with self._database.read() as connection:
            return connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar()
