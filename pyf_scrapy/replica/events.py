"""What may happen to a project while a replica runs, as functions from one truth to the next.

| event | needs | what changes |
|---|---|---|
| `create` | | a project, without `version` one without releases; a deleted name has nothing of its old one |
| `release` | | `version`, `classifiers` (else the latest's), `requires_python`, `kinds`, `info`, `files` |
| `reclassify` | `classifiers` | a release with other classifiers: on PyPI they change in no other way |
| `yank`, `unyank` | `version` | with `reason` |
| `delete-release` | `version` | |
| `delete-project` | | |
| `quarantine`, `unquarantine` | | not in the index, JSON 404, page without files; ends as `active` |
| `owners` | `owners` | the roles: `owners`, then `maintainers` |
| `archive`, `unarchive` | | blind: the page's `project-status`, with `reason` |
| `organization` | | blind: `organization`, left out = it leaves the one it is in |
| `advisory` | | blind: a weakness of the latest release or of `version`; `advisory` replaces its values |

A blind event has no serial of its own, and so it has on PyPI. In quarantine only `unquarantine`,
`delete-project`, `organization` and `advisory` are possible.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.invention import coin
from pyf_scrapy.replica.truth import QUARANTINED, Advisory, Project, Release

_NAME = re.compile(r"^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$", re.IGNORECASE)
"""PEP 508."""

Kind = Literal[
    "create",
    "release",
    "reclassify",
    "yank",
    "unyank",
    "delete-release",
    "delete-project",
    "archive",
    "unarchive",
    "quarantine",
    "unquarantine",
    "owners",
    "organization",
    "advisory",
]

BLIND: frozenset[Kind] = frozenset(("archive", "unarchive", "organization", "advisory"))
"""Events that do not move the serial."""

PUBLISHING: frozenset[Kind] = frozenset(("create", "release", "reclassify"))
"""Events that put a line into a feed."""

DELETING: frozenset[Kind] = frozenset(("delete-release", "delete-project"))
"""Events that take lines out of feeds."""

_IN_QUARANTINE: frozenset[Kind] = frozenset(("unquarantine", "delete-project", "organization", "advisory"))

_STATUSES: dict[Kind, tuple[tuple[str, ...], str]] = {
    "archive": (("active",), "archived"),
    "unarchive": (("archived",), "active"),
    "quarantine": (("active", "archived"), QUARANTINED),
    "unquarantine": ((QUARANTINED,), "active"),
}
"""From which statuses an event leads to which."""


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens. Which of the optional values count depends on the event: see the module.

    `info` replaces values of the release's `info`. `files`, the address of the replica, makes wheels real
    ones that it serves.
    """

    event: Kind
    project: str
    version: str | None = None
    classifiers: tuple[str, ...] | None = None
    requires_python: str | None = None
    kinds: tuple[str, ...] = ("sdist", "wheel")
    reason: str | None = None
    info: dict[str, Any] = {}
    files: str | None = None
    owners: tuple[str, ...] | None = None
    maintainers: tuple[str, ...] = ()
    organization: str | None = None
    advisory: dict[str, Any] = {}


def create(event: Event, number: int, serial: int, now: int) -> Project:
    """A new project. `now` in microseconds since 1970 UTC. Raises ReplicaError for a refused name."""
    if not _NAME.match(event.project):
        raise ReplicaError(f"events: {event.project!r} is not a valid project name")
    releases = () if event.version is None else (_release(event, event.version, (), serial, now),)
    return Project(
        number,
        event.project,
        str(canonicalize_name(event.project)),
        serial,
        releases,
        (coin(number), coin(number + 1)),
        created=now,
        roles=None if event.owners is None else _roles(event),
        organization=event.organization,
    )


