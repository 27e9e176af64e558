"""How often packages are downloaded, by each source that counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select

from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import known_downloads, known_since
from pyf_scrapy.store.part import NAMES, StorePart, execute, rise, touch, without_repeats
from pyf_scrapy.store.records import DownloadFacts
from pyf_scrapy.store.tables import downloads, projects

_AGES = select(downloads.c.normalized_name, downloads.c.fetched_at).where(
    downloads.c.source == bindparam("of_source"), downloads.c.normalized_name.in_(NAMES)
)
_WEIGHTS = (
    select(projects.c.normalized_name, projects.c.serial, downloads.c.last_month, downloads.c.fetched_at)
    .outerjoin(
        downloads,
        and_(
            downloads.c.normalized_name == projects.c.normalized_name,
            downloads.c.source == bindparam("of_source"),
        ),
    )
    .where(projects.c.normalized_name.in_(NAMES))
)


class Downloads(StorePart):
    """The methods of `Store` about download figures."""

    def save_downloads(self, facts: Sequence[DownloadFacts], *, ahead: bool = False) -> int:
        """Store what sources answered about downloads; one transaction. Returns how many revisions rose.

        One rises with other figures or another day of them, or none any more because the source does not know
        the package. Of figures of an earlier day than those stored only the time of asking is noted.
        Ignored: names without facts (`ahead`: these wait for them), answers older than what is stored or than
        the project of this name.
        """
        with self._database.write() as connection:
            batches = without_repeats(facts, lambda one: f"{one.normalized_name} {one.source}")
            return sum(self._save_downloads(connection, some, ahead=ahead) for some in batches)

    def download_ages(self, names: Iterable[str], source: str) -> dict[str, int]:
        """When the source last answered about packages, also that it does not know one; others are absent."""
        found: dict[str, int] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                found.update(connection.execute(_AGES, {"of_source": source, "names": some}).all())
        return found

    def download_weights(self, names: Iterable[str], source: str) -> dict[str, int]:
        """How much the figures of packages are wanted: by those of the last month (0 when the source knows
        none); where it was never asked by the serial of the last change, so that those come first in which
        something happens."""
        found: dict[str, int] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                rows = connection.execute(_WEIGHTS, {"of_source": source, "names": some}).all()
            found |= {
                row.normalized_name: row.serial if row.fetched_at is None else row.last_month or 0
                for row in rows
            }
        return found

    def _save_downloads(self, connection: Connection, facts: Sequence[DownloadFacts], *, ahead: bool) -> int:
        names = {one.normalized_name for one in facts}
        since = known_since(connection, names)
        known = known_downloads(connection, names)
        rows: list[dict[str, Any]] = []
        rising: list[str] = []
        for one in facts:
            name = one.normalized_name
            before = known.get((name, one.source))
            oldest = before.fetched_at if before is not None else 0
            if (name not in since and not ahead) or one.fetched_at < max(since.get(name, 0), oldest):
                continue
            had = before.counts if before is not None else None
            if had is not None and one.counts is not None and one.counts.as_of < had.as_of:
                one = replace(one, counts=had)
            if one != before:
                rows.append(download_row(one))
            if name in since and one.counts != had:
                rising.append(name)
        execute(connection, self._database.upsert(downloads), rows)
        touch(connection, (row["normalized_name"] for row in rows))
        rise(connection, rising)
        return len(rising)


def download_row(facts: DownloadFacts) -> dict[str, Any]:
    """The row of what a source answered."""
    counts = facts.counts
    return {
        "normalized_name": facts.normalized_name,
        "source": facts.source,
        "fetched_at": facts.fetched_at,
        "as_of": counts.as_of if counts is not None else None,
        "last_day": counts.last_day if counts is not None else None,
        "last_week": counts.last_week if counts is not None else None,
        "last_month": counts.last_month if counts is not None else None,
        "total": counts.total if counts is not None else None,
    }
