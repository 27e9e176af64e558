"""How far the crawl of a data folder is, from its store. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyf_scrapy.environment import ceiling
from pyf_scrapy.profiles import Profile
from pyf_scrapy.session import open_store
from pyf_scrapy.status.coverage import unchecked, waiting_since
from pyf_scrapy.status.failures import has_store
from pyf_scrapy.status.limits import LimitCheck, Limits, judge
from pyf_scrapy.status.runs import LAST_RUNS, RUNS_ASKED, rate, run_state
from pyf_scrapy.status.server import documents
from pyf_scrapy.status.states import CollectionState, Overview
from pyf_scrapy.store import CollectionRow, IndexRead, Run, Store
from pyf_scrapy.store.index_file import IndexFile
from pyf_scrapy.store.lags import index_read_at, lags

LAST_FAILURES = 5


def overview(
    settings: Mapping[str, Any], *, now: int, collection: str | None = None, all_failures: bool = False
) -> Overview:
    """Look at the store, and at the search server if it can be reached at once.

    `now` is epoch seconds; `collection` leaves the other collections out. Makes no store and starts no
    server. Raises StoreError, UsageProblem for a limit that is none.
    """
    limits = Limits.from_settings(settings, now)
    found = Overview(str(settings["PYF_DATA_DIR"]), str(settings["PYPI_URL"]))
    if has_store(settings):
        found = _of_store(settings, found, now, collection, all_failures)
    return replace(found, checks=list(_judged(found, limits, collection)))


def _of_store(
    settings: Mapping[str, Any], found: Overview, now: int, collection: str | None, all_failures: bool
) -> Overview:
    with open_store(settings, of_any_pypi=True) as store:
        counts = store.status()
        runs = store.runs(RUNS_ASKED)
        reads = store.index_reads()
        rows = [row for row in store.collections() if collection in (None, row.collection)]
        found = replace(found, crawled=True, pypi_url=store.pypi_url or found.pypi_url)
        found = _with_index(found, settings, store, runs, reads, now)
        states, members = _collections(store, rows)
        found = replace(
            found,
            known=counts.projects,
            highest_serial=counts.max_serial,
            packages=counts.members,
            partial_releases=counts.partial_releases,
            failures=counts.failures,
            vanished=len(store.vanished()),
            lanes=lags(store, Path(settings["PYF_DATA_DIR"]), members, now),
            failed=store.failures(None if all_failures else LAST_FAILURES),
            runs=[run_state(store, run) for run in runs[:LAST_RUNS]],
        )
        known = {row.collection: store.documents_known(row.collection) for row in rows}
    asked = documents(settings, rows)
    return replace(
        found,
        search=asked.said,
        collections=[
            replace(state, documents=asked.documents.get(state.collection), sent=known[state.collection])
            for state in states
        ],
        search_lost=asked.lost,
    )


def _with_index(
    found: Overview,
    settings: Mapping[str, Any],
    store: Store,
    runs: Sequence[Run],
    reads: Sequence[IndexRead],
    now: int,
) -> Overview:
    """Add how much of the last index is up to date, if there was one."""
    with IndexFile(Path(settings["PYF_DATA_DIR"]) / "index") as index:
        header = index.read_header()
        if header is None:
            return found
        left = unchecked(index, store.iter_serials())
    waited = 0
    if left.lowest is not None:
        waited = now - (waiting_since(left.lowest, reads) if reads else header.written_at)
    per_second = rate(runs, ceiling(str(settings["PYPI_URL"]), settings.get("PYPI_MAX_RPS")))
    return replace(
        found,
        listed=header.count,
        index_serial=header.last_serial,
        index_read_at=index_read_at(store, Path(settings["PYF_DATA_DIR"])),
        checked=header.count - left.count,
        oldest_unchecked_change=max(waited, 0),
        projects_per_second=per_second and round(per_second, 2),
        seconds_left=round(left.count / per_second) if per_second else None,
    )


def _collections(store: Store, rows: Sequence[CollectionRow]) -> tuple[list[CollectionState], set[str]]:
    """The collections, and the packages of all of them."""
    profiles = {row.collection: Profile.from_definition(row.definition) for row in rows}
    outdated = _outdated(store, profiles)
    states = []
    everything: set[str] = set()
    for row in rows:
        profile = profiles[row.collection]
        members = set(store.members(profile))
        dirty = set(store.dirty(row.collection, profile))
        everything |= members
        states.append(
            CollectionState(
                collection=row.collection,
                profile=profile.key,
                releases=row.releases,
                matching=len(members | outdated[row.collection]),
                members=len(members),
                indexed=len(members - dirty - outdated[row.collection]),
                waiting=len(dirty),
                by_names=not profile.classifiers,
            )
        )
    return states, everything


def _outdated(store: Store, profiles: Mapping[str, Profile]) -> dict[str, set[str]]:
    """Packages by collection that were checked for other profiles only: the next crawl fetches them.

    To look at all of PyPI takes seconds, so it is done once for all collections.
    """
    found: dict[str, set[str]] = {collection: set() for collection in profiles}
    some_profile = Profile(
        key="",
        name="",
        classifiers=tuple({name for profile in profiles.values() for name in profile.classifiers}),
        include=tuple({pattern for profile in profiles.values() for pattern in profile.include}),
    )
    for name in store.candidates(some_profile, 0):
        project = store.project(name)
        for collection, profile in profiles.items():
            if project is not None and profile.matches(name, project.classifiers):
                found[collection].add(name)
    return found


def _judged(found: Overview, limits: Limits, collection: str | None) -> Iterable[LimitCheck]:
    counted: dict[str, tuple[int, int] | None] = {} if collection is None else {collection: None}
    sent: dict[str, tuple[int | None, int]] = {}
    for state in found.collections:
        counted[state.collection] = state.indexed, state.matching
        if found.search_lost or state.documents is not None:
            sent[state.collection] = state.documents, state.sent
    return judge(
        limits,
        index_needed=not found.collections or not all(state.by_names for state in found.collections),
        checked=found.checked,
        listed=found.listed,
        collections=counted,
        documents=sent,
        feeds=found.lanes.feeds,
        index=found.lanes.index,
        unchecked=found.oldest_unchecked_change,
        refresh=found.lanes.refresh,
    )
