"""The world of a replica: an invented PyPI, computed from a seed, and what happened to it since."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import events
from pyf_scrapy.replica.dice import shuffled
from pyf_scrapy.replica.events import Event
from pyf_scrapy.replica.invention import invent, serial_of
from pyf_scrapy.replica.names import Cast, Names
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.simple import Row
from pyf_scrapy.replica.truth import Project


class Entry(NamedTuple):
    """One line of the journal: what was done to which project, and the serial it got."""

    serial: int
    event: str
    project: str
    version: str | None


class _Place(NamedTuple):
    """A project's current truth (None: deleted) and the one before, for stale answers."""

    project: Project | None
    before: Project | None


class Replica:
    """All projects of a replica. Only names (about 40 bytes a project) and changes are kept in memory.

    Raises ReplicaError when the options contradict each other.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.now: datetime = self.options.now
        """The clock of events; it moves on one second with each of them."""
        self._cast = Cast(self.options)
        self._names = Names(self.options, self._cast)
        self._ranks: array[int] = shuffled(self.options.projects, self.options.seed, "ranks")
        self._changes: dict[str, _Place] = {}
        self.journal: list[Entry] = []
        self.serial: int = serial_of(0, self.options.projects)
        """The last serial of all; every event takes the next."""

    def project(self, name: str) -> Project | None:
        """The truth about a project, by any spelling of its name; None when there is none."""
        normalized = str(canonicalize_name(name))
        if normalized in self._changes:
            return self._changes[normalized].project
        return self._original(normalized)

    def stale_project(self, name: str, lag: int) -> Project | None:
        """The project as it was before its last change: an older serial and older content."""
        normalized = str(canonicalize_name(name))
        if normalized in self._changes:
            return self._changes[normalized].before
        project = self._original(normalized)
        if project is None:
            return None
        releases = project.releases[:-1] if len(project.releases) > 1 else project.releases
        return msgspec.structs.replace(project, serial=project.serial - lag, releases=releases)

    def names(self) -> list[str]:
        """The normalized names of all projects, sorted."""
        return [str(canonicalize_name(row.name)) for row in self.rows()]

    def members(self, classifier: str) -> list[str]:
        """The normalized names of the projects whose latest release claims the classifier or one below."""
        below = classifier + " :: "
        if classifier.startswith("Framework ::"):
            candidates = [self._names.name_of(number) for number in self._cast.member_numbers()]
        else:
            candidates = self.names()
        found = set()
        for name in {*map(canonicalize_name, candidates), *self._changes}:
            project = self.project(name)
            if project and any(text == classifier or text.startswith(below) for text in project.classifiers):
                found.add(str(name))
        return sorted(found)

    def some_name(self, number: int) -> str:
        """The display name of some project that was there from the start; any number will do."""
        return self._names.display_at(number % len(self._names))

    def rows(self, serial: int | None = None) -> Iterator[Row]:
        """The index by normalized name; `serial`: as a node shows it that has not heard of later ones."""
        known = self._names
        changed: dict[int, Row | None] = {}
        added: list[tuple[int, str, Row]] = []
        for normalized, change in list(self._changes.items()):
            current = change.project
            if serial is not None and (current is None or current.serial > serial):
                current = change.before
            row = Row(current.name, current.serial) if current else None
            place = known.find(normalized)
            if place is not None:
                changed[place] = row
            elif row:
                added.append((known.place(normalized), normalized, row))
        added.sort(reverse=True)
        projects = self.options.projects
        for place in range(projects):
            while added and added[-1][0] == place:
                yield added.pop()[2]
            if place in changed:
                row = changed[place]
                if row:
                    yield row
            else:
                own = serial_of(self._ranks[known.number_at(place)], projects)
                yield Row(known.display_at(place), own if serial is None else min(own, serial))
        while added:
            yield added.pop()[2]

    def happen(self, happening: Sequence[Event]) -> list[Entry]:
        """Lets events happen, each with its own serial. Raises ReplicaError at the first impossible one."""
        entries = []
        for event in happening:
            normalized = str(canonicalize_name(event.project))
            before = self.project(normalized)
            after = self._after(event, before)
            self.now += timedelta(seconds=1)
            self.serial += 1
            self._changes[normalized] = _Place(after, before)
            version = after.releases[-1].version if event.event == "reclassify" and after else event.version
            entries.append(Entry(self.serial, event.event, after.name if after else event.project, version))
            self.journal.append(entries[-1])
        return entries

    def _after(self, event: Event, before: Project | None) -> Project | None:
        serial = self.serial + 1
        now = int(self.now.timestamp()) * 1_000_000
        if event.event == "create":
            if before:
                raise ReplicaError(f"events: there is a project {before.name} already")
            return events.create(
                event, self.options.projects + serial - serial_of(0, self.options.projects), serial, now
            )
        if before is None:
            raise ReplicaError(f"events: there is no project {event.project}")
        if event.event == "delete-project":
            return None
        return events.apply(event, before, serial, now)

    def _original(self, normalized: str) -> Project | None:
        place = self._names.find(normalized)
        if place is None:
            return None
        number = self._names.number_at(place)
        return invent(
            self.options,
            number,
            self._ranks[number],
            self._names.display_at(place),
            self._names.word(number),
            self._cast.role(number),
        )
