"""What each collection of the search index has of each package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, delete, select, update

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import NAMES, AnyRow, StorePart, read_meta
from pyf_scrapy.store.records import CollectionRow, Indexed, Shape
from pyf_scrapy.store.tables import collections, indexed

_hashes = msgspec.msgpack.Decoder(dict[str, bytes])
_marks = msgspec.json.Decoder(tuple[str, ...])
_shapes = msgspec.json.Decoder(Shape)

_COLLECTION: BindParameter[str] = bindparam("of")
_INDEXED = select(indexed.c.normalized_name, indexed.c.indexed_revision, indexed.c.hashes).where(
    indexed.c.collection == _COLLECTION, indexed.c.normalized_name.in_(NAMES)
)
_FORGET = delete(indexed).where(indexed.c.collection == _COLLECTION, indexed.c.normalized_name.in_(NAMES))
_ALL = select(indexed.c.normalized_name, indexed.c.indexed_revision, indexed.c.hashes).where(
    indexed.c.collection == _COLLECTION
)
_DOUBT_ALL = update(indexed).where(indexed.c.collection == _COLLECTION).values(indexed_revision=None)


class Indexing(StorePart):
    """The methods of `Store` about collections and what they hold."""

    def open_collection(
        self,
        collection: str,
        definition: Mapping[str, Any],
        releases: int | None,
        physical: str,
        created_at: int,
        server: str,
        present: Mapping[str, Set[str]] | None = None,
        redated: bool = False,
        doubtful: bool = False,
    ) -> None:
        """Remember a collection, and doubt what no longer fits it.

        Another physical collection, creation or server: all is in doubt but what `present` (None: empty) says
        of it, the ids that it holds by package. With `redated` another creation alone is no doubt as long as
        all documents of a package are there: Typesense 0.24.1 dates a collection anew when it is started.
        `present` given for a collection that seems the same says what it really holds; with `doubtful` it may
        all be older than what was sent.
        Another number of releases, or of releases with text: documents differ, so all its packages are
        dirty; what was sent is known. Another definition otherwise changes who belongs to it, which `dirty`
        finds out by itself.
        """
        plain = msgspec.json.decode(msgspec.json.encode(definition))  # as it will be read again
        row = CollectionRow(collection, plain, releases, physical, created_at, server)
        with self._database.write() as connection:
            known = _collection(connection, collection)
            self._keep_meta(connection, shape_key(collection), shape_of(row))
            if known == row and present is None:
                return
            connection.execute(self._database.upsert(collections), [row._asdict()])
            if known is None or known[3:] != row[3:] or present is not None:
                is_same = (
                    known is not None
                    and not doubtful
                    and (known.physical, known.server) == (physical, server)
                )
                is_same &= redated or (known is not None and known.created_at == created_at)
                self._compare(connection, collection, present or {}, trusted=is_same)
            # Where it is was compared above.
            if known is not None and shape_of(known)[2:] != shape_of(row)[2:]:
                connection.execute(_DOUBT_ALL, {"of": collection})

    def collection(self, name: str) -> CollectionRow | None:
        """A collection as last opened, None when it never was."""
        with self._database.read() as connection:
            return _collection(connection, name)

    def collections(self) -> list[CollectionRow]:
        """All collections that were opened, by name; not those that are being made anew (`Rebuilding`)."""
        query = (
            select(collections)
            .where(collections.c.collection != collections.c.physical)
            .order_by(collections.c.collection)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [CollectionRow(*row) for row in rows]

    def shape(self, collection: str) -> Shape | None:
        """What documents must be like now, whoever opened the collection last; None when nobody did.

        A row of its own: the definition of a collection may name thousands of packages.
        """
        with self._database.read() as connection:
            value = read_meta(connection, shape_key(collection))
        return None if value is None else _shapes.decode(value)

    def marks(self, collection: str) -> tuple[str, ...]:
        """Those marks of the search server that show that it has what was last sent; none: it has none."""
        with self._database.read() as connection:
            value = read_meta(connection, _marks_key(collection))
        return () if value is None else _marks.decode(value)

    def save_marks(self, collection: str, marks: tuple[str, ...]) -> None:
        """Accept these marks of the search server from now on, and no others."""
        with self._database.write() as connection:
            self._keep_meta(connection, _marks_key(collection), marks)

    def indexed(self, collection: str, names: Iterable[str]) -> dict[str, Indexed]:
        """What the collection has of these packages; those it never saw are absent."""
        found: dict[str, Indexed] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                found.update(_indexed(connection, collection, some))
        return found

    def documents_known(self, collection: str) -> int:
        """How many documents the collection has, by what was sent to it."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL, {"of": collection})
            return sum(len(_hashes.decode(row.hashes)) for row in rows)

    def indexed_names(self, collection: str) -> Iterator[str]:
        """The packages that the collection has, or may have, documents of; by name."""
        query = (
            select(indexed.c.normalized_name)
            .where(indexed.c.collection == collection)
            .order_by(indexed.c.normalized_name)
        )
        with self._database.read() as connection:
            names = connection.execute(query).scalars().all()
        yield from names

    def index_states(self, collection: str) -> dict[str, bytes]:
        """For each package of the collection what changes whenever any of its documents does."""
        query = (
            select(indexed.c.normalized_name, indexed.c.indexed_revision, indexed.c.hashes)
            .where(indexed.c.collection == collection)
            .order_by(indexed.c.normalized_name)
        )
        return {
            name: blake2b(hashes, digest_size=8, key=str(revision).encode()).digest()
            for rows in self._pages(lambda last: query.where(indexed.c.normalized_name > last))
            for name, revision, hashes in rows
        }

    def begin_index(self, collection: str, documents: Sequence[tuple[str, Iterable[str]]]) -> None:
        """Note which documents of which packages are about to be sent or deleted, before they are.

        Until `finish_index` their state is unknown: the packages are dirty and the hashes of these documents
        b"", so that a killed sender leaves no document behind that nobody knows.
        """
        with self._database.write() as connection:
            self._doubt(connection, collection, documents)

    def doubt_index(self, collection: str, documents: Sequence[tuple[str, Iterable[str]]]) -> None:
        """`begin_index` for what was sent when the lock under which that was done is lost: their state is
        unknown, whatever another sender has noted since."""
        with self._database.write(guarded=False) as connection:
            self._doubt(connection, collection, documents)

    def finish_index(self, collection: str, packages: Sequence[tuple[str, int, Mapping[str, bytes]]]) -> None:
        """Note that the collection holds exactly these documents of packages, made from these revisions."""
        rows = {
            name: _row(collection, name, Indexed(revision, dict(hashes)))
            for name, revision, hashes in packages
        }
        with self._database.write() as connection:
            self._upsert(connection, rows)

    def forget_indexed(self, collection: str, names: Iterable[str]) -> None:
        """Note that the collection has nothing of these packages."""
        with self._database.write() as connection:
            for some in chunks(names):
                connection.execute(_FORGET, {"of": collection, "names": some})

    def _doubt(
        self, connection: Connection, collection: str, documents: Sequence[tuple[str, Iterable[str]]]
    ) -> None:
        known = _indexed(connection, collection, [name for name, _ in documents])
        rows = {}
        for name, ids in documents:
            hashes = known[name].hashes if name in known else {}
            known[name] = Indexed(None, hashes | dict.fromkeys(ids, b""))
            rows[name] = _row(collection, name, known[name])
        self._upsert(connection, rows)

    def _compare(
        self, connection: Connection, collection: str, present: Mapping[str, Set[str]], *, trusted: bool
    ) -> None:
        """Make the rows say what the collection holds: what is there but in doubt has hash b""."""
        known = {row.normalized_name: row for row in connection.execute(_ALL, {"of": collection})}
        gone = [name for name in known if name not in present]
        for some in chunks(gone):
            connection.execute(_FORGET, {"of": collection, "names": some})
        doubted = {}
        for name, ids in present.items():
            row = known.get(name)
            kept = trusted and row is not None and row.indexed_revision is not None
            if not (kept and row is not None and _hashes.decode(row.hashes).keys() == ids):
                doubted[name] = _row(collection, name, Indexed(None, dict.fromkeys(sorted(ids), b"")))
        self._upsert(connection, doubted)

    def _upsert(self, connection: Connection, rows: Mapping[str, dict[str, Any]]) -> None:
        if rows:
            connection.execute(self._database.upsert(indexed), list(rows.values()))


