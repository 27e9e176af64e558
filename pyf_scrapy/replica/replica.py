"""The world of a replica: an invented PyPI, computed from a seed, and what happened to it since."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
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
from pyf_scrapy.replica.repositories import Repositories
from pyf_scrapy.replica.repository_events import RepositoryEvent, RepositoryKind, happen_to_repository
from pyf_scrapy.replica.simple import Row
from pyf_scrapy.replica.truth import Project


class Entry(NamedTuple):
    """One line of the journal: what was done to which project, and the serial it got.

    A blind event (events.py) has none: its line holds the last serial before it. So does that of an event
    of a repository, whose full name then stands for the project.
    """

    serial: int
    event: events.Kind | RepositoryKind
    project: str
    version: str | None


class _Change(NamedTuple):
    """The truth about a project from a serial on; None: there is no such project."""

    serial: int
    project: Project | None


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
        self._histories: dict[str, list[_Change]] = {}
        """Of each project that something happened to; the first entry is what it was before."""
        self._claimants: dict[str, list[str]] = {}
        self.journal: list[Entry] = []
        self.serial: int = serial_of(0, self.options.projects)
        """The last serial of all; every event takes the next."""
        self.feed_changes = 0
        """How many events may have changed a feed."""
        self.listeners: list[Callable[[Entry], None]] = []
        """Called after each event of a project."""
        self.repositories = Repositories(self)

    def project(self, name: str, serial: int | None = None) -> Project | None:
        """The truth about a project, by any spelling of its name; None when there is none.

        `serial`: as it was when that was the last serial of all. A project in quarantine is given, too.
        """
        normalized = str(canonicalize_name(name))
        if normalized in self._histories:
            return _at(self._histories[normalized], serial)
        return self._original(normalized)

    def stale_project(self, name: str, lag: int) -> Project | None:
        """The project as it was before its last change: older content and, unless that was blind, serial."""
        normalized = str(canonicalize_name(name))
        if normalized in self._histories:
            return self._histories[normalized][-2].project
        project = self._original(normalized)
        if project is None:
            return None
        releases = project.releases[:-1] if len(project.releases) > 1 else project.releases
        return msgspec.structs.replace(project, serial=project.serial - lag, releases=releases)

    def lives(self, name: str) -> list[Project]:
        """Each project that has had a name, whatever its spelling, as it was at first."""
        normalized = str(canonicalize_name(name))
        if normalized not in self._histories:
            original = self._original(normalized)
            return [original] if original else []
        found: dict[int, Project] = {}
        for change in self._histories[normalized]:
            if change.project:
                found.setdefault(change.project.number, change.project)
        return list(found.values())

    def numbered(self, number: int) -> Project | None:
        """The project with a number, as it was at first."""
        if 0 <= number < self.options.projects:
            return self._invented(number)
        lives = (life for name in self._histories for life in self.lives(name))
        return next((life for life in lives if life.number == number), None)

    def number(self, name: str) -> tuple[int, bool] | None:
        """The number of a project by its normalized name and whether it ever had a release; cheap."""
        if name in self._histories:
            changes = [change.project for change in self._histories[name] if change.project]
            return (changes[-1].number, any(one.releases for one in changes)) if changes else None
        place = self._names.find(name)
        if place is None:
            return None
        number = self._names.number_at(place)
        return number, not self._cast.role(number).empty

    def revision(self, name: str) -> int:
        """How often something happened to a project, by its normalized name."""
        return len(self._histories.get(name, ()))

    def touched(self) -> list[str]:
        """The normalized names of all projects that something happened to, the first first."""
        return list(self._histories)

    def names(self) -> list[str]:
        """The normalized names of all projects in the index, sorted."""
        return [str(canonicalize_name(row.name)) for row in self.rows()]

    def members(self, classifier: str) -> list[str]:
        """The normalized names of the projects whose latest release claims the classifier or one below.

        A project in quarantine is none: nobody can see what it claims.
        """
        if classifier not in self._claimants:
            claimed = classifier.startswith("Framework ::")
            candidates = map(self._invented, self._made_members if claimed else range(len(self._names)))
            self._claimants[classifier] = [
                one.normalized_name for one in candidates if one.claims(classifier)
            ]
        found = [name for name in self._claimants[classifier] if name not in self._histories]
        for name, history in list(self._histories.items()):
            project = history[-1].project
            if project and not project.quarantined and project.claims(classifier):
                found.append(name)
        return sorted(found)

    def some_name(self, number: int) -> str:
        """The display name of some project that was there from the start; any number will do."""
        return self._names.display_at(number % len(self._names))

    def some_claimant(self, number: int) -> str:
        """The same among those that claimed a framework at the start; any if there were none."""
        members = self._made_members
        return self._names.name_of(members[number % len(members)]) if members else self.some_name(number)

    def most_recent(self, rank: int) -> Project:
        """As it was at the start: the project whose last change was the `rank`-th newest, 0 the newest."""
        return self._invented(self._numbers_by_rank[rank])

    def rows(self, serial: int | None = None) -> Iterator[Row]:
        """The index by normalized name; `serial`: as a node shows it that has not heard of later ones."""
        known = self._names
        changed: dict[int, Row | None] = {}
        added: list[tuple[int, str, Row]] = []
        for normalized, history in list(self._histories.items()):
            current = _at(history, serial)
            row = None
            if current and not current.quarantined:
                row = Row(current.name, current.serial if serial is None else min(current.serial, serial))
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

    def happen(self, happening: Sequence[Event | RepositoryEvent]) -> list[Entry]:
        """Lets events happen, each with its own serial. Raises ReplicaError at the first impossible one."""
        entries = []
        for event in happening:
            if isinstance(event, RepositoryEvent):
                after_event = happen_to_repository(self.repositories, event, self.now + timedelta(seconds=1))
                self.now += timedelta(seconds=1)
                entries.append(Entry(self.serial, event.event, after_event.full_name, None))
                self.journal.append(entries[-1])
                continue
            normalized = str(canonicalize_name(event.project))
            before = self.project(normalized)
            after = self._after(event, before)
            self.now += timedelta(seconds=1)
            self.serial += event.event not in events.BLIND
            self.feed_changes += event.event in events.PUBLISHING | events.DELETING
            history = self._histories.get(normalized) or [_Change(0, before)]
            self._histories[normalized] = [*history, _Change(self.serial, after)]
            name = after.name if after else event.project
            entries.append(Entry(self.serial, event.event, name, _version(event, after)))
            self.journal.append(entries[-1])
            for listener in self.listeners:
                listener(entries[-1])
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
        return None if place is None else self._invented(self._names.number_at(place))

    def _invented(self, number: int) -> Project:
        return invent(
            self.options,
            number,
            self._ranks[number],
            self._names.name_of(number),
            self._names.word(number),
            self._cast.role(number),
        )

    @cached_property
    def _made_members(self) -> array[int]:
        return array("I", self._cast.member_numbers())

    @cached_property
    def _numbers_by_rank(self) -> array[int]:
        numbers = array("I", bytes(4 * len(self._ranks)))
        for number, rank in enumerate(self._ranks):
            numbers[rank] = number
        return numbers


def _at(history: Sequence[_Change], serial: int | None) -> Project | None:
    """The truth at a serial, None = now."""
    if serial is None:
        return history[-1].project
    return next((change.project for change in reversed(history) if change.serial <= serial), None)


def _version(event: Event, after: Project | None) -> str | None:
    """The release that an event is about, also where it did not name it."""
    if after and event.event in ("release", "reclassify"):
        return after.releases[-1].version
    if after and event.event == "advisory":
        return after.advisories[-1].version
    return event.version
