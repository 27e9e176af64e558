"""Which packages have something to be done: streamed, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import and_, bindparam, select

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store.changes import deep_enough
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import AnyRow, StorePart
from pyf_scrapy.store.records import ACTIVE
from pyf_scrapy.store.survey import DEPTHS, Survey
from pyf_scrapy.store.tables import failures, indexed, packages, projects

_CHECKED = (
    select(projects.c.normalized_name, projects.c.classifiers, projects.c.serial)
    .where(projects.c.status == ACTIVE)
    .order_by(projects.c.normalized_name)
)
_MEMBERS = (
    select(packages.c.normalized_name, projects.c.classifiers)
    .join(projects, projects.c.normalized_name == packages.c.normalized_name)
    .where(projects.c.status == ACTIVE)
    .order_by(packages.c.normalized_name)
)
_DUE = select(failures.c.normalized_name).where(
    failures.c.stage == bindparam("of_stage"), failures.c.next_try <= bindparam("at")
)


class Waiting(StorePart):
    """The methods of `Store` that name packages of a profile."""

    def candidates(
        self, profile: Profile, releases: int | None, names: Iterable[str] | None = None
    ) -> Iterator[str]:
        """Projects that match by what is stored, but whose records are missing, older than the last check,
        or lack some of the newest `releases` (None = all) releases; of all, or of `names`."""
        matches = self._classifiers.matcher(profile)
        for rows in self._checked(names):
            serials = {name: serial for name, packed, serial in rows if matches(name, packed)}
            for names in chunks(serials):
                with self._database.read() as connection:
                    complete = {
                        name
                        for name, serial, depth in connection.execute(DEPTHS, {"names": names})
                        if serial >= serials[name] and deep_enough(depth, releases)
                    }
                yield from (name for name in names if name not in complete)

    def survey(self, profiles: Sequence[Profile]) -> Survey:
        """One pass over all projects, for what several profiles lack."""
        return Survey(self._database, self._classifiers, profiles)

    def _checked(self, names: Iterable[str] | None) -> Iterator[list[AnyRow]]:
        if names is None:
            yield from self._pages(lambda last: _CHECKED.where(projects.c.normalized_name > last))
            return
        for some in chunks(names):
            with self._database.read() as connection:
                rows = connection.execute(_CHECKED.where(projects.c.normalized_name.in_(some))).all()
            yield list(rows)

    def members(self, profile: Profile) -> Iterator[str]:
        """Packages with records that the profile takes."""
        matches = self._classifiers.matcher(profile)
        for rows in self._pages(lambda last: _MEMBERS.where(packages.c.normalized_name > last)):
            yield from (name for name, packed in rows if matches(name, packed))

    def dirty(self, collection: str, profile: Profile) -> Iterator[str]:
        """Packages of which the collection does not show the stored facts: those that the profile takes and
        that are not indexed at their revision, and those that are indexed and that it takes no more, for
        example because they lost their releases."""
        matches = self._classifiers.matcher(profile)
        here = and_(
            indexed.c.normalized_name == projects.c.normalized_name, indexed.c.collection == collection
        )
        query = (
            select(
                packages.c.normalized_name,
                projects.c.classifiers,
                projects.c.revision,
                projects.c.status,
                indexed.c.collection.is_not(None).label("is_indexed"),
                indexed.c.indexed_revision,
            )
            .join(projects, projects.c.normalized_name == packages.c.normalized_name)
            .outerjoin(indexed, here)
            .order_by(packages.c.normalized_name)
        )

        def is_dirty(row: AnyRow) -> bool:
            if row.status == ACTIVE and matches(row.normalized_name, row.classifiers):
                return bool(row.indexed_revision != row.revision)
            return bool(row.is_indexed)

        for rows in self._pages(lambda last: query.where(packages.c.normalized_name > last)):
            yield from (row.normalized_name for row in rows if is_dirty(row))
        # Checked and of no profile, though the collection has documents of it: they are from an older store.
        strangers = (
            select(indexed.c.normalized_name)
            .join(projects, here)
            .outerjoin(packages, packages.c.normalized_name == indexed.c.normalized_name)
            .where(packages.c.normalized_name.is_(None))
        )
        with self._database.read() as connection:
            names = connection.execute(strangers).scalars().all()
        yield from names

    def due(self, stage: str, at: int) -> set[str]:
        """Projects that failed at `stage` and are to be tried again by `at`."""
        with self._database.read() as connection:
            return set(connection.execute(_DUE, {"of_stage": stage, "at": at}).scalars())