def shape_of(row: CollectionRow) -> Shape:
    """What documents of a collection must be like."""
    made = row.definition
    return Shape(
        row.server,
        row.physical,
        row.releases,
        made.get("descriptions"),
        made.get("downloads"),
        made.get("format"),
    )


def shape_key(collection: str) -> str:
    """The key of its shape in the table `meta`."""
    return f"shape/{collection}"


def _marks_key(collection: str) -> str:
    """The key of its marks in the table `meta`."""
    return f"mark/{collection}"


def _collection(connection: Connection, name: str) -> CollectionRow | None:
    row: AnyRow | None = connection.execute(
        select(collections).where(collections.c.collection == name)
    ).first()
    return None if row is None else CollectionRow(*row)


def _indexed(connection: Connection, collection: str, names: Iterable[str]) -> dict[str, Indexed]:
    found: dict[str, Indexed] = {}
    for some in chunks(names):
        for name, revision, hashes in connection.execute(_INDEXED, {"of": collection, "names": some}):
            found[name] = Indexed(revision, _hashes.decode(hashes))
    return found


def _row(collection: str, name: str, state: Indexed) -> dict[str, Any]:
    return {
        "collection": collection,
        "normalized_name": name,
        "indexed_revision": state.revision,
        "hashes": msgspec.msgpack.encode(state.hashes),
    }
