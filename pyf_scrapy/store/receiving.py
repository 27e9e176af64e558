"""A store that is a copy: what its source sent is written, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from pyf_scrapy.metadata.releases import listed_versions
from pyf_scrapy.store.changes import pack, stored_depth
from pyf_scrapy.store.copies import COPY, FORGOTTEN, CopiedPackage, CopiedProject, CopyPage, CopyState
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.downloads import download_row
from pyf_scrapy.store.enrichment import link_row, linked_names, repository_row, repository_rows
from pyf_scrapy.store.part import (
    KNOWN,
    NAMES,
    AnyRow,
    StorePart,
    execute,
    next_change,
    read_meta,
    rise,
    rows_by_name,
)
from pyf_scrapy.store.tables import (
    downloads,
    events,
    failures,
    indexed,
    links,
    packages,
    projects,
    releases,
    repositories,
    scores,
    standings,
)

_states = msgspec.json.Decoder(CopyState)

#: All tables of facts of one package.
_FACTS = (projects, packages, releases, standings, links, downloads, failures, scores)

Rows = dict[tuple[Any, ...], dict[str, Any]]


class Receiving(StorePart):
    """The methods of `Store` that make it a copy of another one."""

    def copy_state(self) -> CopyState | None:
        """What this store is a copy of, None when its facts are its own."""
        with self._database.read() as connection:
            value = read_meta(connection, COPY)
        return None if value is None else _states.decode(value)

    def save_copy_state(self, state: CopyState | None) -> None:
        """Make the store a copy, or (None) leave it to itself with the facts that it has."""
        with self._database.write() as connection:
            self._keep_meta(connection, COPY, state)

    def receive(self, page: CopyPage, state: CopyState, *, anew: bool = False) -> int:
        """Write what a source sent and how far that goes; one transaction. Returns how many packages changed.

        A revision rises with any change: what this store's index has is compared with this store's facts.
        What the source has no more leaves the index first (`purge_forgotten`). `anew`: the events so far are
        those of another store.
        """
        self._classifiers.learn(name for project in page.projects for name in project.classifiers)
        with self._database.write() as connection:
            if anew:
                connection.execute(delete(events))
            changed = 0
            for some in chunks(page.projects):
                changed += self._receive(connection, some)
            gone = set(page.gone)
            if page.after is not None:
                gone |= _names_between(connection, page.after, page.until)
                gone -= {project.normalized_name for project in page.projects}.union(page.kept)
            changed += _forget(connection, gone)
            rows = [{key: v for key, v in event._asdict().items() if key != "seq"} for event in page.events]
            execute(connection, insert(events), rows)
            self._keep_meta(connection, COPY, state)
        return changed

    def purge_forgotten(self) -> int:
        """Remove what is known of packages that the source has no more and no index shows; how many."""
        query = select(projects.c.normalized_name).where(
            projects.c.status == FORGOTTEN,
            projects.c.normalized_name.not_in(select(indexed.c.normalized_name)),
        )
        with self._database.read() as connection:
            names = list(connection.execute(query).scalars())
        for some in chunks(names):
            with self._database.write() as connection:
                _delete(connection, some)
        return len(names)

    def _receive(self, connection: Connection, received: Sequence[CopiedProject]) -> int:
        known = rows_by_name(connection, KNOWN, (project.normalized_name for project in received))
        before, now = _known_rows(connection, known), _received_rows(received)
        keys = {row["key"] for row in before[links].values() if row["key"]}
        changed = {
            name for table in now for name in self._replace(connection, table, before[table], now[table])
        }
        others = self._receive_repositories(connection, received)
        rows = self._project_rows(received, known, changed)
        if rows:
            change = next_change(connection)
            connection.execute(self._database.upsert(projects), [{**row, "changed": change} for row in rows])
        rise(connection, others - changed)
        _drop_unlinked(connection, keys)
        return len(changed | others)

    def _project_rows(
        self, received: Sequence[CopiedProject], known: Mapping[str, AnyRow], changed: set[str]
    ) -> list[dict[str, Any]]:
        """The narrow rows to be written; names whose change a document can show are added to `changed`."""
        rows = []
        for project in received:
            row, name = known.get(project.normalized_name), project.normalized_name
            narrow = {
                "normalized_name": name,
                "name": project.name,
                "serial": project.serial,
                "status": project.status,
                "checked_at": project.checked_at,
                "classifiers": self._classifiers.encode(project.classifiers),
            }
            shown = {"name", "status", "classifiers"}
            old = row._asdict() if row is not None else {}
            if any(narrow[key] != old.get(key) for key in shown):
                changed.add(name)
            if name in changed or any(value != old.get(key) for key, value in narrow.items()):
                revision = row.revision if row is not None else 0
                if project.package is not None or revision:
                    revision += name in changed
                rows.append({**narrow, "revision": revision})
        return rows

    def _replace(self, connection: Connection, table: Table, before: Rows, now: Rows) -> set[str]:
        """Make the rows of packages in a table those of `now`; returns the names of those that differed."""
        new = [row for key, row in now.items() if before.get(key) != row]
        gone = [row for key, row in before.items() if key not in now]
        execute(connection, self._database.upsert(table), new)
        for row in gone:
            conditions = (column == row[column.name] for column in table.primary_key.columns)
            connection.execute(delete(table).where(*conditions))
        return {row["normalized_name"] for row in (*new, *gone)}

    def _receive_repositories(self, connection: Connection, received: Sequence[CopiedProject]) -> set[str]:
        """Write the repositories of packages; returns all packages of those that changed."""
        facts = {}
        for package in (project.package for project in received):
            if package is not None and package.link is not None and package.link.key is not None:
                facts[package.link.key] = package.repository
        before = repository_rows(connection, facts)
        rows, outdated, gone = [], [], []
        for key, repository in facts.items():
            old = before.get(key)
            if repository is None:
                gone += [key] if old is not None else []
                continue
            new = repository_row(repository)
            if old is None or old._asdict() != new:
                rows.append(new)
                outdated.append(key)
        execute(connection, self._database.upsert(repositories), rows)
        connection.execute(delete(repositories).where(repositories.c.key.in_(gone)))
        found = linked_names(connection, [*outdated, *gone])
        return {name for names in found.values() for name in names}


def _received_rows(received: Sequence[CopiedProject]) -> dict[Table, Rows]:
    """The rows of the packages by table and primary key."""
    found: dict[Table, Rows] = {table: {} for table in (packages, releases, standings, links, downloads)}
    for project in received:
        if project.package is not None:
            for table, row in _rows(project.normalized_name, project.package):
                found[table][_key(table, row)] = row
    return found


def _rows(name: str, package: CopiedPackage) -> Iterable[tuple[Table, dict[str, Any]]]:
    listed = listed_versions(package.project)
    yield (
        packages,
        {
            "normalized_name": name,
            "serial": package.serial,
            "depth": stored_depth(listed, package.releases.keys() | {package.project.version}),
            "listed": list(listed),
            "project": pack(package.project),
        },
    )
    for version, release in package.releases.items():
        yield (
            releases,
            {
                "normalized_name": name,
                "version": version,
                "serial": release.serial,
                "fetched_at": release.fetched_at,
                "metadata": None if release.metadata is None else pack(release.metadata),
            },
        )
    yield standings, asdict(package.standing)
    if package.link is not None:
        yield links, link_row(package.link)
    for one in package.downloads:
        yield downloads, download_row(one)


def _known_rows(connection: Connection, names: Iterable[str]) -> dict[Table, Rows]:
    found: dict[Table, Rows] = {}
    for table in (packages, releases, standings, links, downloads):
        found[table] = {}
        query = select(table).where(table.c.normalized_name.in_(NAMES))
        for some in chunks(names):
            for row in connection.execute(query, {"names": some}):
                values = row._asdict()
                found[table][_key(table, values)] = values
    return found


def _key(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _names_between(connection: Connection, after: str, until: str | None) -> set[str]:
    query = select(projects.c.normalized_name).where(projects.c.normalized_name > after)
    if until is not None:
        query = query.where(projects.c.normalized_name <= until)
    return set(connection.execute(query.where(projects.c.status != FORGOTTEN)).scalars())


def _forget(connection: Connection, names: Iterable[str]) -> int:
    """Let go of projects: at once of one without records, of a package when no index shows it."""
    forgotten = 0
    for some in chunks(sorted(names)):
        rows: list[AnyRow] = list(connection.execute(KNOWN, {"names": some}))
        shown = set(
            connection.execute(
                select(indexed.c.normalized_name).where(indexed.c.normalized_name.in_(some))
            ).scalars()
        )
        kept = {
            row.normalized_name for row in rows if row.project is not None or row.normalized_name in shown
        }
        _delete(connection, [row.normalized_name for row in rows if row.normalized_name not in kept])
        going = [
            row.normalized_name for row in rows if row.normalized_name in kept and row.status != FORGOTTEN
        ]
        statement = update(projects).where(projects.c.normalized_name.in_(going))
        connection.execute(statement.values(status=FORGOTTEN))
        rise(connection, going)
        forgotten += len(going)
    return forgotten


def _delete(connection: Connection, names: Sequence[str]) -> None:
    keys = select(links.c.key).where(links.c.normalized_name.in_(names), links.c.key.is_not(None))
    linked = set(connection.execute(keys).scalars())
    for table in _FACTS:
        connection.execute(delete(table).where(table.c.normalized_name.in_(names)))
    _drop_unlinked(connection, linked)


def _drop_unlinked(connection: Connection, keys: Iterable[str]) -> None:
    """Remove those of the repositories that no package is of any more."""
    for some in chunks(sorted(keys)):
        linked = select(links.c.key).where(links.c.key.in_(some))
        connection.execute(
            delete(repositories).where(repositories.c.key.in_(some), repositories.c.key.not_in(linked))
        )
