"""`Store`: everything that is known, in one database."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store import schema
from pyf_scrapy.store.classifiers import ClassifierCodec
from pyf_scrapy.store.copying import Copying
from pyf_scrapy.store.database import Database
from pyf_scrapy.store.downloads import Downloads
from pyf_scrapy.store.facts import Facts
from pyf_scrapy.store.indexing import Indexing
from pyf_scrapy.store.journal import Journal
from pyf_scrapy.store.lanes import Lanes
from pyf_scrapy.store.links import Links
from pyf_scrapy.store.locking import Locking
from pyf_scrapy.store.locks import FileLock
from pyf_scrapy.store.queue import Queue
from pyf_scrapy.store.rebuilding import Rebuilding
from pyf_scrapy.store.receiving import Receiving
from pyf_scrapy.store.repositories import Repositories
from pyf_scrapy.store.saving import Saving
from pyf_scrapy.store.scores import Scores
from pyf_scrapy.store.standings import Standings


class Store(
    Facts,
    Saving,
    Standings,
    Repositories,
    Links,
    Downloads,
    Lanes,
    Queue,
    Indexing,
    Rebuilding,
    Scores,
    Copying,
    Receiving,
    Locking,
    Journal,
):
    """The facts, their revisions and what the index has of them. Thread-safe, for any number of processes.

    `url` is a SQLAlchemy URL (sqlite:////PATH or postgresql+psycopg://...). `pypi_url` is whose facts these
    are; the store remembers the first and refuses another. `folder` is where the lock files of a SQLite store
    go, by default that of its file. Not for use across a fork: open it in the process that uses it. All
    methods raise StoreError, UnstorableError for data that cannot be stored; with `read_only` those that
    write always do, but opening it brings it up to date.
    """

    def __init__(
        self,
        url: str,
        *,
        pypi_url: str | None = None,
        folder: Path | None = None,
        read_only: bool = False,
    ) -> None:
        self._database = Database(url)
        file = self._database.file
        self._lock_folder = None if file is None else (folder or file.parent) / "locks"
        self._classifiers = ClassifierCodec(self._database)
        try:
            self._open(pypi_url)
        except BaseException:
            self._database.close()
            raise
        self._database.read_only = read_only

    def _open(self, pypi_url: str | None) -> None:
        lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        file = self._database.file
        if file is not None:
            try:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make the folder {file.parent}: {error.strerror}") from error
            lock = FileLock(file.with_name(f"{file.name}.lock"))
        with lock:
            self._database.use_log()
            #: whose facts these are
            self.pypi_url = schema.prepare(self._database, pypi_url=pypi_url, now=int(time.time()))

    def backup(self, path: Path) -> None:
        """Write a consistent copy to the file `path`, replacing it at the end, while others use the store."""
        self._database.copy(path)

    def close(self) -> None:
        """Close all connections. Give locks back before."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
