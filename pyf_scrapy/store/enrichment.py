"""Repositories, links and downloads: rows and records, read within a transaction of the caller."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.store.changes import pack
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import NAMES, AnyRow, execute
from pyf_scrapy.store.records import DownloadFacts, RepositoryFacts, RepositoryLink
from pyf_scrapy.store.tables import downloads, links, packages, repositories, standings

_record_decoder = msgspec.msgpack.Decoder(RepositoryRecord)
_contributors_decoder = msgspec.msgpack.Decoder(tuple[Contributor, ...])

#: The parameter `keys` of statements about repositories.
KEYS: BindParameter[list[str]] = bindparam("keys", expanding=True)

#: Links of packages.
LINKS = select(links).where(links.c.normalized_name.in_(NAMES))

_REPOSITORIES = select(repositories).where(repositories.c.key.in_(KEYS))
_MOVED = select(repositories.c.key, repositories.c.moved_to).where(
    repositories.c.key.in_(KEYS), repositories.c.moved_to.is_not(None)
)
_LINKED = (
    select(links.c.key, links.c.normalized_name)
    .join(packages, packages.c.normalized_name == links.c.normalized_name)
    .where(links.c.key.in_(KEYS))
    .order_by(links.c.normalized_name)
)
_DOWNLOADS = select(downloads).where(downloads.c.normalized_name.in_(NAMES))
_SINCE = (
    select(packages.c.normalized_name, standings.c.recreated_at)
    .outerjoin(standings, standings.c.normalized_name == packages.c.normalized_name)
    .where(packages.c.normalized_name.in_(NAMES))
)
_FORGET = tuple(
    delete(table).where(table.c.normalized_name == bindparam("forgotten_name"))
    for table in (links, downloads)
)


@dataclass
class Enriched:
    """What is known of a package by others than PyPI."""

    link: RepositoryLink | None = None
    repository: RepositoryFacts | None = None
    downloads: dict[str, DownloadCounts] = field(default_factory=dict)


def enrichments(connection: Connection, names: Sequence[str]) -> dict[str, Enriched]:
    """What documents of packages may show of their repositories and downloads; something for each name."""
    found = {name: Enriched(link) for name, link in known_links(connection, names).items()}
    keys = {enriched.link.key for enriched in found.values() if enriched.link and enriched.link.key}
    facts = known_repositories(connection, keys)
    for enriched in found.values():
        if enriched.link is not None and enriched.link.key in facts:
            enriched.repository = facts[enriched.link.key].shown()
    for (name, source), known in known_downloads(connection, names).items():
        if known.counts is not None:
            found.setdefault(name, Enriched()).downloads[source] = known.counts
    return {name: found.get(name) or Enriched() for name in names}


def repository_rows(connection: Connection, keys: Iterable[str]) -> dict[str, AnyRow]:
    """The rows of repositories, those of former names too."""
    rows = {}
    for some in chunks(keys):
        for row in connection.execute(_REPOSITORIES, {"keys": some}):
            rows[row.key] = row
    return rows


def known_repositories(connection: Connection, keys: Iterable[str]) -> dict[str, RepositoryFacts]:
    """Repositories by the key that was asked for; the facts of a renamed one have its present key."""
    rows = repository_rows(connection, keys)
    moved = {key: row.moved_to for key, row in rows.items() if row.moved_to is not None}
    if moved:
        present = repository_rows(connection, set(moved.values()))
        rows = {key: row for key, row in rows.items() if key not in moved}
        rows |= {key: present[now] for key, now in moved.items() if now in present}
    return {key: repository_facts(row) for key, row in rows.items()}


def present_keys(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    """Former keys and the present ones; those that were not renamed are absent."""
    found: dict[str, str] = {}
    for some in chunks(keys):
        found.update(connection.execute(_MOVED, {"keys": some}).all())
    return found


def linked_names(connection: Connection, keys: Iterable[str]) -> dict[str, list[str]]:
    """The packages that are of repositories, by name."""
    found: dict[str, list[str]] = {}
    for some in chunks(keys):
        for key, name in connection.execute(_LINKED, {"keys": some}):
            found.setdefault(key, []).append(name)
    return found


def known_links(connection: Connection, names: Iterable[str]) -> dict[str, RepositoryLink]:
    """Links of packages by their names."""
    rows = (row for some in chunks(names) for row in connection.execute(LINKS, {"names": some}))
    return {row.normalized_name: repository_link(row) for row in rows}


def known_downloads(connection: Connection, names: Iterable[str]) -> dict[tuple[str, str], DownloadFacts]:
    """What is known of downloads, by name and source."""
    found = {}
    for some in chunks(names):
        for row in connection.execute(_DOWNLOADS, {"names": some}):
            counts = None
            if row.as_of is not None:
                counts = DownloadCounts(
                    row.source, row.as_of, row.last_day, row.last_week, row.last_month, row.total
                )
            found[row.normalized_name, row.source] = DownloadFacts(
                row.normalized_name, row.source, row.fetched_at, counts
            )
    return found


def known_since(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Which of these are packages, and since when the name stands for the project of now (0 = ever)."""
    rows = (row for some in chunks(names) for row in connection.execute(_SINCE, {"names": some}))
    return {name: recreated_at or 0 for name, recreated_at in rows}


def forget_enrichment(connection: Connection, names: Sequence[str]) -> None:
    """Forget whose repository names are of and their downloads. What was attested of another project must
    not vouch for the one that has its name now."""
    for statement in _FORGET:
        execute(connection, statement, [{"forgotten_name": name} for name in names])


def repository_facts(row: AnyRow) -> RepositoryFacts:
    """The record of a row of `repositories`."""
    return RepositoryFacts(
        key=row.key,
        state=row.state,
        fetched_at=row.fetched_at,
        etag=row.etag,
        node_id=row.node_id,
        record=None if row.record is None else _record_decoder.decode(zlib.decompress(row.record)),
        contributors=(
            None
            if row.contributors is None
            else _contributors_decoder.decode(zlib.decompress(row.contributors))
        ),
        contributors_at=row.contributors_at,
    )


def repository_row(facts: RepositoryFacts) -> dict[str, Any]:
    """The row of a repository."""
    return {
        "key": facts.key,
        "state": facts.state,
        "fetched_at": facts.fetched_at,
        "contributors_at": facts.contributors_at,
        "moved_to": None,
        "etag": facts.etag,
        "node_id": facts.node_id,
        "record": None if facts.record is None else pack(facts.record),
        "contributors": None if facts.contributors is None else pack(facts.contributors),
    }


def repository_link(row: AnyRow) -> RepositoryLink:
    """The record of a row of `links`."""
    proof = None if row.proof is None else Proof(row.proof)
    return RepositoryLink(**{**row._asdict(), "proof": proof, "candidates": tuple(row.candidates)})


def link_row(link: RepositoryLink) -> dict[str, Any]:
    """The row of a link."""
    proof = None if link.proof is None else link.proof.value
    return {**asdict(link), "proof": proof, "candidates": list(link.candidates)}
