"""What a copy of a store is made of. Times are epoch seconds UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord
from pyf_scrapy.store.records import DownloadFacts, Event, RepositoryFacts, RepositoryLink, Standing

#: The key of the table `meta` under which a copy remembers what it is a copy of.
COPY = "copy"

#: The status of a package that the source has no more: its documents leave the index, then it goes.
FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class CopiedRelease:
    """A release with its own metadata; None = its own JSON is a real 404."""

    serial: int
    fetched_at: int
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class CopiedPackage:
    """The records of a package. What only serves to ask again (ETags, when it was last verified) is not
    copied: whoever has the copy does not ask."""

    serial: int
    project: ProjectRecord
    releases: dict[str, CopiedRelease]
    standing: Standing
    link: RepositoryLink | None = None
    repository: RepositoryFacts | None = None
    downloads: tuple[DownloadFacts, ...] = ()


class CopiedProject(msgspec.Struct, frozen=True, tag_field="type", tag="project"):
    """All that is known of a project; `package` None = it never belonged to a profile."""

    name: str
    normalized_name: str
    serial: int
    status: str
    checked_at: int
    classifiers: tuple[str, ...]
    package: CopiedPackage | None = None


class Position(NamedTuple):
    """How far a store's facts and events go: the number of the last change, that of the last event."""

    change: int = 0
    event: int = 0


class Changed(NamedTuple):
    """A project and the number of its last change. `has_package`: it has records."""

    normalized_name: str
    change: int
    status: str
    classifiers: tuple[str, ...]
    has_package: bool


class CopyState(NamedTuple):
    """What a store is a copy of, and how far. `cursor` "" = nothing was copied yet; `done`: it was complete
    at least once, and what it holds is the source's as of `at`."""

    source: str
    store_id: str
    scope: tuple[str, ...] | None
    cursor: str = ""
    done: bool = False
    at: int = 0


@dataclass(frozen=True)
class CopyPage:
    """What is written in one transaction. Of the names in `(after, until]` the source has only those of
    `projects` and `kept` (`until` None: to the end); nothing is said of names when `after` is None. `kept`:
    projects of which what is known stays, because the source could not send them."""

    projects: Sequence[CopiedProject] = ()
    gone: Sequence[str] = ()
    events: Sequence[Event] = ()
    after: str | None = None
    until: str | None = None
    kept: Sequence[str] = ()