def apply(event: Event, project: Project, serial: int, now: int) -> Project:
    """The project after the event; `serial` counts unless it is blind. Raises ReplicaError: cannot happen."""
    if project.quarantined and event.event not in _IN_QUARANTINE and event.event != "quarantine":
        raise ReplicaError(f"events: {project.name} is in quarantine, no {event.event}")
    if event.event not in BLIND:
        project = msgspec.structs.replace(project, serial=serial)
    if event.event in PUBLISHING:
        return msgspec.structs.replace(project, releases=_published(event, project, now))
    if event.event in _STATUSES:
        return _marked(event, project)
    if event.event == "owners":
        return msgspec.structs.replace(project, roles=_roles(event))
    if event.event == "organization":
        return msgspec.structs.replace(project, organization=event.organization or "")
    if event.event == "advisory":
        return _warned(event, project)
    return msgspec.structs.replace(project, releases=_changed(event, project))


def _published(event: Event, project: Project, now: int) -> tuple[Release, ...]:
    version = event.version or _next_version(project)
    if any(release.version == version for release in project.releases):
        raise ReplicaError(f"events: {project.name} has a release {version} already")
    if event.event == "reclassify" and event.classifiers is None:
        raise ReplicaError("events: reclassify needs classifiers")
    return (*project.releases, _release(event, version, project.classifiers, project.serial, now))


def _changed(event: Event, project: Project) -> tuple[Release, ...]:
    _existing(project, event.version)
    if event.event == "delete-release":
        return tuple(release for release in project.releases if release.version != event.version)
    yanked = event.event == "yank"
    return tuple(
        msgspec.structs.replace(release, yanked=yanked, yanked_reason=event.reason if yanked else None)
        if release.version == event.version
        else release
        for release in project.releases
    )


def _marked(event: Event, project: Project) -> Project:
    """With another status (PEP 792)."""
    before, after = _STATUSES[event.event]
    if project.status not in before:
        raise ReplicaError(f"events: {project.name} is {project.status}, no {event.event}")
    reason = None if after == "active" else event.reason
    return msgspec.structs.replace(project, status=after, status_reason=reason)


def _warned(event: Event, project: Project) -> Project:
    """With one weakness more, or with another text of the one that has its id."""
    latest = project.latest
    version = event.version or (latest.version if latest else None)
    _existing(project, version)
    name = event.advisory.get("id", f"REPLICA-{project.number}-E{len(project.advisories) + 1}")
    content = {
        "aliases": [],
        "details": "An invented weakness, found while the replica ran.",
        "fixed_in": [],
        "id": name,
        "link": f"https://advisories.example/{name}",
        "source": "osv",
        "summary": None,
        "withdrawn": None,
        **event.advisory,
    }
    others = [
        one for one in project.advisories if (one.version, one.content["id"]) != (version, content["id"])
    ]
    return msgspec.structs.replace(project, advisories=(*others, Advisory(str(version), content)))


def _roles(event: Event) -> tuple[tuple[str, str], ...]:
    if event.owners is None:
        raise ReplicaError("events: owners needs owners")
    owners = tuple(("Owner", user) for user in event.owners)
    return (*owners, *(("Maintainer", user) for user in event.maintainers))


def _existing(project: Project, version: str | None) -> None:
    if not any(release.version == version for release in project.releases):
        raise ReplicaError(f"events: {project.name} has no release {version or ''}".rstrip())


def _release(event: Event, version: str, classifiers: tuple[str, ...], serial: int, now: int) -> Release:
    return Release(
        version,
        now,
        event.kinds,
        tuple(sorted(classifiers if event.classifiers is None else event.classifiers)),
        event.requires_python,
        info=event.info,
        serial=serial,
        files=event.files,
    )


def _next_version(project: Project) -> str:
    """A stable version above all others."""
    majors = [0]
    for release in project.releases:
        try:
            version = Version(release.version)
        except InvalidVersion:
            continue
        majors.append(version.major)
        if version.epoch:
            raise ReplicaError(f"events: {project.name} numbers with epochs: name the version")
    return f"{max(majors) + 1}.0.0"
