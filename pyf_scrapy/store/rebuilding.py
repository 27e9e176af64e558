"""A collection that is made anew beside the one that it will replace."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, select, update

from pyf_scrapy.store.indexing import shape_key, shape_of
from pyf_scrapy.store.part import StorePart, read_meta
from pyf_scrapy.store.records import CollectionRow
from pyf_scrapy.store.tables import collections, indexed, meta


class Rebuild(NamedTuple):
    """`new` is being made on `server` to take the place of `old`; what it holds is noted as of a collection
    of that very name. `created`: the server has made it; `switching`: it is complete, and the aliases are
    being moved."""

    old: str
    new: str
    server: str
    switching: bool = False
    created: bool = False


_rebuilds = msgspec.json.Decoder(Rebuild)

_PREFIX = "rebuild/"
_BEGUN = select(meta.c.value).where(meta.c.key.startswith(_PREFIX, autoescape=True))


class Rebuilding(StorePart):
    """The methods of `Store` about collections that are made anew."""

    def rebuild(self, collection: str) -> Rebuild | None:
        """What was begun and not yet ended, perhaps by a process that was killed."""
        with self._database.read() as connection:
            value = read_meta(connection, _key(collection))
        return None if value is None else _rebuilds.decode(value)

    def rebuilds(self) -> list[Rebuild]:
        """All that were begun and not ended."""
        with self._database.read() as connection:
            values = connection.execute(_BEGUN).scalars().all()
        return [_rebuilds.decode(value) for value in values]

    def save_rebuild(self, collection: str, rebuild: Rebuild) -> None:
        """Note what is being done, before it is done."""
        with self._database.write() as connection:
            self._keep_meta(connection, _key(collection), rebuild)

    def drop_rebuild(self, collection: str) -> None:
        """Forget what was begun, and what the new collection was noted to hold."""
        with self._database.write() as connection:
            value = read_meta(connection, _key(collection))
            if value is not None:
                self._forget(connection, _rebuilds.decode(value).new)
                self._keep_meta(connection, _key(collection), None)

    def adopt_rebuild(self, collection: str) -> None:
        """From now on the new one is the collection, and holds what was noted of it; the old one is nobody's.

        Raises KeyError when nothing was begun.
        """
        with self._database.write() as connection:
            value = read_meta(connection, _key(collection))
            if value is None:
                raise KeyError(collection)
            new = _rebuilds.decode(value).new
            found = connection.execute(select(collections).where(collections.c.collection == new)).one()
            row = CollectionRow(*found)._replace(collection=collection)
            connection.execute(delete(indexed).where(indexed.c.collection == collection))
            connection.execute(
                update(indexed).where(indexed.c.collection == new).values(collection=collection)
            )
            connection.execute(self._database.upsert(collections), [row._asdict()])
            self._keep_meta(connection, shape_key(collection), shape_of(row))
            self._forget(connection, new)
            self._keep_meta(connection, _key(collection), None)

    def _forget(self, connection: Connection, new: str) -> None:
        connection.execute(delete(indexed).where(indexed.c.collection == new))
        connection.execute(delete(collections).where(collections.c.collection == new))
        self._keep_meta(connection, shape_key(new), None)


def _key(collection: str) -> str:
    """The key in the table `meta`."""
    return f"{_PREFIX}{collection}"
