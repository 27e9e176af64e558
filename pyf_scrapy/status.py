"""How far the crawl of a data folder is, from its store: what `scrapy status` shows. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from pyf_scrapy.environment import ceiling
from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.supervisor import is_ready, is_supervised, read_state
from pyf_scrapy.session import open_store, run_lock, store_url
from pyf_scrapy.store import CollectionRow, FailureRow, Run, Store
from pyf_scrapy.store.database import Database
from pyf_scrapy.store.index_file import IndexFile
from pyf_scrapy.sync.work_list import differences

LAST_RUNS = 5
LAST_FAILURES = 5
_RUNS_ASKED = 100  # how far back a rate is looked for
_TELLING = 100  # projects; the rate of a run that fetched fewer is that of its start and end
_SERVER_TIMEOUT = 5.0  # seconds; status is about the store first of all


@dataclass(frozen=True)
class CollectionState:
    """One collection. `releases`: None = all; `members`, `indexed` and `waiting` count packages.

    `documents` counts those in the index, None where it was not asked.
    """

    collection: str
    profile: str
    releases: int | None
    members: int
    indexed: int
    waiting: int
    documents: int | None = None


@dataclass(frozen=True)
class RunState:
    """One run of a spider. `seconds` is None for a run whose end is not known.

    `outcome`: running, killed, interrupted, done, some failed, with errors, not done.
    """

    spider: str
    arguments: dict[str, Any]
    started_at: int
    seconds: int | None
    outcome: str
    exit_code: int | None
    figures: dict[str, int]


@dataclass(frozen=True)
class Overview:
    """Everything that `scrapy status` shows. Times are epoch seconds; None = not known.

    `listed`, `index_serial` and `index_read_at` are of the last index of PyPI; `checked` counts its projects
    whose serial is the stored one. `known` counts all projects in the store, `packages` those with records.
    `projects_per_second` is that of the last telling run, or the ceiling PYPI_MAX_RPS. `search` says whether
    the index was asked for its documents.
    """

    folder: str
    pypi_url: str
    crawled: bool = False
    listed: int | None = None
    index_serial: int | None = None
    index_read_at: int | None = None
    checked: int | None = None
    known: int = 0
    highest_serial: int = 0
    projects_per_second: float | None = None
    seconds_left: int | None = None
    packages: int = 0
    partial_releases: int = 0
    failures: int = 0
    search: str = "not asked"
    collections: list[CollectionState] = field(default_factory=list)
    failed: list[FailureRow] = field(default_factory=list)
    runs: list[RunState] = field(default_factory=list)


def overview(
    settings: Mapping[str, Any], *, collection: str | None = None, all_failures: bool = False
) -> Overview:
    """Look at the store, and at the search server if it can be reached at once.

    `collection` leaves the other collections out. Makes no store and starts no server. Raises StoreError.
    """
    empty = Overview(str(settings["PYF_DATA_DIR"]), str(settings["PYPI_URL"]))
    file = Database(store_url(settings)).file
    if file is not None and not file.exists():
        return empty
    with open_store(settings, of_any_pypi=True) as store:
        empty = replace(empty, pypi_url=store.pypi_url or empty.pypi_url)
        counts = store.status()
        runs = store.runs(_RUNS_ASKED)
        rows = [row for row in store.collections() if collection in (None, row.collection)]
        found = _with_index(replace(empty, crawled=True), settings, store, runs)
        states = [_collection(store, row) for row in rows]
        failed = store.failures(None if all_failures else LAST_FAILURES)
        last = [_run(settings, store, run, runs) for run in runs[:LAST_RUNS]]
    search, documents = _documents(settings, rows)
    return replace(
        found,
        known=counts.projects,
        highest_serial=counts.max_serial,
        packages=counts.members,
        partial_releases=counts.partial_releases,
        failures=counts.failures,
        search=search,
        collections=[replace(state, documents=documents.get(state.collection)) for state in states],
        failed=failed,
        runs=last,
    )


def rate(runs: Sequence[Run], ceiling: float) -> float | None:
    """Projects a second: of the last run that fetched many, else the ceiling (0 = none), else None.

    `runs` begin with the last one.
    """
    for run in runs:
        fetched = (run.stats or {}).get("fetched", 0)
        if fetched >= _TELLING and run.finished_at is not None and run.finished_at > run.started_at:
            return float(fetched / (run.finished_at - run.started_at))
    return ceiling or None


def _with_index(found: Overview, settings: Mapping[str, Any], store: Store, runs: Sequence[Run]) -> Overview:
    """Add how much of the last index is up to date, if there was one."""
    with IndexFile(Path(settings["PYF_DATA_DIR"]) / "index") as index:
        header = index.read_header()
        if header is None:
            return found
        left = sum(differs for _, _, differs in differences(index, store.iter_serials()))
    per_second = rate(runs, ceiling(str(settings["PYPI_URL"]), settings.get("PYPI_MAX_RPS")))
    return replace(
        found,
        listed=header.count,
        index_serial=header.last_serial,
        index_read_at=header.written_at,
        checked=header.count - left,
        projects_per_second=per_second and round(per_second, 2),
        seconds_left=round(left / per_second) if per_second else None,
    )


def _collection(store: Store, row: CollectionRow) -> CollectionState:
    profile = Profile.from_definition(row.definition)
    counts = store.status(row.collection, profile)
    return CollectionState(
        row.collection, profile.key, row.releases, counts.members, counts.indexed, counts.dirty
    )


def _run(settings: Mapping[str, Any], store: Store, run: Run, runs: Sequence[Run]) -> RunState:
    outcome = None
    if run.finished_at is None:
        newest = next(other for other in runs if other.spider == run.spider)
        outcome = "running" if run is newest and _is_locked(settings, run.spider) else "killed"
        # It may have ended between the two looks.
        run = next((again for again in store.runs(_RUNS_ASKED) if again.id == run.id), run)
    return RunState(
        spider=run.spider,
        arguments=run.arguments,
        started_at=run.started_at,
        seconds=None if run.finished_at is None else run.finished_at - run.started_at,
        outcome=outcome if run.finished_at is None and outcome else _outcome(run),
        exit_code=run.exit_code,
        figures=run.stats or {},
    )


def _outcome(run: Run) -> str:
    if run.reason == "shutdown":
        return "interrupted"
    unfinished = "with errors" if run.reason == "finished" else "not done"
    return {0: "done", 3: "some failed"}.get(run.exit_code or 0, unfinished)


def _is_locked(settings: Mapping[str, Any], spider: str) -> bool:
    """Whether a process of the spider lives: its lock can only be tried by taking it for a moment."""
    lock = run_lock(settings, spider)
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True


def _documents(
    settings: Mapping[str, Any], rows: Sequence[CollectionRow]
) -> tuple[str, dict[str, int | None]]:
    """What became of asking the index, and its documents by collection."""
    try:
        typesense = TypesenseSettings.from_settings(settings)
        with _running(replace(typesense, timeout=min(typesense.timeout, _SERVER_TIMEOUT))) as connection:
            if connection is None:
                return "not asked: no search server is running", {}
            counts = {}
            for row in rows:
                answer = get(connection.client, path("collections", row.physical))
                counts[row.collection] = answer["num_documents"] if answer else 0
            return "asked", counts
    except PyfError as error:
        return f"not asked: {error}", {}


@contextmanager
def _running(settings: TypesenseSettings) -> Iterator[Connection | None]:
    """The search server if it is ready now, else None; none is started or waited for. Raises SearchError."""
    with ExitStack() as stack:
        yield stack.enter_context(connect(settings)) if _is_ready(settings) else None


def _is_ready(settings: TypesenseSettings) -> bool:
    if settings.host is None:
        folder = settings.folder
        return folder.exists() and is_supervised(folder) and is_ready(read_state(folder))
    try:
        health = httpx.get(
            f"{settings.protocol}://{settings.host}:{settings.port}/health", timeout=settings.timeout
        )
    except httpx.HTTPError:
        return False
    return health.status_code == httpx.codes.OK
