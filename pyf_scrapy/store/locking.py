"""Who is alone in doing something."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.advisory import AdvisoryLock
from pyf_scrapy.store.database import guarding
from pyf_scrapy.store.locks import FileLock, Lock
from pyf_scrapy.store.part import StorePart


class Locking(StorePart):
    """The methods of `Store` about locks: files on one machine, PostgreSQL's own between several."""

    _lock_folder: Path | None

    @property
    def locks_at(self) -> str:
        """The data folder or the database whose users exclude each other by `lock`."""
        return self._database.shown if self._lock_folder is None else str(self._lock_folder.parent)

    def lock(self, name: str) -> Lock:
        """A lock between all who use the store."""
        if self._lock_folder is None:
            return AdvisoryLock(self._database, name)
        return FileLock(self._lock_folder / f"{quote(name, safe='')}.lock")

    def guard(self, lock: Lock) -> None:
        """Write from now on only while this lock, which was taken, is not lost; else StoreError is raised."""
        self._database.guards.append(lock)

    @contextlib.contextmanager
    def index_lock(self, collection: str, timeout: float | None = None) -> Iterator[None]:
        """Be the only one, of all processes and threads, that writes to the collection; not reentrant.

        Waits for another holder, `timeout` seconds at most, then raises StoreError. Raises it also when the
        lock is lost meanwhile, as on PostgreSQL it may be: at the end at the latest, and before that instead
        of writing to the store, so that nobody notes what the next holder does not know of.
        """
        lock = self.lock(f"index-{collection}")
        if not lock.acquire(timeout=timeout):
            raise StoreError(f"collection {collection}: another process has been writing to it for too long")
        try:
            with guarding(lock):
                yield
            lock.ensure_held()
        finally:
            lock.release()
