"""What goes into the store and comes out of it. Times are epoch seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord

ACTIVE = "active"
EMPTY = "empty"


class UnstorableError(StoreError):
    """Raised when one element cannot be stored as it is (unencodable text, a number over 64 bits).

    Nothing of the call it was part of is written; the database itself is well.
    """


@dataclass(frozen=True, slots=True)
class Check:
    """A project was looked at: it matches no profile, or has no release (`status="empty"`)."""

    normalized_name: str
    name: str
    serial: int
    classifiers: tuple[str, ...]
    status: str = ACTIVE
    at: int = 0


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What was fetched of a member: its project JSON, the serial received with it, new release JSONs.

    `releases`: version -> metadata of its own JSON, None = its own JSON is a real 404 (partial).
    """

    project: ProjectRecord
    serial: int
    releases: Mapping[str, Metadata | None]
    at: int


class ProjectRow(NamedTuple):
    """The narrow facts of a project. `revision` is 0 for one that never was a member."""

    normalized_name: str
    name: str
    serial: int
    status: str
    checked_at: int
    revision: int
    classifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredPackage:
    """All that is known of a member. `serial` is that of the stored facts, not of the last check."""

    name: str
    normalized_name: str
    serial: int
    revision: int
    classifiers: tuple[str, ...]
    status: str
    project: ProjectRecord
    releases: dict[str, Metadata | None]


class StoredVersion(NamedTuple):
    """A release that the store has; a partial one is worth asking for again once `serial` is passed."""

    partial: bool
    serial: int


class CollectionRow(NamedTuple):
    """A collection as last opened. `releases`: None = all, N = the newest N."""

    collection: str
    definition: dict[str, Any]
    releases: int | None
    physical: str
    created_at: int
    server: str


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index has of a package. `revision` None = unknown or being sent; hash b"" = unknown."""

    revision: int | None
    hashes: dict[str, bytes] = field(default_factory=dict)


class Failure(NamedTuple):
    """A package that failed at `stage` (e.g. "project", "release", "description", "index")."""

    normalized_name: str
    stage: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure as remembered; `next_try` lies further away each time."""

    normalized_name: str
    stage: str
    reason: str
    count: int
    first_at: int
    last_at: int
    next_try: int


class Run(NamedTuple):
    """One run of a spider; `finished_at` None = running or killed."""

    id: int
    spider: str
    arguments: dict[str, Any]
    started_at: int
    finished_at: int | None
    reason: str | None
    exit_code: int | None
    stats: dict[str, Any] | None


class Event(NamedTuple):
    """Something that happened to a package; `seq` only grows.

    `kind`: created, released, removed, yanked, unyanked or reclassified.
    """

    seq: int
    at: int
    normalized_name: str
    kind: str
    version: str | None
    detail: dict[str, Any] | None


class Status(NamedTuple):
    """Counts. `members`: packages with records; `indexed`, `dirty`: of the collection asked for."""

    projects: int
    with_serial: int
    members: int
    indexed: int
    dirty: int
    failures: int
    partial_releases: int
    max_serial: int
