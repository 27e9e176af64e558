"""From PyPI's answer about a project to its item: what a member lacks is fetched, its facts are stored."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from scrapy.http import Response

from pyf_scrapy.exceptions import FetchError, PyfError, StaleError
from pyf_scrapy.items import PackageItem, stored_item
from pyf_scrapy.metadata.releases import listed_versions
from pyf_scrapy.parsers.project_json import File, Metadata, ProjectRecord, parse_project
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version
from pyf_scrapy.profiles import Profile
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.fetching import PyPI, expect_ok
from pyf_scrapy.store import EMPTY, VANISHED, PackageFacts, ProjectRow, StoredPackage, StoredVersion
from pyf_scrapy.sync.removal import QUARANTINED, has_vanished
from pyf_scrapy.sync.staleness import is_stale

logger = logging.getLogger(__name__)


class Collected(NamedTuple):
    """What an answer came to: an item, or None when it says nothing new; `fresh` unless it breaks the
    promise that was made about it."""

    item: PackageItem | None
    fresh: bool = True


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

    async def collect(self, response: Response, ask: Ask) -> Collected:
        """What the project's JSON tells; facts of members are stored. Raises FetchError, ParseError."""
        if response.status == 404:
            return await self._not_found(ask)
        expect_ok(response)
        promise = ask.promise
        record = parse_project(response.body, with_files=promise.version is not None)
        if record.normalized_name != ask.name:
            raise FetchError(f"the answer is about {record.normalized_name!r}")
        serial = _serial(record, response)
        versions = None if promise.version is None else listed_versions(record)
        fresh = not is_stale(promise, serial, versions)
        if not fresh:
            self.count("pyf/projects/stale")
            logger.info("%s: the answer (serial %d) is older than promised (%s)", ask.name, serial, promise)
        if not fresh or ask.unlisted:
            known = await self._known(ask.name)
            if known is not None and serial <= known.serial:
                return Collected(None, fresh)
        if self._matching(ask.name, record.metadata.classifiers):
            record = parse_project(response.body)
        return Collected(await self._item(record, serial), fresh)

    async def collect_round(self, ask: Ask) -> PackageItem:
        """The item made of the Simple page and the latest release's own JSON, which PyPI's caches keep apart
        from the project's JSON (rule R2).

        Raises StaleError when these are no newer, FetchError, ParseError.
        """
        page = await self.pypi.simple_page(ask.name)
        if page is None or page.serial is None or is_stale(ask.promise, page.serial, page.versions):
            raise StaleError(f"PyPI's caches hold an older answer than promised ({_said(ask)})")
        self.count("pyf/projects/round")
        if not page.files and not page.versions:
            return await self._empty(page, page.serial)
        package = await asyncio.to_thread(self.session.store.load_package, ask.name)
        files = files_by_version(page)
        if package is not None:
            # A page does not list releases without files.
            listed = package.project.files or {}
            files |= {version: () for version, known in listed.items() if not known and version not in files}
        return await self._item(await self._assembled(page, files, package), page.serial)

    async def _assembled(
        self, page: SimplePage, files: dict[str, tuple[File, ...]], package: StoredPackage | None
    ) -> ProjectRecord:
        """A project's record from its page and from the JSON of its latest release."""
        whole = ProjectRecord(
            name=page.name,
            normalized_name=page.name,
            version=next(iter(files)),
            serial=page.serial,
            metadata=Metadata(name=page.name, version=next(iter(files))),
            files=files,
        )
        latest = listed_versions(whole)[0]
        release = await self.pypi.release(page.name, latest)
        if release is None:
            raise StaleError(f"PyPI's caches hold an older answer, and no JSON of {latest}")
        known = package.project if package is not None else whole
        fuller = {f.filename: f for files in (known.files or {}).values() for f in files}
        fuller |= {file.filename: file for file in release.files}
        return msgspec.structs.replace(
            whole,
            files={
                version: tuple(_fuller(file, fuller.get(file.filename)) for file in of_page)
                for version, of_page in files.items()
            },
            name=release.name,
            version=latest,
            metadata=release.metadata,
            vulnerabilities=release.vulnerabilities,
            organization=known.organization,
            roles=known.roles,
        )

    async def _item(self, record: ProjectRecord, serial: int) -> PackageItem:
        profiles = self._matching(record.normalized_name, record.metadata.classifiers)
        if profiles:
            return await self._member(record, serial, profiles)
        return PackageItem(
            name=record.name,
            normalized_name=record.normalized_name,
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
        await self.settled(name)
        if problems:
            self.count("pyf/packages/failed")
            await self.session.fail(name, "release", *problems)
        else:
            await writer.clear([name], "release")
        item = await asyncio.to_thread(stored_item, self.session.store, name)
        assert item is not None, "it was saved a moment ago"
        return dataclasses.replace(item, stored=False, failures=problems)

    async def settled(self, name: str) -> None:
        """Forget that a project could not be fetched."""
        for stage in ("project", "stale"):
            await self.session.writer.clear([name], stage)

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
                found[version] = None if answer is None else answer.metadata
                self.count("pyf/releases/partial" if answer is None else "pyf/releases/fetched")
        return found, problems

    async def _not_found(self, ask: Ask) -> Collected:
        """A 404 on the JSON: no release, in quarantine, gone, or a cache's wrong 404. The Simple page tells.

        Raises FetchError, ParseError.
        """
        page = await self.pypi.simple_page(ask.name)
        marker = page.status if page is not None else None
        if ask.unlisted or marker == QUARANTINED:
            if not has_vanished(404, 404 if page is None else 200, marker):
                return Collected(None)
            return Collected(await self._vanished(ask.name, page))
        if page is None:
            if ask.keys:
                return Collected(None, fresh=False)  # a feed may be ahead of everything else
            if ask.is_promised or ask.refresh:
                # Deleted since the index was made, or one of the two 404s is wrong: the next index tells.
                self.count("pyf/projects/gone")
                await self.session.fail(ask.name, "project", "HTTP 404: PyPI lists it and does not have it")
                return Collected(None)
            raise FetchError("HTTP 404: PyPI has no such project")
        if page.files or page.versions:
            if ask.is_promised:
                self.count("pyf/projects/stale")
                return Collected(None, fresh=False)
            raise FetchError("HTTP 404 although the simple index has releases of it")
        if page.serial is None:
            raise FetchError("HTTP 404, and its simple page has no serial")
        fresh = not is_stale(ask.promise, page.serial, None)
        return Collected(await self._empty(page, page.serial), fresh)

    async def _empty(self, page: SimplePage, serial: int) -> PackageItem:
        """The item of a project without releases."""
        self.count("pyf/projects/empty")
        known = await self._known(page.name)
        name = known.name if known is not None else page.name  # a page has no display name
        return PackageItem(name, page.name, serial, classifiers=(), status=EMPTY)

    async def _vanished(self, name: str, page: SimplePage | None) -> PackageItem:
        """The item of a package that PyPI does not have any more; its documents go, its facts stay."""
        self.count("pyf/packages/vanished")
        known = await self._known(name)
        serial = max(known.serial if known else 0, (page.serial if page else None) or 0)
        return PackageItem(known.name if known else name, name, serial, classifiers=(), status=VANISHED)

    async def _known(self, name: str) -> ProjectRow | None:
        return await asyncio.to_thread(self.session.store.project, name)

    def _matching(self, normalized_name: str, classifiers: tuple[str, ...]) -> list[Profile]:
        """The crawl's profiles that a package with these classifiers belongs to."""
        return [p for p in self.session.profiles if p.matches(normalized_name, classifiers)]


def _fuller(file: File, known: File | None) -> File:
    """A file of a Simple page with what only the JSON tells; whether it is yanked is the page's word."""
    if known is None:
        return file
    return msgspec.structs.replace(known, yanked=file.yanked, yanked_reason=file.yanked_reason)


def _said(ask: Ask) -> str:
    serial, version = ask.promise
    return f"serial {serial}" if version is None else f"release {version}"


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
