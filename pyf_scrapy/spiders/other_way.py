"""The way round a cache that keeps an old answer for a project's JSON (rule R2)."""

from __future__ import annotations

import asyncio

import msgspec

from pyf_scrapy.exceptions import StaleError
from pyf_scrapy.metadata.releases import listed_versions
from pyf_scrapy.parsers.project_json import File, Metadata, ProjectRecord
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.fetching import PyPI
from pyf_scrapy.store import Store
from pyf_scrapy.sync.removal import is_replaced
from pyf_scrapy.sync.staleness import is_stale


class OtherWay:
    """Reads a project's Simple page and its latest release's own JSON, which PyPI's caches keep, and forget,
    apart from the project's JSON."""

    def __init__(self, store: Store, pypi: PyPI) -> None:
        self.store = store
        self.pypi = pypi

    async def record(self, ask: Ask) -> ProjectRecord:
        """The project as the two say together; its serial is that of the older of them.

        Raises StaleError when that breaks the promise, too, FetchError, ParseError.
        """
        page = await self.pypi.simple_page(ask.name)
        if page is None or page.serial is None or is_stale(ask.promise, page.serial, page.versions):
            raise StaleError(f"PyPI's caches hold an older answer than promised ({_said(ask)})")
        package = await asyncio.to_thread(self.store.load_package, ask.name)
        known = package.project if package is not None else None
        files = files_by_version(page)
        # A page does not list releases without files.
        files |= {v: () for v, old in ((known and known.files) or {}).items() if not old and v not in files}
        if not files:
            raise StaleError(
                f"PyPI's caches hold an older answer than promised ({_said(ask)}), and no release"
            )
        record = await self._record(page, files, known)
        if is_stale(ask.promise, record.serial or 0, None):
            raise StaleError(f"PyPI's caches hold older answers than promised ({_said(ask)})")
        return record

    async def _record(
        self, page: SimplePage, files: dict[str, tuple[File, ...]], known: ProjectRecord | None
    ) -> ProjectRecord:
        any_version = next(iter(files))
        whole = ProjectRecord(
            name=page.name,
            normalized_name=page.name,
            version=any_version,
            serial=page.serial,
            metadata=Metadata(name=page.name, version=any_version),
            files=files,
        )
        latest = listed_versions(whole)[0]
        release = await self.pypi.release(page.name, latest)
        if release is None or is_replaced(release.files, files[latest]):
            raise StaleError(f"PyPI's caches hold an older answer, and no JSON of {latest}")
        fuller = {f.filename: f for of_known in ((known and known.files) or {}).values() for f in of_known}
        fuller |= {file.filename: file for file in release.files}
        return msgspec.structs.replace(
            whole,
            name=release.name,
            version=latest,
            serial=min(filter(None, (page.serial, release.serial))),
            metadata=release.metadata,
            files={v: tuple(_fuller(file, fuller) for file in of_page) for v, of_page in files.items()},
            latest_files=release.files,
            vulnerabilities=release.vulnerabilities,
            organization=release.organization,
            roles=release.roles,
        )


def _fuller(file: File, known: dict[str, File]) -> File:
    """A file of a page with what only the JSON tells of it; whether it is yanked is the page's word."""
    fuller = known.get(file.filename, file)
    return msgspec.structs.replace(fuller, yanked=file.yanked, yanked_reason=file.yanked_reason)


def _said(ask: Ask) -> str:
    serial, version = ask.promise
    return f"serial {serial}" if version is None else f"release {version}"
