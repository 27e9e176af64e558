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

from pyf_scrapy.exceptions import FetchError, NoProjectError, PyfError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.releases import listed_versions
from pyf_scrapy.parsers.project_json import (
    File,
    Metadata,
    ProjectOutline,
    ProjectRecord,
    parse_outline,
    parse_project,
)
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version
from pyf_scrapy.profiles import Profile
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.fetching import PyPI, etag_of, expect_ok
from pyf_scrapy.spiders.other_way import OtherWay
from pyf_scrapy.store import EMPTY, GONE, VANISHED, PackageFacts, ProjectRow, StoredVersion
from pyf_scrapy.sync.removal import QUARANTINED, has_vanished, is_replaced, returns
from pyf_scrapy.sync.staleness import is_stale, is_too_early

logger = logging.getLogger(__name__)


class Collected(NamedTuple):
    """What an answer came to: an item, or None when it says nothing new; `fresh` unless it breaks the
    promise that was made about it."""

    item: PackageItem | None
    fresh: bool = True


class _Stored(NamedTuple):
    release: StoredVersion
    files: tuple[File, ...]


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
        #: packages whose JSON and page were 404 in a refresh: only an index can tell whether they are gone
        self.doubted: set[str] = set()

    async def collect(self, response: Response, ask: Ask) -> Collected:
        """What the project's JSON tells; facts of members are stored. Raises FetchError, ParseError."""
        if response.status == 404:
            return await self._not_found(ask)
        expect_ok(response)
        promise = ask.promise
        outline = parse_outline(response.body)
        if outline.normalized_name != ask.name:
            raise FetchError(f"the answer is about {outline.normalized_name!r}")
        serial = _serial(outline.serial, response)
        # Of most projects nothing else is of interest.
        record = None if promise.version is None else parse_project(response.body)
        fresh = not is_stale(promise, serial, None if record is None else listed_versions(record))
        if not fresh:
            self.count("pyf/projects/stale")
            logger.info("%s: the answer (serial %d) is older than promised (%s)", ask.name, serial, promise)
        profiles = self._matching(ask.name, outline.classifiers)
        if profiles or not fresh or ask.unlisted is not None:
            known = await self._known(ask.name)
            if known is not None and _says_nothing_new(known, serial, ask, fresh=fresh):
                return Collected(None, fresh)
        if not profiles:
            return Collected(_stranger(outline, serial, promise.serial), fresh)
        if record is None:
            record = parse_project(response.body)
        kept = fresh and promise.serial is not None
        item = await self._item(
            record, serial, profiles, promised=promise.serial, etag=etag_of(response), kept=kept
        )
        return Collected(item, fresh)

    async def collect_round(self, ask: Ask) -> PackageItem:
        """The item of what PyPI tells elsewhere, when its JSON stays older than promised.

        Raises StaleError when that is no newer, FetchError, ParseError.
        """
        record = await OtherWay(self.session.store, self.pypi).record(ask)
        self.count("pyf/projects/round")
        serial, promised = record.serial or 0, ask.promise.serial
        profiles = self._matching(ask.name, record.metadata.classifiers)
        if not profiles:
            return _stranger(record.outline, serial, promised)
        return await self._item(record, serial, profiles, promised=promised, etag=None, kept=True)

    async def _item(
        self,
        record: ProjectRecord,
        serial: int,
        profiles: list[Profile],
        *,
        promised: int | None,
        etag: str | None,
        kept: bool,
    ) -> PackageItem:
        """`kept`: the index promised this serial, so nothing stale is left."""
        item = await self._member(record, serial, profiles, promised, etag)
        for stage in ("project", "stale") if kept else ("project",):
            await self.session.writer.clear([item.normalized_name], stage)
        return item

    async def _member(
        self,
        record: ProjectRecord,
        serial: int,
        profiles: list[Profile],
        promised: int | None,
        etag: str | None,
    ) -> PackageItem:
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
        await writer.save(PackageFacts(record, serial, found, int(time.time()), promised, etag))
        if problems:
            self.count("pyf/packages/failed")
            await self.session.fail(name, "release", *problems)
        else:
            await writer.clear([name], "release")
        item = await asyncio.to_thread(self.session.stored_item, name)
        assert item is not None, "it was saved a moment ago"
        return dataclasses.replace(item, stored=False, failures=problems)

    async def _missing(
        self, record: ProjectRecord, serial: int, profiles: list[Profile]
    ) -> tuple[dict[str, Metadata | None], list[str]]:
        """Metadata of the wanted releases that the store lacks, and what went wrong.

        The latest release needs no request: the project's JSON has its metadata. One that was a 404 when
        its own JSON was last asked for is asked for again when the project's serial has moved.
        """
        name = record.normalized_name
        stored = {} if self.full else await asyncio.to_thread(self._stored, name)
        files = record.files or {}
        missing = [
            version
            for version in listed_versions(record)[: _depth(profiles)]
            if version != record.version and not _usable(stored.get(version), serial, files.get(version, ()))
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
            elif answer is None and is_too_early(files.get(version, ()), time.time()):
                problems.append(f"release {version}: HTTP 404, but it was published a moment ago")
            elif answer is None:
                found[version] = None
                self.count("pyf/releases/partial")
            elif is_replaced(answer.files, files.get(version, ())):
                problems.append(f"release {version}: a cache tells of one that was deleted")
            else:
                found[version] = answer.metadata
                self.count("pyf/releases/fetched")
        return found, problems

    def _stored(self, name: str) -> dict[str, _Stored]:
        """The releases that the store has, with their files."""
        store = self.session.store
        record = next(store.latest_records([name]), None)
        if record is None:
            return {}
        files = record.files or {}
        versions = store.stored_versions(name)
        return {version: _Stored(known, files.get(version, ())) for version, known in versions.items()}

    async def _not_found(self, ask: Ask) -> Collected:
        """A 404 on the JSON: no release, in quarantine, gone, or a cache's wrong 404. The Simple page tells.

        Raises FetchError, ParseError.
        """
        page = await self.pypi.simple_page(ask.name)
        if page is None:
            return await self._nowhere(ask)
        if ask.unlisted is not None:
            return Collected(await self._vanished(ask.name, ask.unlisted, page, older=False))
        known = await self._known(ask.name)
        serial = page.serial or 0
        if page.status == QUARANTINED:
            # Without an index as the witness an old page may tell of a quarantine that is over.
            older = serial < max(known.serial if known else 0, ask.promise.serial or 0)
            item = await self._vanished(ask.name, known.serial, page, older=older) if known else None
            return Collected(item, not (older and ask.is_promised))
        if page.files or page.versions:
            if ask.is_promised:
                self.count("pyf/projects/stale")
                return Collected(None, fresh=False)
            raise FetchError("HTTP 404 although the simple index has releases of it")
        if page.serial is None:
            raise FetchError("HTTP 404, and its simple page has no serial")
        if is_stale(ask.promise, serial, page.versions or ()):
            return Collected(None, fresh=False)
        if known is not None and _says_nothing_new(known, serial, ask, fresh=True):
            return Collected(None)
        self.count("pyf/projects/empty")
        name = known.name if known is not None else page.name  # a page has no display name
        promised = ask.promise.serial
        item = PackageItem(name, page.name, serial, classifiers=(), status=EMPTY, promised=promised)
        return Collected(item)

    async def _nowhere(self, ask: Ask) -> Collected:
        """Neither JSON nor page: gone, if an index says so, too. Raises FetchError."""
        if ask.unlisted is not None:
            return Collected(await self._vanished(ask.name, ask.unlisted, None, older=False))
        if ask.is_announced:
            return Collected(None, fresh=False)
        if ask.is_promised or ask.refresh:
            # Deleted since the index was made, or one of the two 404s is wrong: the next index tells.
            self.count("pyf/projects/gone")
            if ask.refresh:
                self.doubted.add(ask.name)
            await self.session.fail(ask.name, "project", "HTTP 404, which PyPI's next index has to confirm")
            return Collected(None)
        raise NoProjectError("HTTP 404: PyPI has no such project")

    async def _vanished(
        self, name: str, serial: int, page: SimplePage | None, *, older: bool
    ) -> PackageItem | None:
        """The item of a package that PyPI does not have any more: its documents go, its facts stay.

        `serial` is the one stored when it was missed: what was stored since then is not touched.
        """
        status, marker = (404, None) if page is None else (200, page.status)
        if not has_vanished(404, status, marker, older=older):
            return None
        known = await self._known(name)
        if known is None or not known.revision or known.status in GONE:
            return None
        self.count("pyf/packages/vanished")
        serial = max(serial, (page.serial if page else None) or 0)
        return PackageItem(known.name, name, serial, classifiers=(), status=VANISHED)

    async def _known(self, name: str) -> ProjectRow | None:
        return await asyncio.to_thread(self.session.store.project, name)

    def _matching(self, normalized_name: str, classifiers: tuple[str, ...]) -> list[Profile]:
        """The crawl's profiles that a package with these classifiers belongs to."""
        return [p for p in self.session.profiles if p.matches(normalized_name, classifiers)]


def _stranger(outline: ProjectOutline, serial: int, promised: int | None) -> PackageItem:
    """The item of a project that is of no profile."""
    return PackageItem(
        name=outline.name,
        normalized_name=outline.normalized_name,
        serial=serial,
        classifiers=outline.classifiers,
        promised=promised,
    )


def _says_nothing_new(known: ProjectRow, serial: int, ask: Ask, *, fresh: bool) -> bool:
    """Whether an answer with this serial is no news: older than what is stored, or how a cache still shows a
    package that vanished."""
    if (not fresh or ask.unlisted is not None) and serial <= known.serial:
        return True
    return known.status in GONE and not returns(known.serial, serial, ask.promise.serial)


def _serial(told: int | None, response: Response) -> int:
    """The serial that the answer itself carries (rule R1). Raises FetchError: without it nobody can tell
    whether the answer is up to date."""
    if told is not None:
        return told
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


def _usable(stored: _Stored | None, serial: int, files: tuple[File, ...]) -> bool:
    """Whether a stored release, with these files at this serial of its project, need not be asked for."""
    if stored is None or is_replaced(stored.files, files):
        return False
    # Without files the project's JSON tells neither whether it is yanked nor whether it is the same one.
    is_told = bool(files) and not stored.release.partial
    return is_told or stored.release.serial == serial
