"""Facts of projects and packages, loaded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import select

from pyf_scrapy.parsers.records import ProjectRecord
from pyf_scrapy.store.changes import unpack_metadata, unpack_project
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.enrichment import Enriched, enrichments
from pyf_scrapy.store.part import (
    KNOWN,
    LISTED_SERIAL,
    NAMES,
    STANDINGS,
    VERSIONS,
    AnyRow,
    StorePart,
    pages,
    plain,
)
from pyf_scrapy.store.records import (
    ProjectRow,
    Standing,
    StoredPackage,
    StoredVersion,
)
from pyf_scrapy.store.tables import projects, releases

_LOADED = 50  # packages read at once: each may be a megabyte

_SERIALS = select(projects.c.normalized_name, LISTED_SERIAL).order_by(projects.c.normalized_name)
_PROJECTS = select(projects).where(projects.c.normalized_name.in_(NAMES))
_REVISIONS = select(projects.c.normalized_name, projects.c.revision).where(
    projects.c.normalized_name.in_(NAMES)
)
_RELEASES = select(releases.c.normalized_name, releases.c.version, releases.c.metadata).where(
    releases.c.normalized_name.in_(NAMES)
)


class Facts(StorePart):
    """The methods of `Store` that read projects, packages and their releases."""

    def iter_serials(self) -> Iterator[tuple[str, int]]:
        """Every known project with the serial received of it, in code point order of normalized names.

        One that is gone has UNLISTED_SERIAL: if an index lists it again, it differs.
        """
        for rows in pages(
            self._database, lambda last: _SERIALS.where(projects.c.normalized_name > last), plain
        ):
            yield from ((name, serial) for name, serial in rows)

    def project(self, normalized_name: str) -> ProjectRow | None:
        """The narrow facts of one project, None when it was never looked at."""
        with self._database.read() as connection:
            row = connection.execute(_PROJECTS, {"names": [normalized_name]}).first()
        if row is None:
            return None
        return ProjectRow(
            normalized_name=row.normalized_name,
            name=row.name,
            serial=row.serial,
            status=row.status,
            checked_at=row.checked_at,
            revision=row.revision,
            classifiers=self._classifiers.decode(row.classifiers),
        )

    def revisions(self, names: Iterable[str]) -> dict[str, int]:
        """Revisions of known projects; 0 = never a member."""
        found: dict[str, int] = {}
        for some in chunks(names):
            with self._database.read() as connection:
                found.update(connection.execute(_REVISIONS, {"names": some}).all())
        return found

    def stored_versions(self, normalized_name: str) -> dict[str, StoredVersion]:
        """The releases whose own metadata is known, also as the metadata of the stored latest release.

        A partial one is asked for again when the project's serial is no longer the one given with it.
        """
        with self._database.read() as connection:
            row = connection.execute(KNOWN, {"names": [normalized_name]}).first()
            rows = connection.execute(VERSIONS, {"names": [normalized_name]}).all()
        found = {row.version: StoredVersion(bool(row.partial), row.serial) for row in rows}
        if row is not None and row.project is not None:
            found[unpack_project(row.project).version] = StoredVersion(False, row.facts_serial)
        return found

    def load_package(self, normalized_name: str) -> StoredPackage | None:
        """All that is known of a member, None when no records of it are stored."""
        return next(self.load_packages([normalized_name]), None)

    def load_packages(self, names: Iterable[str]) -> Iterator[StoredPackage]:
        """Stream members in the order of `names`, leaving out those without records."""
        for some in chunks(names, _LOADED):
            with self._database.read() as connection:
                rows = {row.normalized_name: row for row in connection.execute(KNOWN, {"names": some})}
                metadata: dict[str, dict[str, bytes | None]] = {}
                for name, version, packed in connection.execute(_RELEASES, {"names": some}):
                    metadata.setdefault(name, {})[version] = packed
                standings = {row[0]: Standing(*row) for row in connection.execute(STANDINGS, {"names": some})}
                enriched = enrichments(connection, some)
            for name in some:
                row = rows.get(name)
                if row is not None and row.project is not None:
                    standing = standings.get(name, Standing(name))
                    yield self._package(row, metadata.get(name, {}), standing, enriched[name])

    def latest_records(self, names: Iterable[str]) -> Iterator[ProjectRecord]:
        """Stream what PyPI says of members, with the metadata of their latest releases only, as
        `load_packages`: to look at one thing of thousands."""
        for some in chunks(names, _LOADED):
            with self._database.read() as connection:
                rows = {row.normalized_name: row for row in connection.execute(KNOWN, {"names": some})}
            for name in some:
                if name in rows and rows[name].project is not None:
                    yield unpack_project(rows[name].project)

    def _package(
        self,
        row: AnyRow,
        metadata: dict[str, bytes | None],
        standing: Standing,
        enriched: Enriched,
    ) -> StoredPackage:
        return StoredPackage(
            name=row.name,
            normalized_name=row.normalized_name,
            serial=row.facts_serial,
            revision=row.revision,
            classifiers=self._classifiers.decode(row.classifiers),
            status=row.status,
            project=unpack_project(row.project),
            releases={
                version: None if packed is None else unpack_metadata(packed)
                for version, packed in metadata.items()
            },
            standing=standing,
            link=enriched.link,
            repository=enriched.repository,
            downloads=enriched.downloads,
        )
