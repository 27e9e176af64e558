"""What may happen to a project while a replica runs, as functions from one truth to the next."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.invention import coin
from pyf_scrapy.replica.truth import Project, Release

_NAME = re.compile(r"^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$", re.IGNORECASE)
"""PEP 508."""

Kind = Literal["create", "release", "reclassify", "yank", "unyank", "delete-release", "delete-project"]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of PyPI's journal. Which of the optional values count depends on the event.

    `create` makes a project (without `version`: one without releases); `release` publishes; `reclassify`
    publishes a release with other classifiers, because on PyPI they change in no other way. `info`
    replaces values of the release's `info`.
    """

    event: Kind
    project: str
    version: str | None = None
    classifiers: tuple[str, ...] | None = None
    requires_python: str | None = None
    kinds: tuple[str, ...] = ("sdist", "wheel")
    reason: str | None = None
    info: dict[str, Any] = {}


def parse_events(text: bytes) -> list[Event]:
    """One event or a list of events from JSON. Raises ReplicaError."""
    try:
        happening = msgspec.json.decode(text, type=list[Event] | Event)
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"events: {error}") from error
    return happening if isinstance(happening, list) else [happening]


def create(event: Event, number: int, serial: int, now: int) -> Project:
    """A new project. `now` in microseconds since 1970 UTC. Raises ReplicaError for a refused name."""
    if not _NAME.match(event.project):
        raise ReplicaError(f"events: {event.project!r} is not a valid project name")
    releases = () if event.version is None else (_release(event, event.version, (), now),)
    name = str(canonicalize_name(event.project))
    return Project(number, event.project, name, serial, releases, (coin(number), coin(number + 1)))


def apply(event: Event, project: Project, serial: int, now: int) -> Project:
    """The project after the event. Raises ReplicaError when it cannot happen."""
    if event.event in ("release", "reclassify"):
        releases = _published(event, project, now)
    else:
        releases = _changed(event, project)
    return msgspec.structs.replace(project, serial=serial, releases=releases)


def _published(event: Event, project: Project, now: int) -> tuple[Release, ...]:
    version = event.version or _next_version(project)
    if any(release.version == version for release in project.releases):
        raise ReplicaError(f"events: {project.name} has a release {version} already")
    if event.event == "reclassify" and event.classifiers is None:
        raise ReplicaError("events: reclassify needs classifiers")
    return (*project.releases, _release(event, version, project.classifiers, now))


def _changed(event: Event, project: Project) -> tuple[Release, ...]:
    if not any(release.version == event.version for release in project.releases):
        raise ReplicaError(f"events: {project.name} has no release {event.version}")
    if event.event == "delete-release":
        return tuple(release for release in project.releases if release.version != event.version)
    yanked = event.event == "yank"
    return tuple(
        msgspec.structs.replace(release, yanked=yanked, yanked_reason=event.reason if yanked else None)
        if release.version == event.version
        else release
        for release in project.releases
    )


def _release(event: Event, version: str, classifiers: tuple[str, ...], now: int) -> Release:
    return Release(
        version,
        now,
        event.kinds,
        tuple(sorted(classifiers if event.classifiers is None else event.classifiers)),
        event.requires_python,
        info=event.info,
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
