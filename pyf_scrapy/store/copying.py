"""Facts of a store, read for a copy of it; `receiving` writes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from msgspec import structs
from sqlalchemy import Connection, Select, func, select, tuple_

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store.changes import unpack_metadata, unpack_project
from pyf_scrapy.store.copies import Changed, CopiedPackage, CopiedProject, CopiedRelease, Position
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import known_downloads, known_links, known_repositories
from pyf_scrapy.store.part import KNOWN, NAMES, AnyRow, StorePart, known_standings, read_meta
from pyf_scrapy.store.records import ACTIVE, DownloadFacts, Event
from pyf_scrapy.store.schema import CHANGES, STORE_ID
from pyf_scrapy.store.tables import events, packages, projects, releases

_LOADED = 25  # packages read at once: each may be megabytes

_CHANGED = select(
    projects.c.normalized_name,
    projects.c.changed,
    projects.c.status,
    projects.c.classifiers,
    packages.c.serial.is_not(None).label("has_package"),
).outerjoin(packages, packages.c.normalized_name == projects.c.normalized_name)
_RELEASES = select(releases).where(releases.c.normalized_name.in_(NAMES))
_CLASSIFIERS = select(projects.c.normalized_name, projects.c.classifiers).where(
    projects.c.normalized_name.in_(NAMES)
)

#: Whether a project, by its normalized name and its classifiers, is to be copied.
Wanted = Callable[[str, Sequence[str]], bool]


class Copying(StorePart):
    """The methods of `Store` that read facts for a copy."""

    def store_id(self) -> str:
        """What tells this store from any other, also from one that is made anew in its place."""
        with self._database.read() as connection:
            return read_meta(connection, STORE_ID) or ""

    def position(self) -> Position:
        """How far facts and events go. What is read later has at least this."""
        with self._database.read() as connection:
            last = connection.execute(select(func.max(events.c.seq))).scalar()
            return Position(int(read_meta(connection, CHANGES) or 0), last or 0)

    def projects_after(self, name: str, limit: int) -> list[Changed]:
        """Known projects whose normalized names follow `name`, in code point order."""
        query = _CHANGED.where(projects.c.normalized_name > name)
        return self._changed(query.order_by(projects.c.normalized_name).limit(limit))

    def projects_changed(self, since: tuple[int, str], until: int, limit: int) -> list[Changed]:
        """Projects whose last change follows `since` (its number, the name) and is not after `until`, in this
        order. One that changes again meanwhile moves behind `until`."""
        order = tuple_(projects.c.changed, projects.c.normalized_name)
        query = _CHANGED.where(order > since, projects.c.changed <= until)
        return self._changed(query.order_by(projects.c.changed, projects.c.normalized_name).limit(limit))

    def copied(self, names: Iterable[str]) -> Iterator[CopiedProject]:
        """Stream all that is known of projects, in the order of `names`; unknown ones are left out.

        Each is as it was at one moment, not all at the same.
        """
        for some in chunks(names, _LOADED):
            with self._database.read() as connection:
                found = self._copied(connection, some)
            yield from (found[name] for name in some if name in found)

    def events_between(self, since: int, until: int, limit: int) -> list[Event]:
        """Events with sequence numbers above `since`, up to `until`, oldest first."""
        query = select(events).where(events.c.seq > since, events.c.seq <= until)
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query.order_by(events.c.seq).limit(limit))]

    def event_is(self, seq: int, fingerprint: Callable[[Event], str], expected: str) -> bool:
        """Whether there is an event of this number, and it is the one that was seen."""
        with self._database.read() as connection:
            row = connection.execute(select(events).where(events.c.seq == seq)).first()
        return row is not None and fingerprint(Event(*row)) == expected

    def events_of(self, found: Sequence[Event], wanted: Wanted) -> list[Event]:
        """Those of the events whose packages are wanted now, or were so before the event."""
        known: dict[str, bytes] = {}
        for some in chunks({event.normalized_name for event in found}):
            with self._database.read() as connection:
                known.update(connection.execute(_CLASSIFIERS, {"names": some}).all())
        kept = []
        for event in found:
            name = event.normalized_name
            now = set(self._classifiers.decode(known[name])) if name in known else set()
            detail = (event.detail or {}) if event.kind == "reclassified" else {}
            before = (now - {*detail.get("added", ())}) | {*detail.get("removed", ())}
            if wanted(name, tuple(now)) or wanted(name, tuple(before)):
                kept.append(event)
        return kept

    def _changed(self, query: Select[*tuple[object, ...]]) -> list[Changed]:
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        decode = self._classifiers.decode
        return [
            Changed(
                row.normalized_name, row.changed, row.status, decode(row.classifiers), bool(row.has_package)
            )
            for row in rows
        ]

    def _copied(self, connection: Connection, names: Sequence[str]) -> dict[str, CopiedProject]:
        rows = {row.normalized_name: row for row in connection.execute(KNOWN, {"names": names})}
        packed = [name for name, row in rows.items() if row.project is not None]
        of: defaultdict[str, dict[str, CopiedRelease]] = defaultdict(dict)
        for row in connection.execute(_RELEASES, {"names": packed}):
            own = None if row.metadata is None else unpack_metadata(row.metadata)
            of[row.normalized_name][row.version] = CopiedRelease(row.serial, row.fetched_at, own)
        standings = known_standings(connection, packed)
        links = known_links(connection, packed)
        repositories = known_repositories(connection, {link.key for link in links.values() if link.key})
        downloads: defaultdict[str, list[DownloadFacts]] = defaultdict(list)
        for (name, _), facts in sorted(known_downloads(connection, packed).items()):
            downloads[name].append(facts)
        found = {name: self._project(row) for name, row in rows.items()}
        for name in packed:
            link = links.get(name)
            repository = repositories.get(link.key) if link is not None and link.key else None
            package = CopiedPackage(
                serial=rows[name].facts_serial,
                project=unpack_project(rows[name].project),
                releases=of[name],
                standing=replace(standings[name], page_etag=None, project_etag=None, verified_at=None),
                link=link,
                repository=None if repository is None else replace(repository, etag=None),
                downloads=tuple(downloads[name]),
            )
            found[name] = structs.replace(found[name], package=package)
        return found

    def _project(self, row: AnyRow) -> CopiedProject:
        return CopiedProject(
            name=row.name,
            normalized_name=row.normalized_name,
            serial=row.serial,
            status=row.status,
            checked_at=row.checked_at,
            classifiers=self._classifiers.decode(row.classifiers),
        )


def is_member(profiles: Sequence[Profile], project: Changed) -> bool:
    """Whether a profile takes the project, as `Store.members` does."""
    return (
        project.has_package
        and project.status == ACTIVE
        and any(profile.matches(project.normalized_name, project.classifiers) for profile in profiles)
    )
