"""`PackageSpider`: everything about fetching a project. The spiders only say where names come from."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import msgspec
import scrapy
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, IgnoreRequest
from scrapy.http import Response
from twisted.python.failure import Failure

from pyf_scrapy.exceptions import FetchError, ParseError, PyfError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.releases import combine, listed_versions
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord, parse_project
from pyf_scrapy.parsers.simple_index import files_by_version
from pyf_scrapy.profiles import Profile, unknown_classifiers
from pyf_scrapy.session import Session, Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.fetching import LARGEST_DOCUMENT, InlineFetch, PyPI, expect_ok, no_answer
from pyf_scrapy.store import PackageFacts, StoredPackage, StoredVersion

logger = logging.getLogger(__name__)

#: So many packages in a row without any answer mean that PyPI is down, not that they are broken.
SOURCE_DOWN_AFTER = 20


class PackageSpider(scrapy.Spider):
    """Base of the spiders that fetch projects from PyPI and emit one PackageItem for each.

    A spider overrides `requests`. Dirty packages of its profiles are passed on first, so that nothing
    stored stays unindexed. `problem` is the error that ended the crawl, if one did.
    """

    known_arguments: ClassVar[frozenset[str]] = arguments.COMMON

    arguments: Mapping[str, str]
    session: Session
    pypi: PyPI
    full = False
    problem: PyfError | None = None

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        """The targets of a crawl with these arguments. Raises UsageProblem, before anything is opened."""
        arguments.refuse_unknown(str(cls.name), given, cls.known_arguments)
        arguments.positive("limit", given.get("limit"))
        return arguments.targets(given, settings)

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        # scrapyd adds arguments of its own, which begin with an underscore.
        given = {name: str(value) for name, value in kwargs.items() if not name.startswith("_")}
        targets = cls.check_arguments(given, crawler.settings)
        spider = super().from_crawler(crawler)
        spider.setup(given, targets)
        return spider

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        """Take checked arguments; nothing is opened yet."""
        settings = self.settings
        self.arguments = given
        self.limit = arguments.positive("limit", given.get("limit"))
        self.session = Session(
            spider=self.name, settings=settings, targets=targets, now=datetime.now(UTC).date()
        )
        self.pypi = PyPI(
            str(settings["PYPI_URL"]),
            InlineFetch(self.crawler, settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")),
        )
        for target in targets:
            for warning in (*target.profile.warnings, *unknown_classifiers(target.profile)):
                logger.warning("profile %s: %s", target.profile.key, warning)
        self._asked = 0
        self._fruitless = 0
        self._passing_on: set[str] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._places = asyncio.Semaphore(settings.getint("CONCURRENT_DIRTY_PACKAGES"))
        for signal in (signals.item_scraped, signals.item_dropped, signals.item_error):
            self.crawler.signals.connect(self.item_done, signal=signal)

    # -- where packages come from -----------------------------------------------------------------

    async def start(self) -> AsyncIterator[Any]:
        """Pass on dirty packages, then yield `requests` as fast as the engine takes them."""
        try:
            async for item in self.dirty_packages():
                yield item
            async for request in self.requests():
                while self.crawler.engine.needs_backout():
                    await self.crawler.signals.wait_for(signals.scheduler_empty)
                yield request
        except PyfError as error:
            self.problem = error
            logger.error("%s", error)
            raise CloseSpider(reason="failed") from None

    def requests(self) -> AsyncIterator[Request]:
        """Requests made by `project_request`, most wanted first. Raises PyfError to end the crawl."""
        raise NotImplementedError(f"{type(self).__name__} must say where names come from")

    async def dirty_packages(self) -> AsyncIterator[PackageItem]:
        """Packages whose stored facts are not in the index yet, a few at a time in the pipelines."""
        store = self.session.store
        seen: set[str] = set()
        for profile in self.session.profiles:
            names = await asyncio.to_thread(list, store.dirty(profile.collection, profile))
            if names:
                logger.info("%s: %d stored packages are not in the index yet", profile.collection, len(names))
            for name in names:
                if name in seen:
                    continue
                seen.add(name)
                package = await asyncio.to_thread(store.load_package, name)
                if package is not None:
                    await self._places.acquire()
                    self._passing_on.add(name)
                    self.count("pyf/packages/passed_on")
                    yield self.item(package)

    def item_done(self, item: Any) -> None:
        """An item has left the pipelines: in the index, dropped or failed."""
        if isinstance(item, PackageItem) and item.normalized_name in self._passing_on:
            self._passing_on.discard(item.normalized_name)
            self._places.release()

    def project_request(self, normalized_name: str, *, serial: int | None = None) -> Request | None:
        """The request for a project's JSON, or None when `limit` is reached.

        `serial` is what the index promised.
        """
        if self.limit is not None and self._asked >= self.limit:
            return None
        self._asked += 1
        return Request(
            self.pypi.project_url(normalized_name),
            callback=self.parse_project,
            errback=self.project_failed,
            cb_kwargs={"normalized_name": normalized_name, "promised": serial},
            meta={"handle_httpstatus_all": True, "download_maxsize": LARGEST_DOCUMENT},
            dont_filter=True,
        )

    # -- answers ----------------------------------------------------------------------------------

    async def parse_project(
        self, response: Response, normalized_name: str, promised: int | None = None
    ) -> AsyncIterator[PackageItem]:
        """A project's JSON -> one PackageItem, or a failure in the store."""
        self.count("pyf/projects/fetched")
        try:
            item = await self.collect(response, normalized_name, promised)
        except (FetchError, ParseError) as error:
            await self.failed(normalized_name, error)
        else:
            self._fruitless = 0
            yield item
        self.count("pyf/projects/done")

    async def project_failed(self, failure: Failure) -> None:
        """No answer at all (refused, timed out, too large, cut off): a failure in the store."""
        if not isinstance(failure.value, IgnoreRequest):
            name = failure.request.cb_kwargs["normalized_name"]  # type: ignore[attr-defined]  # Scrapy sets it
            await self.failed(name, no_answer(failure.value))
        self.count("pyf/projects/done")

    async def collect(self, response: Response, normalized_name: str, promised: int | None) -> PackageItem:
        """The item that an answer makes; facts of members are stored. Raises FetchError, ParseError."""
        if response.status == 404:
            return await self.collect_without_releases(normalized_name)
        expect_ok(response)
        record = parse_project(response.body, with_files=False)
        if record.normalized_name != normalized_name:
            raise FetchError(f"the answer is about {record.normalized_name!r}")
        serial = _serial(record, response, promised)
        if promised is not None and serial < promised:
            self.count("pyf/projects/stale")
            logger.info("%s: the answer is older than the index (%d < %d)", normalized_name, serial, promised)
        profiles = self.matching(normalized_name, record.metadata.classifiers)
        if profiles:
            return await self.collect_member(parse_project(response.body), serial, profiles)
        return PackageItem(
            name=record.name,
            normalized_name=normalized_name,
            serial=serial,
            classifiers=record.metadata.classifiers,
        )

    async def collect_member(
        self, record: ProjectRecord, serial: int, profiles: list[Profile]
    ) -> PackageItem:
        """Store a package of some profile, with the releases that the store lacks, and make its item."""
        name = record.normalized_name
        if record.files is None:
            page = await self.pypi.simple_page(name)
            record = msgspec.structs.replace(record, files=files_by_version(page) if page is not None else {})
        found, problems = await self.fetch_missing(record, serial, profiles)
        writer = self.session.writer
        await writer.save(PackageFacts(project=record, serial=serial, releases=found, at=_now()))
        await writer.clear([name], "project")
        if problems:
            self.count("pyf/packages/failed")
            await writer.fail(name, "release", "; ".join(problems[:5]), _now())
        else:
            await writer.clear([name], "release")
        package = await asyncio.to_thread(self.session.store.load_package, name)
        assert package is not None, "it was saved a moment ago"
        item = self.item(package)
        item.failures = problems
        return item

    async def fetch_missing(
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

    async def collect_without_releases(self, normalized_name: str) -> PackageItem:
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

    async def failed(self, normalized_name: str, error: PyfError) -> None:
        """Note a package that could not be fetched; end the crawl when nothing answers any more."""
        if not self.crawler.engine.running:
            return
        self.count("pyf/packages/failed")
        logger.warning("%s: %s", normalized_name, error)
        await self.session.writer.fail(normalized_name, "project", str(error), _now())
        self._fruitless = self._fruitless + 1 if isinstance(error, FetchError) and error.transport else 0
        if self._fruitless == SOURCE_DOWN_AFTER:
            self.end(
                FetchError(
                    f"{self.pypi.base} does not answer ({error}); gave up after {SOURCE_DOWN_AFTER} packages "
                    "in a row, run the same command again later"
                ),
                reason="source_down",
            )

    def end(self, error: PyfError, *, reason: str) -> None:
        """End the crawl because of one error: one line in the log, what is under way is given up."""
        if self.problem is not None:
            return
        self.problem = error
        logger.error("%s", error)
        # Not awaited: closing waits for the callback or pipeline that calls this.
        closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason=reason))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    # -- small things -----------------------------------------------------------------------------

    def matching(self, normalized_name: str, classifiers: tuple[str, ...]) -> list[Profile]:
        """The crawl's profiles that a package with these classifiers belongs to."""
        return [p for p in self.session.profiles if p.matches(normalized_name, classifiers)]

    def item(self, package: StoredPackage) -> PackageItem:
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

    def count(self, key: str) -> None:
        self.crawler.stats.inc_value(key)


def _serial(record: ProjectRecord, response: Response, promised: int | None) -> int:
    """The serial that the answer itself carries (rule R1); what the index promised only if it has none."""
    if record.serial is not None:
        return record.serial
    header = (response.headers.get("X-PyPI-Last-Serial") or b"").strip()
    if header.isdigit() and len(header) < 19:
        return int(header)
    return promised or 0


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


def _now() -> int:
    return int(time.time())
