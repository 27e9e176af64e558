"""Locks between machines that share a PostgreSQL server: it frees them, however their holder ends."""

from __future__ import annotations

import threading
from types import TracebackType

from sqlalchemy import Connection, TextClause, exc, text

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.database import Database

# A lock is a number of 64 bits in a database. Stores in two schemas of it are strangers.
_KEY = """hashtextextended((current_schema() || '/' || :name) COLLATE "C", 0)"""
_TRY, _WAIT, _FREE = (
    text(f"SELECT {function}({_KEY})")
    for function in ("pg_try_advisory_lock", "pg_advisory_lock", "pg_advisory_unlock")
)
_IN_USE = text(f"""SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = {_KEY})""")  # noqa: S608
_PATIENCE = text("SELECT set_config('lock_timeout', :patience, false)")
_ALIVE = text("SELECT 1")
_TIMED_OUT = "55P03"  # lock_not_available


class AdvisoryLock:
    """An exclusive lock called `name`, between all who use the same store on PostgreSQL, and between threads.

    Not reentrant. It belongs to a connection of its own: the lock is free when that is closed or lost, so the
    server gives it to another when its holder was killed, when the machine is gone (`postgresql.GONE_AFTER`),
    and when the server itself was started again. Then the holder does not have it any more: it learns of it
    by `ensure_held`. A pooler of connections in between must keep sessions together.
    """

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._connection: Connection | None = None
        self._in_turn = threading.Lock()  # a connection is for one thread at a time

    @property
    def held(self) -> bool:
        """Whether this object has taken the lock."""
        return self._connection is not None

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; wait for it as long as needed, `timeout` seconds, or (`blocking=False`) not at all.

        Who waits is served in turn. Returns whether the lock is held now. Raises StoreError when the server
        cannot be reached, or goes away meanwhile.
        """
        with self._database.errors():
            connection = self._database.lock_connection()
            try:
                taken = self._ask(connection, _TRY) or (blocking and self._wait(connection, timeout))
            except BaseException:
                _close(connection)  # perhaps it has the lock
                raise
            if taken:
                self._connection = connection
            else:
                connection.close()
            return taken

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        with self._in_turn:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            try:
                self._ask(connection, _FREE)
            except exc.SQLAlchemyError:
                _close(connection)  # and with it the lock
            else:
                connection.close()

    def ensure_held(self) -> None:
        """Raise StoreError when the lock was lost since it was taken, with its connection; else it was still
        held when the server answered."""
        try:
            with self._in_turn:
                assert self._connection is not None, "the lock was not taken"
                self._connection.execute(_ALIVE)
        except exc.SQLAlchemyError as error:
            raise StoreError(
                f"{self._database.shown}: the lock {self.name} was lost, the connection to the server broke"
            ) from error

    def in_use(self) -> bool:
        """Whether anybody holds the lock."""
        with self._database.errors(), self._database.lock_connection() as connection:
            return self._ask(connection, _IN_USE)

    def __enter__(self) -> AdvisoryLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        """One that was forgotten must not go on in a connection that waits for the next lock."""
        if self._connection is not None:
            _close(self._connection)

    def _ask(self, connection: Connection, question: TextClause) -> bool:
        return bool(connection.execute(question, {"name": self.name}).scalar_one())

    def _wait(self, connection: Connection, timeout: float | None) -> bool:
        patience = 0 if timeout is None else max(1, round(timeout * 1000))  # 0 = without end
        connection.execute(_PATIENCE, {"patience": str(patience)})
        try:
            connection.execute(_WAIT, {"name": self.name})
        except exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _TIMED_OUT:
                raise
            return False
        return True


def _close(connection: Connection) -> None:
    """Close a connection for good instead of keeping it for the next lock."""
    connection.invalidate()
    connection.close()
