"""What the parts of `Store` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import BindParameter, Row, Select, bindparam, select

from pyf_scrapy.store.classifiers import ClassifierCodec
from pyf_scrapy.store.database import Database
from pyf_scrapy.store.tables import packages, projects, releases

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]

#: Rows of one page of a streamed answer.
PAGE = 5_000

#: The parameter `names` of the statements below.
NAMES: BindParameter[list[str]] = bindparam("names", expanding=True)

#: Projects with their records; those columns are None for a project that never was a member.
KNOWN = (
    select(projects, packages.c.serial.label("facts_serial"), packages.c.listed, packages.c.project)
    .outerjoin(packages, packages.c.normalized_name == projects.c.normalized_name)
    .where(projects.c.normalized_name.in_(NAMES))
)

#: Releases of projects, without their metadata.
VERSIONS = select(
    releases.c.normalized_name,
    releases.c.version,
    releases.c.serial,
    releases.c.metadata.is_(None).label("partial"),
).where(releases.c.normalized_name.in_(NAMES))


class StorePart:
    """One group of the methods of `Store`."""

    _database: Database
    _classifiers: ClassifierCodec

    def _pages(self, after: Callable[[str], AnySelect]) -> Iterator[list[AnyRow]]:
        """Stream a query ordered by its first column, a name; `after(name)` selects what follows `name`.

        Each page is a transaction of its own: however long the caller takes, nothing is held open, neither
        memory nor SQLite's log.
        """
        last = ""
        while True:
            with self._database.read() as connection:
                rows = list(connection.execute(after(last).limit(PAGE)).all())
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            last = rows[-1][0]
