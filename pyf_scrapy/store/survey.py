"""What several profiles lack, found in one pass over all that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import case, select

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store.changes import deep_enough
from pyf_scrapy.store.classifiers import ClassifierCodec
from pyf_scrapy.store.database import Database, chunks
from pyf_scrapy.store.part import LISTED_SERIAL, NAMES, pages, plain
from pyf_scrapy.store.records import ACTIVE
from pyf_scrapy.store.tables import packages, projects

# Without classifiers: a project that no profile takes, whatever its name.
_PROJECTS = select(
    projects.c.normalized_name,
    LISTED_SERIAL,
    case((projects.c.status == ACTIVE, projects.c.classifiers), else_=None),
).order_by(projects.c.normalized_name)
#: How much of packages is stored, and at which serial.
DEPTHS = select(packages.c.normalized_name, packages.c.serial, packages.c.depth).where(
    packages.c.normalized_name.in_(NAMES)
)

_Row = tuple[Any, ...]  # of _PROJECTS
_NAME_AND_SERIAL = itemgetter(0, 1)


class Survey:
    """Streams what `Store.iter_serials` does, once, and finds on the way what `Store.members` and
    `Store.candidates` do, for all profiles in the time of one.

    `members` are packages with records that a profile takes, `wanted` the projects that match one but whose
    records are missing, older than the last check, or lack some of the releases it wants. Both are complete
    for the names that were streamed so far.
    """

    def __init__(self, database: Database, classifiers: ClassifierCodec, profiles: Sequence[Profile]) -> None:
        self.members: set[str] = set()
        self.wanted: set[str] = set()
        self._database = database
        self._find = classifiers.finder(profiles)
        self._including = [profile for profile in profiles if profile.include]
        self._matchers = [(profile.releases, classifiers.matcher(profile)) for profile in profiles]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        column = projects.c.normalized_name
        for rows in pages(self._database, lambda last: _PROJECTS.where(column > last), plain):
            self._look_at(rows)
            yield from map(_NAME_AND_SERIAL, rows)

    def _look_at(self, rows: list[_Row]) -> None:
        found = self._matching(rows)
        for names in chunks(found):
            with self._database.read() as connection:
                known = {row[0]: row[1:] for row in connection.execute(DEPTHS, {"names": names})}
            self.members.update(known)
            for name in names:
                serial, wanted = found[name]
                stored_serial, depth = known.get(name, (None, 0))
                is_current = stored_serial is not None and stored_serial >= serial
                if not (is_current and all(deep_enough(depth, releases) for releases in wanted)):
                    self.wanted.add(name)

    def _matching(self, rows: list[_Row]) -> dict[str, tuple[int, list[int | None]]]:
        """Of the projects that a profile takes the serial, and how many releases each such profile wants."""
        find, including = self._find, self._including
        # All but a few rows end here.
        some = [row for row in rows if row[2] is not None and find(row[2])]
        if including:
            active = (row for row in rows if row[2] is not None)
            some += [row for row in active if any(profile.matches(row[0], ()) for profile in including)]
        found = {}
        for name, serial, packed in some:
            if releases := [wanted for wanted, matches in self._matchers if matches(name, packed)]:
                found[name] = serial, releases
        return found
