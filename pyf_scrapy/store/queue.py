"""Names that are to be asked about because somebody said so, whatever their serial."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, select

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import NAMES, StorePart
from pyf_scrapy.store.records import Queued, QueuedBySource
from pyf_scrapy.store.tables import queue

_OLDEST_FIRST = select(queue).order_by(queue.c.at, queue.c.normalized_name)
_THERE = select(queue.c.normalized_name).where(queue.c.normalized_name.in_(NAMES))
_BY_SOURCE = (
    select(queue.c.source, func.count().label("names"), func.min(queue.c.at).label("oldest_at"))
    .group_by(queue.c.source)
    .order_by(func.min(queue.c.at), queue.c.source)
)


class Queue(StorePart):
    """The methods of `Store` about names that wait to be asked about.

    A name stays until `dequeue`: whoever asks about it takes it out only when the answer was dealt with, so
    that a killed run loses none.
    """

    def enqueue(self, names: Iterable[str], at: int, source: str) -> int:
        """Queue normalized, valid names at `at` for `source` ("queue add"); returns how many are new.

        One that waits already keeps its place and its source.
        """
        new = 0
        for some in chunks(sorted(set(names))):
            with self._database.write() as connection:
                there = set(connection.execute(_THERE, {"names": some}).scalars())
                missing = [name for name in some if name not in there]
                rows = [{"normalized_name": name, "at": at, "source": source} for name in missing]
                if rows:
                    connection.execute(self._database.insert_missing(queue), rows)
                new += len(rows)
        return new

    def queued(self, limit: int | None = None) -> list[Queued]:
        """What waits, the longest first."""
        with self._database.read() as connection:
            rows = connection.execute(_OLDEST_FIRST.limit(limit)).all()
        return [Queued(*row) for row in rows]

    def queued_by_source(self) -> list[QueuedBySource]:
        """How many names wait for each source, and since when; the source that waits longest first."""
        with self._database.read() as connection:
            return [QueuedBySource(*row) for row in connection.execute(_BY_SOURCE)]

    def dequeue(self, names: Iterable[str]) -> None:
        """Take names out. Writes only when some of them are there."""
        for some in chunks(names):
            with self._database.read() as connection:
                there = list(connection.execute(_THERE, {"names": some}).scalars())
            if there:
                with self._database.write() as connection:
                    connection.execute(delete(queue).where(queue.c.normalized_name.in_(there)))

    def purge_queue(self) -> int:
        """Take all names out; returns how many there were. What index and store differ in remains to be
        done."""
        with self._database.write() as connection:
            return connection.execute(delete(queue)).rowcount
