"""Facts of projects and packages, written: serials never go back, revisions rise when something changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, bindparam, delete, insert, select

from pyf_scrapy.store.changes import Change, Happened, Known, change, reclassified, unpack_project
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import KNOWN, NAMES, VERSIONS, AnyRow, StorePart
from pyf_scrapy.store.records import ACTIVE, EMPTY, Check, PackageFacts, StoredVersion
from pyf_scrapy.store.tables import events, packages, projects, releases

T = TypeVar("T")

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
_NOTE = insert(events)


class Saving(StorePart):
    """The methods of `Store` that write projects, packages and their releases."""

    def record_checks(self, checks: Sequence[Check]) -> list[bool]:
        """Note projects that were looked at and match nothing; one transaction. Returns which were taken.

        An answer older than what is stored is ignored. A package keeps its facts: the next crawl for which
        it matches fetches it again (`candidates`), because these are older than the check. A package that
        lost its releases ("empty") keeps its classifiers, too: an empty answer does not name any.
        """
        taken: list[bool] = []
        self._classifiers.learn(name for check in checks for name in check.classifiers)
        with self._database.write() as connection:
            for some in _without_repeats(checks, lambda check: check.normalized_name):
                taken += self._record_checks(connection, some)
        return taken

    def save_packages(self, facts: Sequence[PackageFacts]) -> list[int]:
        """Store what was fetched of members and return the revision of each; one transaction.

        The revision rises when anything changed that a document can show (its serial included). An answer
        older than what is stored is ignored. Releases that are no longer listed are removed; an answer that
        lists none (`files` is None) removes none.
        """
        self._classifiers.learn(name for fact in facts for name in fact.project.metadata.classifiers)
        revisions: list[int] = []
        with self._database.write() as connection:
            for some in _without_repeats(facts, lambda fact: fact.project.normalized_name):
                revisions += self._save_packages(connection, some)
        return revisions

    def _record_checks(self, connection: Connection, checks: Sequence[Check]) -> list[bool]:
        known = _rows(connection, _CHECKED, (check.normalized_name for check in checks))
        rows, notes, taken = [], [], []
        for check in checks:
            row = known.get(check.normalized_name)
            taken.append(row is None or check.serial >= row.serial)
            if not taken[-1]:
                continue
            packed = self._classifiers.encode(check.classifiers)
            revision = row.revision if row is not None else 0
            if row is not None and row.is_package:
                packed = row.classifiers if check.status == EMPTY else packed
                decode = self._classifiers.decode
                event = reclassified(decode(row.classifiers), decode(packed))
                if event is None and check.status != row.status:
                    event = Happened("emptied" if check.status == EMPTY else "filled")
                if event is not None:
                    revision += 1
                    notes.append(_note(check.at, check.normalized_name, event))
            rows.append(
                {
                    "normalized_name": check.normalized_name,
                    "name": check.name,
                    "serial": check.serial,
                    "status": check.status,
                    "checked_at": check.at,
                    "revision": revision,
                    "classifiers": packed,
                }
            )
        _execute(connection, self._database.upsert(projects), rows)
        _execute(connection, _NOTE, notes)
        return taken

    def _save_packages(self, connection: Connection, facts: Sequence[PackageFacts]) -> list[int]:
        names = [fact.project.normalized_name for fact in facts]
        rows = _rows(connection, KNOWN, names)
        versions: dict[str, dict[str, StoredVersion]] = {}
        for some in chunks(names):
            for name, version, serial, partial in connection.execute(VERSIONS, {"names": some}):
                versions.setdefault(name, {})[version] = StoredVersion(bool(partial), serial)
        revisions, writes = [], _Writes()
        for fact, name in zip(facts, names, strict=True):
            row = rows.get(name)
            revision = row.revision if row is not None else 0
            if row is None or fact.serial >= row.serial:
                known = self._known(row, versions.get(name, {}))
                new = change(fact, known, _fetched_again(connection, fact, known))
                revision += new.changed
                writes.add(fact, new, revision, self._classifiers.encode(fact.project.metadata.classifiers))
            revisions.append(revision)
        _execute(connection, self._database.upsert(projects), writes.projects)
        _execute(connection, self._database.upsert(packages), writes.packages)
        _execute(connection, _DELETE_RELEASE, writes.gone)
        _execute(connection, self._database.upsert(releases), writes.releases)
        _execute(connection, _NOTE, writes.notes)
        return revisions

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
        )


class _Writes:
    """The rows that one call writes, by table."""

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = []
        self.packages: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.gone: list[dict[str, Any]] = []
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
        self.notes += (_note(facts.at, name, event) for event in new.events)


def _rows(connection: Connection, query: Executable, names: Iterable[str]) -> dict[str, AnyRow]:
    found = {}
    for some in chunks(names):
        for row in connection.execute(query, {"names": some}):
            found[row.normalized_name] = row
    return found


def _fetched_again(
    connection: Connection, facts: PackageFacts, known: Known | None
) -> dict[str, bytes | None]:
    """The stored metadata of releases that were fetched although they are stored."""
    again = [version for version in facts.releases if known and version in known.releases]
    if not again:
        return {}
    query = {"name": facts.project.normalized_name, "versions": again}
    return dict(connection.execute(_FETCHED_AGAIN, query).all())


def _execute(connection: Connection, statement: Executable, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _note(at: int, name: str, event: Happened) -> dict[str, Any]:
    return {"at": at, "normalized_name": name, **event._asdict()}


def _without_repeats(items: Iterable[T], name: Callable[[T], str]) -> Iterator[list[T]]:
    """Cut into lists in which each name occurs once: a later answer is compared with the earlier one."""
    some: dict[str, T] = {}
    for item in items:
        if name(item) in some:
            yield list(some.values())
            some = {}
        some[name(item)] = item
    if some:
        yield list(some.values())
