"""Facts of projects and packages, written: serials never go back, revisions rise when something changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from pyf_scrapy.store.changes import Change, Known, change, moved, reclassified, unpack_project
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import forget_enrichment
from pyf_scrapy.store.part import (
    KNOWN,
    NAMES,
    NOTE,
    VERSIONS,
    AnyRow,
    StorePart,
    execute,
    known_standings,
    next_change,
    note,
    rows_by_name,
    without_repeats,
)
from pyf_scrapy.store.records import ACTIVE, GONE, VANISHED, Check, PackageFacts, Standing, StoredVersion
from pyf_scrapy.store.tables import packages, projects, releases, standings
from pyf_scrapy.sync.removal import returns

_CHECKED = (
    select(projects, packages.c.serial.is_not(None).label("is_package"))
    .outerjoin(packages, packages.c.normalized_name == projects.c.normalized_name)
    .where(projects.c.normalized_name.in_(NAMES))
)
_FETCHED_AGAIN = select(releases.c.version, releases.c.metadata).where(
    releases.c.normalized_name == bindparam("name"),
    releases.c.version.in_(bindparam("versions", expanding=True)),
)
_DELETE_RELEASE = delete(releases).where(
    releases.c.normalized_name == bindparam("gone_name"), releases.c.version == bindparam("gone_version")
)
# A package that was gone is a page to be seen anew: its marker may be another one.
_FORGET_PAGE = (
    update(standings)
    .where(standings.c.normalized_name == bindparam("returned_name"))
    .values(status=None, reason=None, page_etag=None, project_etag=None, verified_at=None)
)


class Saving(StorePart):
    """The methods of `Store` that write projects, packages and their releases."""

    def record_checks(self, checks: Sequence[Check]) -> list[int | None]:
        """Note projects that were looked at and match nothing; one transaction. Returns the revision of each,
        None for those that were not taken.

        An answer older than what is stored is ignored. A package keeps its facts: the next crawl for which
        it matches fetches it again (`candidates`), because these are older than the check. A package that
        lost its releases ("empty") or is gone ("vanished") keeps its classifiers, too: these answers name
        none. One that is known to be gone stays what it is, since when it is; an answer that is no newer than
        that does not bring it back, unless an index promised it (`sync.removal.returns`).
        """
        taken: list[int | None] = []
        self._classifiers.learn(name for check in checks for name in check.classifiers)
        with self._database.write() as connection:
            for some in without_repeats(checks, lambda check: check.normalized_name):
                taken += self._record_checks(connection, some)
        return taken

    def save_packages(self, facts: Sequence[PackageFacts]) -> list[int]:
        """Store what was fetched of members and return the revision of each; one transaction.

        The revision rises when anything changed that a document can show (its serial included). An answer
        older than what is stored is ignored. Releases that are no longer listed are removed; an answer that
        lists none (`files` is None) removes none. A package that was gone is back with a newer answer, or
        with one of the same serial that an index promised: the 404s may have been wrong. Any other was read
        before it vanished, or is a cache's. Of a recreated one no release
        is kept, nor its repository and downloads: they are another project's.
        """
        self._classifiers.learn(name for fact in facts for name in fact.project.metadata.classifiers)
        revisions: list[int] = []
        with self._database.write() as connection:
            for some in without_repeats(facts, lambda fact: fact.project.normalized_name):
                revisions += self._save_packages(connection, some)
        return revisions

    def _record_checks(self, connection: Connection, checks: Sequence[Check]) -> list[int | None]:
        known = rows_by_name(connection, _CHECKED, (check.normalized_name for check in checks))
        taken: list[int | None] = []
        rows: list[dict[str, Any]] = []
        returned: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        for check in checks:
            row = known.get(check.normalized_name)
            if row is not None and (
                check.serial < row.serial
                or (check.status not in GONE and _is_from_before(row, check.serial, check.promised))
            ):
                taken.append(None)
                continue
            packed = self._classifiers.encode(check.classifiers)
            revision = row.revision if row is not None else 0
            status, at = check.status, check.at
            if status == VANISHED and row is not None and row.status in GONE:
                status, at = row.status, row.checked_at
            if row is not None and row.is_package:
                packed = packed if status == ACTIVE else row.classifiers
                decode = self._classifiers.decode
                happened = [*moved(row.status, status)]
                event = reclassified(decode(row.classifiers), decode(packed))
                happened += [event] if event is not None else []
                revision += bool(happened)
                notes += (note(check.at, check.normalized_name, event) for event in happened)
                if row.status in GONE and status not in GONE:
                    returned.append({"returned_name": check.normalized_name})
            taken.append(revision)
            rows.append(
                {
                    "normalized_name": check.normalized_name,
                    "name": check.name,
                    "serial": check.serial,
                    "status": status,
                    "checked_at": at,
                    "revision": revision,
                    "classifiers": packed,
                }
            )
        self._write_projects(connection, rows)
        execute(connection, _FORGET_PAGE, returned)
        execute(connection, NOTE, notes)
        return taken

    def _save_packages(self, connection: Connection, facts: Sequence[PackageFacts]) -> list[int]:
        names = [fact.project.normalized_name for fact in facts]
        rows = rows_by_name(connection, KNOWN, names)
        standing_before: dict[str, Standing] = {}
        versions: dict[str, dict[str, StoredVersion]] = {}
        for some in chunks(names):
            standing_before |= known_standings(connection, some)
            for name, version, serial, partial in connection.execute(VERSIONS, {"names": some}):
                versions.setdefault(name, {})[version] = StoredVersion(bool(partial), serial)
        revisions, writes = [], _Writes()
        for fact, name in zip(facts, names, strict=True):
            row = rows.get(name)
            revision = row.revision if row is not None else 0
            if row is None or not (
                fact.serial < row.serial or _is_from_before(row, fact.serial, fact.promised)
            ):
                known = self._known(row, versions.get(name, {}))
                new = change(fact, known, _fetched_again(connection, fact, known))
                revision += new.changed
                writes.add(fact, new, revision, self._classifiers.encode(fact.project.metadata.classifiers))
                before = standing_before[name]
                standing = _standing(before, fact, new, returned=known is not None and known.status in GONE)
                if standing != before:
                    writes.standings.append(asdict(standing))
            revisions.append(revision)
        self._write_projects(connection, writes.projects)
        execute(connection, self._database.upsert(packages), writes.packages)
        execute(connection, _DELETE_RELEASE, writes.gone)
        execute(connection, self._database.upsert(releases), writes.releases)
        execute(connection, self._database.upsert(standings), writes.standings)
        forget_enrichment(connection, writes.recreated)
        execute(connection, NOTE, writes.notes)
        return revisions

    def _write_projects(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            change = next_change(connection)
            connection.execute(self._database.upsert(projects), [{**row, "changed": change} for row in rows])

    def _known(self, row: AnyRow | None, versions: dict[str, StoredVersion]) -> Known | None:
        if row is None or row.project is None:
            return None
        return Known(
            project=unpack_project(row.project),
            packed=row.project,
            serial=row.facts_serial,
            classifiers=self._classifiers.decode(row.classifiers),
            listed=row.listed,
            releases=versions,
            checked_at=row.checked_at,
            status=row.status,
        )


class _Writes:
    """The rows that one call writes, by table."""

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = []
        self.packages: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.gone: list[dict[str, Any]] = []
        self.standings: list[dict[str, Any]] = []
        self.recreated: list[str] = []
        self.notes: list[dict[str, Any]] = []

    def add(self, facts: PackageFacts, new: Change, revision: int, classifiers: bytes) -> None:
        name = facts.project.normalized_name
        self.projects.append(
            {
                "normalized_name": name,
                "name": facts.project.name,
                "serial": facts.serial,
                "status": ACTIVE,
                "checked_at": facts.at,
                "revision": revision,
                "classifiers": classifiers,
            }
        )
        if new.changed:
            self.packages.append(
                {
                    "normalized_name": name,
                    "serial": facts.serial,
                    "depth": new.depth,
                    "listed": new.listed,
                    "project": new.project,
                }
            )
        self.releases += ({"normalized_name": name, **release._asdict()} for release in new.releases)
        self.gone += ({"gone_name": name, "gone_version": version} for version in new.gone)
        self.notes += (note(facts.at, name, event) for event in new.events)
        if new.recreated:
            self.recreated.append(name)


def _is_from_before(row: AnyRow, serial: int, promised: int | None) -> bool:
    """Whether an answer is no proof that a project which is gone is there again."""
    return row.status in GONE and not returns(row.serial, serial, promised)


def _standing(before: Standing, facts: PackageFacts, new: Change, *, returned: bool) -> Standing:
    """What is known beside the serial after a save. A package that was gone has a page to be seen anew: its
    marker may be another one."""
    if new.recreated:
        before = Standing(before.normalized_name, recreated_at=facts.at)
    elif returned:
        before = Standing(before.normalized_name, recreated_at=before.recreated_at)
    return replace(before, project_etag=facts.etag)


def _fetched_again(
    connection: Connection, facts: PackageFacts, known: Known | None
) -> dict[str, bytes | None]:
    """The stored metadata of releases that were fetched although they are stored."""
    again = [version for version in facts.releases if known and version in known.releases]
    if not again:
        return {}
    query = {"name": facts.project.normalized_name, "versions": again}
    return dict(connection.execute(_FETCHED_AGAIN, query).all())
