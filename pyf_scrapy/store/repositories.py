"""Facts of repositories, shared by all packages that are of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, bindparam, delete, select, update

from pyf_scrapy.parsers.records import RepositoryRecord
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import (
    KEYS,
    known_repositories,
    linked_names,
    present_keys,
    repository_facts,
    repository_row,
    repository_rows,
)
from pyf_scrapy.store.part import AnyRow, StorePart, execute, rise, touch, without_repeats
from pyf_scrapy.store.records import RepositoryAge, RepositoryFacts
from pyf_scrapy.store.tables import links, repositories

#: The state of the row of a former name.
_MOVED = "moved"

_AGES = select(  # the fields of a RepositoryAge
    repositories.c.key,
    repositories.c.state,
    repositories.c.fetched_at,
    repositories.c.contributors_at,
    repositories.c.etag,
    repositories.c.node_id,
).where(repositories.c.key.in_(KEYS))
_DELETE = delete(repositories).where(repositories.c.key == bindparam("of_key"))
_POINT_LINKS, _POINT_NAMES = (
    update(table).where(column == bindparam("old")).values({column: bindparam("new")})
    for table, column in ((links, links.c.key), (repositories, repositories.c.moved_to))
)


class Repositories(StorePart):
    """The methods of `Store` about repositories."""

    def save_repositories(self, facts: Sequence[RepositoryFacts]) -> int:
        """Store what was answered about repositories; one transaction. Returns how many revisions rose.

        Those of all packages of a repository rise when something changed that a document can show: the state,
        or, as far as it is shown, the record or the contributors. An answer older than what is stored is
        ignored, its contributors by their own time. A record stays when the state becomes another one; it
        is shown no more then (`RepositoryFacts.shown`). Another repository of the same name keeps no
        contributors. Under a former name (`rename`) only an answer with a record counts: it is a repository
        of its own again.
        """
        with self._database.write() as connection:
            batches = without_repeats(facts, lambda one: one.key)
            return sum(self._save_repositories(connection, some) for some in batches)

    def repositories(self, keys: Iterable[str]) -> dict[str, RepositoryFacts]:
        """What is stored of repositories, also what is not shown any more; unknown ones are absent.

        By the key asked for: the facts of a renamed one have its present key.
        """
        found: dict[str, RepositoryFacts] = {}
        for some in chunks(keys):
            with self._database.read() as connection:
                found |= known_repositories(connection, some)
        return found

    def repository_ages(self, keys: Iterable[str]) -> dict[str, RepositoryAge]:
        """As `repositories`, but only what decides whether and how to ask again: no record is read."""
        found: dict[str, RepositoryAge] = {}
        for some in chunks(keys):
            with self._database.read() as connection:
                moved = present_keys(connection, some)
                asked = [moved.get(key, key) for key in some]
                rows = connection.execute(_AGES, {"keys": list(set(asked))}).all()
            ages = {row.key: RepositoryAge(*row) for row in rows}
            found |= {key: ages[now] for key, now in zip(some, asked, strict=True) if now in ages}
        return found

    def packages_of(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """The packages that are of each of these repositories, by name; of a former name: of the present one.
        Keys without packages are absent."""
        found: dict[str, list[str]] = {}
        for some in chunks(keys):
            with self._database.read() as connection:
                moved = present_keys(connection, some)
                asked = [moved.get(key, key) for key in some]
                names = linked_names(connection, set(asked))
            found |= {key: names[now] for key, now in zip(some, asked, strict=True) if now in names}
        return found

    def rename(self, key: str, new_key: str, at: int) -> int:
        """Note that a repository was moved, as seen at `at`. Returns how many revisions rose.

        Its packages are of the new key from now on, and keep the URL that they claim. The old key stays as
        another name of the new one: links that are saved with it get the new key, so that it does not matter
        which of the two a package names. The facts go to the new key, unless newer ones are there. Ignored
        when something later is known of either name.
        """
        with self._database.write() as connection:
            rows = repository_rows(connection, [key, new_key])
            old, new = rows.get(key), rows.get(new_key)
            if key == new_key or _is_later(old, at) or (_is_former(new) and _is_later(new, at)):
                return 0
            facts, before = _facts(old), _facts(new)
            linked = linked_names(connection, [key, new_key])
            touch(connection, (name for some in linked.values() for name in some))
            rising = {*linked.get(key, [])}
            if facts is not None and (before is None or before.fetched_at < facts.fetched_at):
                if _shown(facts) != _shown(before):
                    rising.update(linked.get(new_key, []))
                written = repository_row(replace(facts, key=new_key))
                connection.execute(self._database.upsert(repositories), [written])
            elif before is None:  # it may have been a former name itself
                connection.execute(_DELETE, {"of_key": new_key})
            former = dict.fromkeys(repositories.columns.keys())
            former |= {"key": key, "state": _MOVED, "fetched_at": at, "moved_to": new_key}
            connection.execute(self._database.upsert(repositories), [former])
            for point in (_POINT_LINKS, _POINT_NAMES):
                connection.execute(point, {"old": key, "new": new_key})
            rise(connection, rising)
            return len(rising)

    def _save_repositories(self, connection: Connection, facts: Sequence[RepositoryFacts]) -> int:
        known = repository_rows(connection, (one.key for one in facts))
        rows: list[dict[str, Any]] = []
        changed: list[str] = []
        for one in facts:
            row = known.get(one.key)
            if _is_former(row) and (one.record is None or _is_later(row, one.fetched_at)):
                continue
            before = _facts(row)
            now = _merged(before, one)
            if now != before:
                rows.append(repository_row(now))
            if _shown(now) != _shown(before):
                changed.append(one.key)
        execute(connection, self._database.upsert(repositories), rows)
        written = linked_names(connection, (row["key"] for row in rows))
        touch(connection, (name for some in written.values() for name in some))
        names = [name for some in linked_names(connection, changed).values() for name in some]
        rise(connection, names)
        return len(names)


def _is_former(row: AnyRow | None) -> bool:
    return row is not None and row.moved_to is not None


def _is_later(row: AnyRow | None, at: int) -> bool:
    return row is not None and bool(row.fetched_at > at)


def _facts(row: AnyRow | None) -> RepositoryFacts | None:
    return None if row is None or _is_former(row) else repository_facts(row)


def _shown(facts: RepositoryFacts | None) -> tuple[Any, ...] | None:
    """What documents can show of a repository."""
    if facts is None:
        return None
    shown = facts.shown()
    return shown.state, shown.record, shown.contributors


def _merged(before: RepositoryFacts | None, new: RepositoryFacts) -> RepositoryFacts:
    """What is known after an answer."""
    known = before or RepositoryFacts(new.key, new.state, new.fetched_at)
    if new.fetched_at >= known.fetched_at:
        was = known.record
        known = replace(
            known, state=new.state, fetched_at=new.fetched_at, node_id=new.node_id or known.node_id
        )
        if new.record is not None:
            another = was is not None and _is_another(was, new.record)
            record = new.record
            if was is not None and not another and record.packages is None:
                record = structs.replace(record, packages=was.packages)  # REST does not read project files
            known = replace(known, record=record, etag=new.etag)
            if another:
                known = replace(known, contributors=None, contributors_at=None)
    elif known.state == "unavailable" and known.record is None:
        known = replace(known, record=new.record)  # a failure later on tells nothing else
    asked_at = new.contributors_at
    if asked_at is None and new.contributors is not None:
        asked_at = new.fetched_at
    if asked_at is not None and asked_at >= (known.contributors_at or 0):
        contributors = known.contributors if new.contributors is None else new.contributors
        known = replace(known, contributors=contributors, contributors_at=asked_at)
    return known


def _is_another(old: RepositoryRecord, new: RepositoryRecord) -> bool:
    """By the time of creation: the node id has two spellings, by REST and GraphQL."""
    return None not in (old.created_at, new.created_at) and old.created_at != new.created_at
