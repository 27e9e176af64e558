"""What is remembered of the jobs from one start of the schedule to the next: a small file, replaced whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pyf_scrapy.exceptions import AlreadyRunningError, StoreError
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.store.locks import FileLock

logger = logging.getLogger(__name__)

_LARGEST = 1_000_000  # bytes; seven jobs need two thousand
_LOCK_PATIENCE = 0.3  # seconds
_UNUSABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Content(msgspec.Struct, frozen=True):
    jobs: dict[str, msgspec.Raw]


class State:
    """The file `schedule.json` in the data folder, and the lock of whoever writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "schedule.json"
        self.lock = FileLock(folder / "locks" / "schedule.lock")

    def take(self) -> None:
        """Take the lock. Raises AlreadyRunningError, StoreError."""
        # Who asks whether it runs has the lock for a moment.
        if not self.lock.acquire(timeout=_LOCK_PATIENCE):
            raise AlreadyRunningError(f"another one is already running in {self.path.parent}")

    @property
    def is_taken(self) -> bool:
        """Whether a schedule runs now. Raises StoreError."""
        if not self.lock.path.exists():
            return False
        free = self.lock.acquire(blocking=False)
        self.lock.release()
        return not free

    def read(self) -> dict[str, Record]:
        """The records by job: none where there is no file yet, and not those that cannot be used (logged)."""
        try:
            with self.path.open("rb") as file:
                jobs = msgspec.json.decode(file.read(_LARGEST), type=_Content).jobs
        except FileNotFoundError:
            return {}
        except (OSError, *_UNUSABLE) as error:
            logger.warning("%s cannot be read (%s): when jobs ran last is not known", self.path, error)
            return {}
        records = {}
        for name, raw in jobs.items():
            try:
                records[name] = msgspec.json.decode(raw, type=Record)
            except _UNUSABLE as error:
                logger.warning("%s: %s (%s): when it ran last is not known", self.path, name, error)
        return records

    def write(self, records: Mapping[str, Record]) -> None:
        """Replace the file. Raises StoreError."""
        content = msgspec.json.format(msgspec.json.encode({"jobs": records}))
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from error
