"""From PyPI's answer about a project to its item: what a member lacks is fetched, its facts are stored."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable

import msgspec
from scrapy.http import Response

from pyf_scrapy.exceptions import FetchError, PyfError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.releases import combine, listed_versions
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord, parse_project
from pyf_scrapy.parsers.simple_index import files_by_version
from pyf_scrapy.profiles import Profile
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.fetching import PyPI, expect_ok
from pyf_scrapy.store import PackageFacts, Store, StoredPackage, StoredVersion

logger = logging.getLogger(__name__)


class Collector:
    """Works for one crawl. `count` is told what happened (names of Scrapy stats), `stopping` tells whether
    the crawl ends; with `full` releases that the store has are fetched again."""

    def __init__(
        self,
        session: Session,
        pypi: PyPI,
        count: Callable[[str], None],
        stopping: Callable[[], bool],
        *,
        full: bool,
    ) -> None:
        self.session = session
        self.pypi = pypi
        self.count = count
        self.stopping = stopping
        self.full = full

    async def collect(self, response: Response, normalized_name: str, promised: int | None) -> PackageItem:
        """The item that an answer makes; facts of members are stored. Raises FetchError, ParseError."""
        if response.status == 404:
            return await self._without_releases(normalized_name)
        expect_ok(response)
        record = parse_project(response.body, with_files=False)
        if record.normalized_name != normalized_name:
            raise FetchError(f"the answer is about {record.normalized_name!r}")
        serial = _serial(record, response)
        if promised is not None and serial < promised:
            self.count("pyf/projects/stale")
            logger.info("%s: the answer is older than the index (%d < %d)", normalized_name, serial, promised)
        profiles = self._matching(normalized_name, record.metadata.classifiers)
        if profiles:
            return await self._member(parse_project(response.body), serial, profiles)
        return PackageItem(
            name=record.name,
            normalized_name=normalized_name,
            serial=serial,
            classifiers=record.metadata.classifiers,
        )

    async def _member(self, record: ProjectRecord, serial: int, profiles: list[Profile]) -> PackageItem:
        """Store a package of some profile, with the releases that the store lacks, and make its item."""
        name = record.normalized_name
        if record.files is None:
            page = await self.pypi.simple_page(name)
            # An older page, or none, does not say that releases are gone.
            if page is not None and (page.serial is None or page.serial >= serial):
                record = msgspec.structs.replace(record, files=files_by_version(page))
        found, problems = await self._missing(record, serial, profiles)
        writer = self.session.writer
        if problems and self.stopping():
            raise FetchError("the crawl is stopping")
        await writer.save(PackageFacts(record, serial, found, int(time.time())))
        await writer.clear([name], "project")
        if problems:
            self.count("pyf/packages/failed")
            await self.session.fail(name, "release", *problems)
        else:
            await writer.clear([name], "release")
        package = await asyncio.to_thread(self.session.store.load_package, name)
        assert package is not None, "it was saved a moment ago"
        item = package_item(package)
        item.failures = problems
        return item

    async def _missing(
        self, record: ProjectRecord, serial: int, profiles: list[Profile]
    ) -> tuple[dict[str, Metadata | None], list[str]]:
        """Metadata of the wanted releases that the store lacks, and what went wrong.

        The latest release needs no request: the project's JSON has its metadata. One that was a 404 when
        its own JSON was last asked for is asked for again when the project's serial has moved.
        """
        name = record.normalized_name
        stored = {} if self.full else await asyncio.to_thread(self.session.store.stored_versions, name)
        missing = [
            version
            for version in listed_versions(record)[: _depth(profiles)]
            if version != record.version and not _usable(stored.get(version), serial)
        ]
        answers = await asyncio.gather(
            *(self.pypi.release(name, version) for version in missing), return_exceptions=True
        )
        found: dict[str, Metadata | None] = {record.version: record.metadata}
        problems = []
        for version, answer in zip(missing, answers, strict=True):
            if isinstance(answer, PyfError):
                problems.append(f"release {version}: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[version] = answer
                self.count("pyf/releases/partial" if answer is None else "pyf/releases/fetched")
        return found, problems

    async def _without_releases(self, normalized_name: str) -> PackageItem:
        """A 404 on the JSON: no release, or a cache's wrong 404. The simple page tells. Raises FetchError."""
        page = await self.pypi.simple_page(normalized_name)
        if page is None:
            raise FetchError("HTTP 404: PyPI has no such project")
        if page.files or page.versions:
            raise FetchError("HTTP 404 although the simple index has releases of it")
        if page.serial is None:
            raise FetchError("HTTP 404, and its simple page has no serial")
        self.count("pyf/projects/empty")
        return PackageItem(
            name=page.name,
            normalized_name=normalized_name,
            serial=page.serial,
            classifiers=(),
            status="empty",
        )

    def _matching(self, normalized_name: str, classifiers: tuple[str, ...]) -> list[Profile]:
        """The crawl's profiles that a package with these classifiers belongs to."""
        return [p for p in self.session.profiles if p.matches(normalized_name, classifiers)]


def package_item(package: StoredPackage) -> PackageItem:
    """The item of a package as the store has it."""
    return PackageItem(
        name=package.name,
        normalized_name=package.normalized_name,
        serial=package.serial,
        revision=package.revision,
        classifiers=package.classifiers,
        status=package.status,
        project=package.project,
        releases=combine(package.project, package.releases),
    )


def stored_item(store: Store, normalized_name: str) -> PackageItem | None:
    """The item of what the store has: a package, or only a checked project that never belonged to a profile
    though an index has it. None for an unknown project."""
    package = store.load_package(normalized_name)
    if package is not None:
        return dataclasses.replace(package_item(package), stored=True)
    row = store.project(normalized_name)
    if row is None:
        return None
    return PackageItem(
        name=row.name,
        normalized_name=normalized_name,
        serial=row.serial,
        revision=row.revision,
        classifiers=row.classifiers,
        status=row.status,
        stored=True,
    )


def _serial(record: ProjectRecord, response: Response) -> int:
    """The serial that the answer itself carries (rule R1). Raises FetchError: without it nobody can tell
    whether the answer is up to date."""
    if record.serial is not None:
        return record.serial
    header = (response.headers.get("X-PyPI-Last-Serial") or b"").strip()
    if header.isdigit() and len(header) < 19:
        return int(header)
    raise FetchError("the answer has no serial")


def _depth(profiles: list[Profile]) -> int | None:
    """How many of the newest releases the profiles want between them, None for all."""
    deepest = 0
    for profile in profiles:
        if profile.releases is None:
            return None
        deepest = max(deepest, profile.releases)
    return deepest


def _usable(stored: StoredVersion | None, serial: int) -> bool:
    """Whether a stored release need not be asked for again at this serial of its project."""
    return stored is not None and (not stored.partial or stored.serial == serial)
