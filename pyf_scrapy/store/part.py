"""What the parts of `Store` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    CursorResult,
    Executable,
    Row,
    Select,
    Text,
    bindparam,
    case,
    cast,
    delete,
    insert,
    select,
    update,
)

from pyf_scrapy.store.changes import Happened
from pyf_scrapy.store.classifiers import ClassifierCodec
from pyf_scrapy.store.database import Database, chunks
from pyf_scrapy.store.records import GONE, UNLISTED_SERIAL, Standing
from pyf_scrapy.store.schema import CHANGES
from pyf_scrapy.store.tables import events, meta, packages, projects, releases, standings

T = TypeVar("T")

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]

#: Rows of one page of a streamed answer.
PAGE = 5_000

#: The parameter `names` of the statements below.
NAMES: BindParameter[list[str]] = bindparam("names", expanding=True)

#: Projects with their records; those columns are None for a project that never was a member.
KNOWN = (
    select(projects, packages.c.serial.label("facts_serial"), packages.c.listed, packages.c.project)
    .outerjoin(packages, packages.c.normalized_name == projects.c.normalized_name)
    .where(projects.c.normalized_name.in_(NAMES))
)

#: Releases of projects, without their metadata.
VERSIONS = select(
    releases.c.normalized_name,
    releases.c.version,
    releases.c.serial,
    releases.c.metadata.is_(None).label("partial"),
).where(releases.c.normalized_name.in_(NAMES))


#: What is known of packages beside their serials; the columns of a `Standing`.
STANDINGS = select(standings).where(standings.c.normalized_name.in_(NAMES))

# In SQL: read as a third column and compared here, the status would make the stream half as slow again.
#: The serial of a project, UNLISTED_SERIAL of one that is gone.
LISTED_SERIAL = case(
    dict.fromkeys(sorted(GONE), UNLISTED_SERIAL), value=projects.c.status, else_=projects.c.serial
)

#: Writes rows of `note`.
NOTE = insert(events)

_TOUCH = (
    update(projects)
    .where(projects.c.normalized_name == bindparam("touched_name"))
    .values(changed=bindparam("change"))
)
_RISE = _TOUCH.values(revision=projects.c.revision + 1)
_NEXT_CHANGE = (
    update(meta)
    .where(meta.c.key == CHANGES)
    .values(value=cast(cast(meta.c.value, BigInteger) + 1, Text))
    .returning(meta.c.value)
)

_META = select(meta.c.value).where(meta.c.key == bindparam("of"))


def read_meta(connection: Connection, key: str) -> str | None:
    """The JSON that is kept under a key of the table `meta`."""
    value: str | None = connection.execute(_META, {"of": key}).scalar()
    return value


def note(at: int, name: str, event: Happened) -> dict[str, Any]:
    """The row of an event of a package."""
    return {"at": at, "normalized_name": name, **event._asdict()}


def execute(connection: Connection, statement: Executable, rows: list[dict[str, Any]]) -> None:
    """Execute a statement for each of the rows, if there are any."""
    if rows:
        connection.execute(statement, rows)


def next_change(connection: Connection) -> int:
    """The number of a change of facts, for all projects that one transaction changes.

    One transaction writes at a time, so that numbers are seen in the order in which they are given.
    """
    return int(connection.execute(_NEXT_CHANGE).scalar_one())


def touch(connection: Connection, names: Iterable[str]) -> None:
    """Note that something is known of projects that was not known before: their copies are outdated."""
    _mark(connection, _TOUCH, names)


def rise(connection: Connection, names: Iterable[str]) -> None:
    """Raise the revisions of packages: something changed that a document can show."""
    _mark(connection, _RISE, names)


def _mark(connection: Connection, statement: Executable, names: Iterable[str]) -> None:
    if listed := sorted(set(names)):
        change = next_change(connection)
        connection.execute(statement, [{"touched_name": name, "change": change} for name in listed])


def rows_by_name(connection: Connection, query: Executable, names: Iterable[str]) -> dict[str, AnyRow]:
    """The rows that a query with the parameter `names` finds."""
    found = {}
    for some in chunks(names):
        for row in connection.execute(query, {"names": some}):
            found[row.normalized_name] = row
    return found


def known_standings(connection: Connection, names: Sequence[str]) -> dict[str, Standing]:
    """What is known of each of these packages beside its serial; an empty standing if nothing is."""
    found = {name: Standing(name) for name in names}
    found.update((row[0], Standing(*row)) for row in connection.execute(STANDINGS, {"names": names}))
    return found


def without_repeats(items: Iterable[T], name: Callable[[T], str]) -> Iterator[list[T]]:
    """Cut into lists in which each name occurs once: a later answer is compared with the earlier one."""
    some: dict[str, T] = {}
    for item in items:
        if name(item) in some:
            yield list(some.values())
            some = {}
        some[name(item)] = item
    if some:
        yield list(some.values())


class StorePart:
    """One group of the methods of `Store`."""

    _database: Database
    _classifiers: ClassifierCodec

    def _keep_meta(self, connection: Connection, key: str, value: object) -> None:
        """Keep a value as JSON under a key of the table `meta`; None takes the key away."""
        if value is None:
            connection.execute(delete(meta).where(meta.c.key == key))
            return
        text = msgspec.json.encode(value).decode()
        if read_meta(connection, key) != text:
            connection.execute(self._database.upsert(meta), [{"key": key, "value": text}])

    def _pages(self, after: Callable[[str], AnySelect]) -> Iterator[list[AnyRow]]:
        """Stream a query ordered by its first column, a name; `after(name)` selects what follows `name`.

        Each page is a transaction of its own: however long the caller takes, nothing is held open, neither
        memory nor SQLite's log.
        """
        yield from pages(self._database, after, lambda result: list(result.all()))


def pages(
    database: Database, after: Callable[[str], AnySelect], read: Callable[[CursorResult[Any]], list[T]]
) -> Iterator[list[T]]:
    """`StorePart._pages`, with the rows of a page as `read` makes them of its result."""
    last = ""
    while True:
        with database.read() as connection:
            rows: list[Any] = read(connection.execute(after(last).limit(PAGE)))
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        last = rows[-1][0]


def plain(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """The rows as the driver gives them, in half the time: for what is read of a million projects."""
    assert result.cursor is not None, "it is the result of a query"
    return list(result.cursor.fetchall())
