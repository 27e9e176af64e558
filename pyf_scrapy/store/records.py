"""What goes into the store and comes out of it. Times are epoch seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord

ACTIVE = "active"
EMPTY = "empty"
VANISHED = "vanished"  # gone from PyPI; its documents leave the index, its facts stay
REMOVED = "removed"  # a second index confirmed it: a tombstone
GONE = frozenset({VANISHED, REMOVED})

#: The serial that stands for a project that is gone: it differs from any that an index may list again.
UNLISTED_SERIAL = -2

#: `fetched_at` of what nobody here asked for: facts of another system. Any answer is newer than these.
TAKEN_OVER = 0

#: What a forge answered about a repository: its facts; a real 404; that it may not be shown (451, 403 on it
#: alone); nothing of use, because something failed.
RepositoryState = Literal["ok", "not_found", "blocked", "unavailable"]


class UnstorableError(StoreError):
    """Raised when one element cannot be stored as it is (unencodable text, a number over 64 bits).

    Nothing of the call it was part of is written; the database itself is well.
    """


@dataclass(frozen=True, slots=True)
class Check:
    """A project was looked at: it matches no profile, has no release (`status="empty"`), or is gone from
    PyPI (`status="vanished"`, with the serial that is stored). `promised`: the serial that an index lists."""

    normalized_name: str
    name: str
    serial: int
    classifiers: tuple[str, ...]
    status: str = ACTIVE
    at: int = 0
    promised: int | None = None


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What was fetched of a member: its project JSON, the serial received with it, new release JSONs.

    `releases`: version -> metadata of its own JSON, None = its own JSON is a real 404 (partial).
    `promised`: the serial that an index lists for it; `etag`: that of the project JSON, for the next time.
    """

    project: ProjectRecord
    serial: int
    releases: Mapping[str, Metadata | None]
    at: int
    promised: int | None = None
    etag: str | None = None


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
class PageSaid:
    """What a project's page of the Simple API says: its marker and why (PEP 792); its ETag."""

    status: str | None
    reason: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """A package was asked about again. `page` None = not modified since the last time."""

    normalized_name: str
    at: int
    page: PageSaid | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a package that moves no serial; None = not known.

    `status` is PyPI's marker ("active", "archived", "quarantined", "deprecated"), not the one of the row.
    `project_etag` is that of the answer whose facts are stored: another one of the same serial would hide
    what a conditional request is to find.
    `recreated_at`: since when the name stands for another project than the one before.
    """

    normalized_name: str
    status: str | None = None
    reason: str | None = None
    page_etag: str | None = None
    project_etag: str | None = None
    verified_at: int | None = None
    recreated_at: int | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """A repository as a forge answered at `fetched_at`, of whatever state. `key`: "github.com/owner/name".

    `record` None = the answer brought none (not modified, an error): what is stored stays, with its `etag`
    and `node_id`. `contributors` None likewise; `contributors_at` is when they were asked for, also in vain.
    With TAKEN_OVER as `fetched_at` the record is of another system, which did not tell all of it.
    """

    key: str
    state: RepositoryState
    fetched_at: int
    etag: str | None = None
    node_id: str | None = None
    record: RepositoryRecord | None = None
    contributors: tuple[Contributor, ...] | None = None
    contributors_at: int | None = None

    def shown(self) -> RepositoryFacts:
        """These facts as documents may show them: one that is gone or blocked has only its state.

        One whose forge failed shows what was known.
        """
        if self.state in ("ok", "unavailable"):
            return self
        return replace(self, record=None, contributors=None)


class RepositoryAge(NamedTuple):
    """The small facts of a repository: what is needed to decide whether to ask again, and how."""

    key: str
    state: RepositoryState
    fetched_at: int
    contributors_at: int | None
    etag: str | None
    node_id: str | None


@dataclass(frozen=True, slots=True)
class RepositoryLink:
    """Which repository a package is of; `key` None = none that can be used, `problem` says why.

    `url` and `label`: as the package claims it. `checked_at`: when the facts were read that this follows
    from. `candidates`: the keys that its metadata name, best first. `publisher`: "owner/name" by the
    attestations of `publisher_version`; None with a version = it has none.
    """

    normalized_name: str
    key: str | None
    checked_at: int
    url: str | None = None
    label: str | None = None
    proof: Proof | None = None
    problem: str | None = None
    candidates: tuple[str, ...] = ()
    publisher: str | None = None
    publisher_version: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadFacts:
    """What a source of download figures answered; `counts` None = it does not know the package (404)."""

    normalized_name: str
    source: str
    fetched_at: int
    counts: DownloadCounts | None = None


@dataclass(frozen=True, slots=True)
class StoredPackage:
    """All that is known of a member. `serial` is that of the stored facts, not of the last check.

    `repository`: that of `link.key`, as `RepositoryFacts.shown`. `downloads`: by source.
    """

    name: str
    normalized_name: str
    serial: int
    revision: int
    classifiers: tuple[str, ...]
    status: str
    project: ProjectRecord
    releases: dict[str, Metadata | None]
    standing: Standing = Standing("")  # without a name it becomes an empty one of the package
    link: RepositoryLink | None = None
    repository: RepositoryFacts | None = None
    downloads: Mapping[str, DownloadCounts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.standing.normalized_name:
            object.__setattr__(self, "standing", Standing(self.normalized_name))


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


class Shape(NamedTuple):
    """What the documents of a collection depend on besides facts, and where they are: whoever made them for
    another one must not send them. `descriptions` and `downloads`: the settings DESCRIPTIONS and
    DOWNLOADS_SOURCE of whoever opened it last, `format` that of their documents
    (`search.documents.FORMAT`)."""

    server: str
    physical: str
    releases: int | None
    descriptions: str | None
    downloads: str | None = None
    format: int | None = None


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


class Queued(NamedTuple):
    """A name that waits to be asked about, since `at`; `source` is what queued it ("queue add")."""

    normalized_name: str
    at: int
    source: str


@dataclass(frozen=True, slots=True)
class QueuedBySource:
    """How many names wait that `source` queued, and since when the first one does."""

    source: str
    names: int
    oldest_at: int


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

    `kind`, with `version`: created, released, removed, yanked, unyanked, advisory, advisory_ended. Without:
    reclassified; emptied (no release is left), filled; vanished, removed (for good), returned, recreated (as
    another project); archived, quarantined, deprecated, activated (PyPI's marker), marked (another);
    owners_changed; score_moved. One that returned or was recreated is active until its marker is seen.
    """

    seq: int
    at: int
    normalized_name: str
    kind: str
    version: str | None
    detail: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class IndexRead:
    """An index with this last serial was read, first and last at these times; it listed `count` projects."""

    serial: int
    first_read_at: int
    last_read_at: int
    count: int


class FeedState(NamedTuple):
    """A feed as last polled. `newest`: the time of its newest entry so far."""

    url: str
    etag: str | None
    newest: int | None
    polled_at: int


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
