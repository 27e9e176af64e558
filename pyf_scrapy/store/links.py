"""Which repository a package is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import (
    LINKS,
    known_links,
    known_since,
    link_row,
    present_keys,
    repository_link,
)
from pyf_scrapy.store.part import StorePart, rise, touch, without_repeats
from pyf_scrapy.store.records import RepositoryLink
from pyf_scrapy.store.tables import links

_PROBLEM = links.c.problem.is_not(None)
_PROBLEMS = select(links).where(_PROBLEM).order_by(links.c.normalized_name)


class Links(StorePart):
    """The methods of `Store` about which repository a package is of."""

    def save_links(self, found: Sequence[RepositoryLink], *, ahead: bool = False) -> int:
        """Store of which repositories packages are; one transaction. Returns how many revisions rose.

        A link is written whole. A revision rises with another key, URL or proof. A key that is a former name
        (`rename`) becomes the present one. Ignored: names without facts (`ahead`: these wait for them), what
        was checked before what is stored, and what was checked before the name became another project's.
        """
        with self._database.write() as connection:
            batches = without_repeats(found, lambda link: link.normalized_name)
            return sum(self._save_links(connection, some, ahead=ahead) for some in batches)

    def links(self, names: Iterable[str]) -> dict[str, RepositoryLink]:
        """Of which repository each package is; those that were never checked are absent."""
        found: dict[str, RepositoryLink] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                found |= known_links(connection, some)
        return found

    def problems(self, names: Iterable[str] | None = None) -> Iterator[RepositoryLink]:
        """The links with a problem: of all packages by name, or of `names` in their order."""
        if names is None:
            for rows in self._pages(lambda last: _PROBLEMS.where(links.c.normalized_name > last)):
                yield from (repository_link(row) for row in rows)
            return
        for some in chunks(names):
            with self._database.read() as connection:
                rows = list(connection.execute(LINKS.where(_PROBLEM), {"names": some}))
            found = {row.normalized_name: repository_link(row) for row in rows}
            yield from (found[name] for name in some if name in found)

    def _save_links(self, connection: Connection, found: Sequence[RepositoryLink], *, ahead: bool) -> int:
        names = [link.normalized_name for link in found]
        since = known_since(connection, names)
        known = known_links(connection, names)
        moved = present_keys(connection, {link.key for link in found if link.key is not None})
        rows: list[dict[str, Any]] = []
        rising: list[str] = []
        for link, name in zip(found, names, strict=True):
            before = known.get(name)
            oldest = before.checked_at if before is not None else 0
            if (name not in since and not ahead) or link.checked_at < max(since.get(name, 0), oldest):
                continue
            if link.key in moved:
                link = replace(link, key=moved[link.key])
            if link != before:
                rows.append(link_row(link))
            if name in since and _shown(link) != _shown(before):
                rising.append(name)
        if rows:
            connection.execute(self._database.upsert(links), rows)
        touch(connection, (row["normalized_name"] for row in rows))
        rise(connection, rising)
        return len(rising)


def _shown(link: RepositoryLink | None) -> tuple[str | None, ...]:
    """What documents can show of a link."""
    return (None, None, None) if link is None else (link.key, link.url, link.proof)
