"""The connection to the database, and everything that depends on which database it is."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store import postgresql as server
from pyf_scrapy.store.locks import Lock
from pyf_scrapy.store.records import UnstorableError

#: Seconds that a write waits for the writes of other processes.
BUSY_TIMEOUT = 30

#: Rows read or named in one statement (SQLite allows 32,766 variables, each name is one).
CHUNK = 500

_INSERT: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
#: What a driver raises about data that cannot be stored. On PostgreSQL the two others say that a table or a
#: right is missing, or that the connection is lost.
_ABOUT_DATA: dict[str, tuple[type[exc.DBAPIError], ...]] = {
    "sqlite": (exc.DataError, exc.IntegrityError, exc.InterfaceError, exc.ProgrammingError),
    "postgresql": (exc.DataError, exc.IntegrityError),
}
_ADVISORY_LOCK = 0x7079665F  # "pyf_": one writer at a time on PostgreSQL, as on SQLite
_WRITES = "pyf_writes"
_IDLE_LOCK_CONNECTIONS = 2  # kept for the next locks: a batch takes one, and the next batch again

_guards: ContextVar[tuple[Lock, ...]] = ContextVar("guards", default=())

T = TypeVar("T")


class Database:
    """Short transactions on one database, for any number of threads. Errors are StoreError, one line."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            self.engine = self._create_engine(self.url)
        except ImportError as error:
            raise StoreError("DATABASE_URL: PostgreSQL needs pip install 'psycopg[binary]'") from error
        except exc.ArgumentError as error:
            raise StoreError(f"DATABASE_URL: {_first_line(error)}") from error
        self.dialect = self.engine.dialect.name
        self._upserts: dict[str, Insert] = {}
        #: whether nothing may be written at all
        self.read_only = False
        #: locks without which nothing may be written
        self.guards: list[Lock] = []
        self._locks: Engine | None = None
        self._locks_made = threading.Lock()
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(**{_WRITES: True})
        self._reader = self.engine
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
        else:
            event.listen(self.engine, "connect", _prepare_postgresql)
            # A writer sees what the one before it wrote: a snapshot would be from before it had to wait.
            self._writer = self._writer.execution_options(isolation_level="READ COMMITTED")
            # One snapshot for all statements of a read, as a SQLite transaction has it.
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @staticmethod
    def _create_engine(url: URL) -> Engine:
        backend = url.get_backend_name()
        if backend not in _INSERT:
            raise StoreError(
                f"DATABASE_URL: {backend} is not supported, use sqlite:/// or postgresql+psycopg://"
            )
        if backend == "sqlite" and (not url.database or url.database == ":memory:" or "uri" in url.query):
            raise StoreError("DATABASE_URL: give the path of a file, as in sqlite:////path/to/pyf.sqlite")
        if backend == "sqlite":
            return create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})
        return create_engine(url, connect_args=server.client_options(url), json_serializer=_json)

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(str(self.url.database)) if self.dialect == "sqlite" else None

    @property
    def is_there(self) -> bool:
        """Whether the SQLite file is there; True for a server, which may have the database. Raises StoreError
        where nobody can look."""
        if self.file is None:
            return True
        try:
            self.file.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{self.file} cannot be read: {error.strerror}") from error
        return True

    @property
    def shown(self) -> str:
        """What it is called in messages; without its password."""
        return str(self.file or self.url.render_as_string(hide_password=True))

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent look at the data. Keep it short: SQLite's log grows meanwhile."""
        with self.errors(), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, guarded: bool = True) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; committed when the block ends without an error.

        Raises StoreError when it is `read_only`, or when a lock of `guards` or `guarding` was lost, unless it
        is not `guarded`. That is looked at when no other can write any more: whoever has the lock by now
        writes after this.
        """
        if self.read_only:
            raise StoreError(f"{self.shown} was opened to be read only")
        with self.errors(), self._writer.begin() as connection:
            for lock in (*self.guards, *_guards.get()) if guarded else ():
                lock.ensure_held()
            yield connection

    def lock_connection(self) -> Connection:
        """A connection to PostgreSQL that is used by nobody else, to hold a lock; not in a transaction.

        It is none of those of `read` and `write`, of which there are only so many. Once closed it is kept for
        the next lock: give the lock back before, or invalidate the connection.
        """
        with self._locks_made:
            if self._locks is None:
                self._locks = create_engine(
                    self.url,
                    connect_args=server.client_options(self.url),
                    isolation_level="AUTOCOMMIT",
                    pool_size=_IDLE_LOCK_CONNECTIONS,
                    max_overflow=-1,
                    pool_pre_ping=True,  # one that was lost while nobody used it harms nobody
                )
                event.listen(self._locks, "connect", _prepare_postgresql_lock)
        return self._locks.connect()

    def upsert(self, table: Table) -> Insert:
        """Insert rows of `table`, or replace all other columns of a row with the same primary key."""
        if table.name not in self._upserts:
            insert = _INSERT[self.dialect](table)
            others = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
            self._upserts[table.name] = insert.on_conflict_do_update(
                index_elements=list(table.primary_key.columns), set_=others
            )
        return self._upserts[table.name]

    def insert_missing(self, table: Table) -> Insert:
        """Insert rows of `table` unless the same ones are there."""
        insert: Insert = _INSERT[self.dialect](table).on_conflict_do_nothing()
        return insert

    def use_log(self) -> None:
        """Switch a SQLite file to write-ahead logging, once. Not safe beside other openers: hold a lock."""
        if self.dialect == "sqlite":
            with self.errors(), contextlib.closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = WAL")

    def copy(self, path: Path) -> None:
        """Write a consistent copy of a SQLite database to `path`, replacing it; writers go on meanwhile."""
        if self.file is None:
            raise StoreError("only a SQLite store can be copied this way, use pg_dump for PostgreSQL")
        if path.exists() and path.samefile(self.file):
            raise StoreError(f"{path} is the store itself, copy it to another file")
        part = path.with_name(f"{path.name}.part")
        try:
            part.unlink(missing_ok=True)
            with self.errors(), contextlib.closing(self.engine.raw_connection()) as source:
                driver = source.driver_connection
                with contextlib.closing(sqlite3.connect(part)) as target:
                    if driver is not None:
                        driver.backup(target)
            part.replace(path)
        except (OSError, sqlite3.Error) as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"cannot copy the store to {path}: {_first_line(error)}") from error

    def close(self) -> None:
        """Close all connections. Give locks back before."""
        self.engine.dispose()
        if self._locks is not None:
            self._locks.dispose()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what goes wrong as StoreError, UnstorableError for data that cannot be stored."""
        try:
            yield
        except (UnicodeError, OverflowError) as error:
            raise UnstorableError(f"{self.shown}: {_first_line(error)}") from error
        except exc.DBAPIError as error:
            kind = UnstorableError if isinstance(error, _ABOUT_DATA[self.dialect]) else StoreError
            raise kind(f"{self.shown}: {_first_line(error.orig or error)}") from error
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise StoreError(f"{self.shown}: {_first_line(error)}") from error


@contextlib.contextmanager
def guarding(lock: Lock) -> Iterator[None]:
    """Let writes in the block, and in threads that `asyncio.to_thread` starts in it, depend on a lock."""
    token = _guards.set((*_guards.get(), lock))
    try:
        yield
    finally:
        _guards.reset(token)


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut into lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _begin(connection: Connection) -> None:
    """Begin transactions ourselves (https://docs.sqlalchemy.org/en/21/dialects/sqlite.html, transactions)."""
    writes = connection.get_execution_options().get(_WRITES, False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    connection.execute("PRAGMA synchronous = NORMAL")  # with a log: no corruption, commits survive a kill
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    server.prepare_store_session(connection, patience=BUSY_TIMEOUT)


def _prepare_postgresql_lock(connection: Any, _record: object) -> None:
    server.prepare_lock_session(connection)


def _json(value: object) -> str:
    """psycopg makes the text itself, where SQLAlchemy does not see what goes wrong."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise UnstorableError(f"not JSON: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
