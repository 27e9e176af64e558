"""What PyPI says of packages beside their serials, and which of them are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, select, update

from pyf_scrapy.store.changes import Happened
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import (
    NAMES,
    NOTE,
    StorePart,
    execute,
    known_standings,
    next_change,
    note,
    rise,
    touch,
    without_repeats,
)
from pyf_scrapy.store.records import ACTIVE, REMOVED, VANISHED, PageSaid, Standing, Verified
from pyf_scrapy.store.tables import packages, projects, standings

#: PyPI's markers (PEP 792) and the events of becoming so.
_KINDS = {
    "active": "activated",
    "archived": "archived",
    "deprecated": "deprecated",
    "quarantined": "quarantined",
}

_ARE_PACKAGES = select(packages.c.normalized_name).where(packages.c.normalized_name.in_(NAMES))
_KEPT = (
    select(packages.c.normalized_name)
    .join(projects, projects.c.normalized_name == packages.c.normalized_name)
    .where(projects.c.status != REMOVED)
)
_VANISHED = select(projects.c.normalized_name, projects.c.checked_at).where(projects.c.status == VANISHED)


class Standings(StorePart):
    """The methods of `Store` about markers, ETags, and packages that are gone."""

    def standings(self, names: Iterable[str]) -> dict[str, Standing]:
        """What is known of each of these packages beside its serial; an empty standing if nothing is."""
        found: dict[str, Standing] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                found |= known_standings(connection, some)
        return found

    def save_verified(self, verified: Sequence[Verified]) -> list[bool]:
        """Note what PyPI said of packages when asked again, and when; one transaction.

        Returns of which the marker or its reason changed: their revision has risen. Unknown counts as
        active. An answer without a marker changes none. Names without facts are ignored.
        """
        changed: list[bool] = []
        with self._database.write() as connection:
            for some in without_repeats(verified, lambda one: one.normalized_name):
                changed += self._save_verified(connection, some)
        return changed

    def package_names(self) -> set[str]:
        """The names whose facts are stored, tombstones left out."""
        with self._database.read() as connection:
            return set(connection.execute(_KEPT).scalars())

    def vanished(self) -> dict[str, int]:
        """The projects that vanished and are no tombstones yet, with the time since when they are gone."""
        with self._database.read() as connection:
            return dict(connection.execute(_VANISHED).all())

    def bury(self, names: Iterable[str], at: int) -> int:
        """Make tombstones of those projects that are still gone; their facts stay. Returns how many."""
        buried: list[str] = []
        notes = []
        with self._database.write() as connection:
            for some in chunks(set(names)):
                statement = (
                    update(projects)
                    .where(projects.c.normalized_name.in_(some), projects.c.status == VANISHED)
                    .values(status=REMOVED, checked_at=at, changed=next_change(connection))
                    .returning(projects.c.normalized_name)
                )
                found = sorted(connection.execute(statement).scalars())
                buried += found
                known = set(connection.execute(_ARE_PACKAGES, {"names": found}).scalars())
                notes += [note(at, name, Happened("removed")) for name in found if name in known]
            execute(connection, NOTE, notes)
        return len(buried)

    def _save_verified(self, connection: Connection, verified: Sequence[Verified]) -> list[bool]:
        names = [one.normalized_name for one in verified]
        known: dict[str, Standing] = {}
        for some in chunks(names):
            are_packages = connection.execute(_ARE_PACKAGES, {"names": some}).scalars().all()
            known |= known_standings(connection, are_packages)
        changed, rows, notes, rising = [], [], [], []
        seen: list[str] = []
        for one, name in zip(verified, names, strict=True):
            before = known.get(name)
            event = None
            if before is not None:
                now = replace(before, verified_at=one.at)
                if one.page is not None:
                    now, event = _marked(now, one.page)
                rows.append(asdict(now))
                if (before.status, before.reason) != (now.status, now.reason):
                    seen.append(name)  # also "active" instead of unknown, which is no event
            if event is not None:
                rising.append(name)
                notes.append(note(one.at, name, event))
            changed.append(event is not None)
        execute(connection, self._database.upsert(standings), rows)
        touch(connection, seen)
        rise(connection, rising)
        execute(connection, NOTE, notes)
        return changed


def _marked(before: Standing, page: PageSaid) -> tuple[Standing, Happened | None]:
    """The standing after a page was read, and the event of another marker than before."""
    if page.status is None:
        return replace(before, page_etag=page.etag), None
    now = replace(before, status=page.status, reason=page.reason, page_etag=page.etag)
    old = before.status or ACTIVE
    if (old, before.reason) == (page.status, page.reason):
        return now, None
    detail = {"from": old, "reason": page.reason}
    if page.status in _KINDS:
        return now, Happened(_KINDS[page.status], detail=detail)
    return now, Happened("marked", detail={**detail, "to": page.status})
