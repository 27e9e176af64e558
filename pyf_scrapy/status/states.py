"""What `scrapy status` shows, as plain records: its JSON is these, key by key."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyf_scrapy.status.limits import LimitCheck
from pyf_scrapy.status.runs import RunState
from pyf_scrapy.store import FailureRow
from pyf_scrapy.store.lags import Lags


@dataclass(frozen=True)
class CollectionState:
    """One collection. `releases`: None = all; the counts are of packages.

    `matching`: the profile takes them by the classifiers last seen; `members` are those of them whose
    records are stored, and `indexed` those whose records are as new as the last check and in the index.
    `waiting` are to be written or removed. `documents` counts those in the index, None where it was not
    asked, `sent` those that it should have. `by_names`: it holds what was named, so that PyPI's index need
    not be read for it.
    """

    collection: str
    profile: str
    releases: int | None
    matching: int
    members: int
    indexed: int
    waiting: int
    documents: int | None = None
    sent: int = 0
    by_names: bool = False


@dataclass(frozen=True)
class Overview:
    """Everything that `scrapy status` shows. Times are epoch seconds; None = not known.

    `listed`, `index_serial` and `index_read_at` are of the last index of PyPI; `checked` counts its projects
    of which the store has seen that serial, or a later one. `oldest_unchecked_change` is for how many seconds
    the index has been telling of the change that waits longest, 0 when none does. `known` counts all
    projects in the store, `packages` those with records, `vanished` those that PyPI does not have any more.
    `projects_per_second` is that of the last telling run, or the ceiling PYPI_MAX_RPS. `search` says whether
    the index was asked for its documents, `search_lost` that there is none or it cannot be asked. `checks`
    compare coverage and lanes with the limits that are set.
    """

    folder: str
    pypi_url: str
    crawled: bool = False
    listed: int | None = None
    index_serial: int | None = None
    index_read_at: int | None = None
    checked: int | None = None
    oldest_unchecked_change: int | None = None
    known: int = 0
    highest_serial: int = 0
    projects_per_second: float | None = None
    seconds_left: int | None = None
    packages: int = 0
    partial_releases: int = 0
    failures: int = 0
    vanished: int = 0
    lanes: Lags = field(default_factory=Lags)
    search: str = "not asked"
    search_lost: bool = False
    collections: list[CollectionState] = field(default_factory=list)
    failed: list[FailureRow] = field(default_factory=list)
    runs: list[RunState] = field(default_factory=list)
    checks: list[LimitCheck] = field(default_factory=list)
