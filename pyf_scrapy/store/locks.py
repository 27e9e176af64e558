"""Locks between processes that are freed however their holder ends: on one machine, by its kernel.

Those between machines are in `advisory`.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pyf_scrapy.exceptions import StoreError

_POLL = 0.05  # seconds between two tries while a timeout runs


class Lock(Protocol):
    """An exclusive lock between processes and between threads; not reentrant. Errors are StoreError."""

    @property
    def held(self) -> bool:
        """Whether this object has taken the lock."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; wait for it as long as needed, `timeout` seconds, or (`blocking=False`) not at all.

        Returns whether the lock is held now.
        """

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""

    def ensure_held(self) -> None:
        """Raise StoreError when the lock was lost since it was taken, and may be somebody else's by now."""

    def in_use(self) -> bool:
        """Whether anybody holds the lock."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FileLock:
    """An exclusive flock on the file `path`, between processes and between threads.

    Not reentrant. The file is made when missing and never removed: removing a lock file lets two
    processes hold "the same" lock. The lock does not pass to child processes: it is closed on exec, and
    in a forked child.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; wait for it as long as needed, `timeout` seconds, or (`blocking=False`) not at all.

        Returns whether the lock is held now. Raises StoreError when the file cannot be opened.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"lock file {self.path}: {error.strerror}") from error
        try:
            taken = _flock(fd, blocking, timeout)
        except BaseException:
            os.close(fd)
            raise
        if not taken:
            os.close(fd)
            return False
        self._fd = fd
        _held.add(self)
        return True

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        fd, self._fd = self._fd, None
        _held.discard(self)
        if fd is not None:
            os.close(fd)

    def ensure_held(self) -> None:
        """Without effect: the kernel takes no lock away."""

    def in_use(self) -> bool:
        """Whether anybody holds the lock. It can only be tried by taking it for a moment."""
        if self.held:
            return True
        if not self.path.exists():
            return False
        if not self.acquire(blocking=False):
            return True
        self.release()
        return False

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _flock(fd: int, blocking: bool, timeout: float | None) -> bool:
    if blocking and timeout is None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return True
    end = time.monotonic() + (timeout or 0.0)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not blocking or time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        else:
            return True


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    """A forked child shares the open file: unless it closes its copy, the lock outlives the parent."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
