"""What a run came to, as a file: PYF_DATA_DIR/runs/START-SPIDER-NUMBER.json, START in UTC.

The store has a line for each of very many runs; a report has all of it, for as long as there is room.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.lags import Lags

#: Failures of a run that are kept by name; all are counted.
MOST_FAILURES = 1_000

_LONGEST_REASON = 500  # characters
_PART = ".part"
_NAME = re.compile(r"\d{8}T\d{6}Z-(?P<spider>.+)-\d+\.json(\.part)?")


class FailureNote(msgspec.Struct, frozen=True):
    """A package that failed in a run, at which stage and why."""

    name: str
    stage: str
    reason: str


class Failures(msgspec.Struct):
    """The failures of a run: how many there were, and the first MOST_FAILURES."""

    total: int = 0
    first: list[FailureNote] = msgspec.field(default_factory=list)

    def note(self, name: str, stage: str, reason: str) -> None:
        """Count a failure, and keep it while there is room."""
        self.total += 1
        if len(self.first) < MOST_FAILURES:
            self.first.append(FailureNote(name, stage, " ".join(reason.split())[:_LONGEST_REASON]))


class HostReport(msgspec.Struct, frozen=True):
    """What was asked of a host, and what it sent; `bytes` as they came over the wire, `not_modified` counts
    the answers 304, `statuses` all answers by their status."""

    requests: int = 0
    answers: int = 0
    bytes: int = 0
    not_modified: int = 0
    statuses: dict[str, int] = {}  # msgspec copies it


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run; times are epoch seconds. `run` is its number in the store, None when that could not be opened.

    `finished_at`, `reason` and `exit_code` are None in the report of a run that goes on. `problem` is the
    error that ended it. `figures` are those of the summary.
    """

    run: int | None
    spider: str
    arguments: dict[str, str]
    profiles: list[str]
    collections: list[str]
    version: str
    started_at: int
    finished_at: int | None
    seconds: float
    reason: str | None
    exit_code: int | None
    headline: str
    problem: str | None
    figures: dict[str, int]
    hosts: dict[str, HostReport]
    failures: Failures
    lags: Lags | None


def reports_folder(data_dir: Path) -> Path:
    """Where the reports of a data folder are."""
    return data_dir / "runs"


def report_path(data_dir: Path, spider: str, started_at: int, run: int | None) -> Path:
    """The report of a run, whether it is there or not."""
    start = f"{datetime.fromtimestamp(started_at, UTC):%Y%m%dT%H%M%SZ}"
    return reports_folder(data_dir) / f"{start}-{spider}-{run or 0}.json"


def write_report(data_dir: Path, report: Report) -> Path:
    """Write a report, or replace it, at once or not at all. Raises StoreError."""
    path = report_path(data_dir, report.spider, report.started_at, report.run)
    part = path.with_name(f"{path.name}{_PART}")
    try:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    except UnicodeError as error:
        raise StoreError(f"cannot write {path}: {error}") from error
    return path


def read_report(path: Path) -> Report | None:
    """A report, None when there is none. Raises StoreError for a file that is no report."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def prune_reports(data_dir: Path, spider: str, keep: int, *, parts: bool) -> None:
    """Delete the reports of a spider but for the newest `keep`; `parts`: and what a kill left of one half
    written, for whoever holds the spider's lock. Raises StoreError."""
    try:
        names = sorted((path.name for path in reports_folder(data_dir).iterdir()), reverse=True)
        own = [name for name in names if (match := _NAME.fullmatch(name)) and match["spider"] == spider]
        whole = [name for name in own if not name.endswith(_PART)]
        for name in {*(own if parts else whole)}.difference(whole[:keep]):
            (reports_folder(data_dir) / name).unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot delete old reports: {error.strerror}") from error
