"""`scrapy crawl pypi`: names come from the simple index, where its serial differs from the store's."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from scrapy import Request

from pyf_scrapy.exceptions import FetchError, ParseError, UsageProblem
from pyf_scrapy.items import PackageItem
from pyf_scrapy.parsers.simple_index import parse_index
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.base import PackageSpider
from pyf_scrapy.store.index_file import IndexFile
from pyf_scrapy.sync.work_list import WorkList, work_list

logger = logging.getLogger(__name__)


#: An index and an offset into it.
Place = tuple[IndexFile, int]


class PypiSpider(PackageSpider):
    """Everything on PyPI that matches the profiles: a full crawl at first, the increment after that."""

    name = "pypi"
    known_arguments = arguments.COMMON | {"name", "full"}

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        targets = super().check_arguments(given, settings)
        arguments.flag("full", given.get("full"))
        if not targets:
            raise UsageProblem(
                "which packages? give -a profile=NAME (`scrapy profiles` lists them), -a classifier=... with "
                "-a collection=NAME, or set DEFAULT_PROFILE"
            )
        return targets

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        self.full = arguments.flag("full", given.get("full"))
        super().setup(given, targets)
        self.substring = canonicalize_name(given.get("name", ""))
        # name -> serial that is being asked for, or was and failed: not again in this run.
        self._asked_for: dict[str, int] = {}
        # Names whose answer has left the pipelines since the last comparison began.
        self._answered: set[str] = set()

    async def requests(self) -> AsyncIterator[Request]:
        """Work through the difference; when the index has become old, read it and compare again."""
        refresh = self.settings.getfloat("INDEX_REFRESH") or math.inf
        index = await self.read_index()
        work = await asyncio.to_thread(self.compute_work, index, full=self.full)
        self.report(index, work)
        places = _places(index, work)
        read_at = time.monotonic()
        while (entry := next(places, None)) is not None:
            if time.monotonic() - read_at >= refresh:
                newer = await self.compare_again()
                read_at = time.monotonic()
                if newer is not None:
                    # What is left differs in the new index, too; with `full` it may not differ at all.
                    places = itertools.chain(newer, [entry], places) if self.full else newer
                    continue
            index, place = entry
            normalized_name, _, serial = index.entry_at(place)
            if self._asked_for.get(normalized_name) == serial:
                continue
            request = self.project_request(normalized_name, serial=serial)
            if request is None:
                return
            self._asked_for[normalized_name] = serial
            yield request

    async def compare_again(self) -> Iterator[Place] | None:
        """What differs by now; None when the index cannot be read just now: the crawl has work enough."""
        try:
            index = await self.read_index()
        except (FetchError, ParseError) as error:
            logger.warning("%s; going on with the last one", error)
            return None
        # From here on the store answers for these; it may be read before it knows of later ones.
        for name in self._answered:
            self._asked_for.pop(name, None)
        self._answered.clear()
        work = await asyncio.to_thread(self.compute_work, index, full=False)
        logger.info("Read the index again: %d projects differ", len(work))
        return _places(index, work)

    def item_done(self, item: Any) -> None:
        super().item_done(item)
        if isinstance(item, PackageItem):
            self._answered.add(item.normalized_name)

    async def read_index(self) -> IndexFile:
        """The index as a file: as downloaded now, or the last one if the server says that it still holds.

        Raises FetchError, ParseError: nothing is changed by it.
        """
        file = IndexFile(self.session.data_dir / "index")
        header = await asyncio.to_thread(file.read_header)
        response = await self.pypi.index(header.etag if header is not None else None)
        self.count("pyf/index/read")
        if response.status == 304:
            self.count("pyf/index/unchanged")
            return file
        etag = (response.headers.get("ETag") or b"").decode("latin-1")
        skipped = await asyncio.to_thread(_write_index, file, response.body, etag)
        if skipped:
            self.crawler.stats.set_value("pyf/index/skipped", skipped)
            logger.warning("The index has %d entries whose names no project can have", skipped)
        return file

    def compute_work(self, index: IndexFile, *, full: bool) -> WorkList:
        """What differs between index and store; blocking, a second or so for a million names."""
        store, profiles = self.session.store, self.session.profiles
        members: set[str] = set()
        wanted: set[str] = set()
        for profile in profiles:
            members.update(store.members(profile))
            wanted.update(store.candidates(profile, profile.releases))
        stored: Iterator[tuple[str, int]] = iter(()) if full else store.iter_serials()
        return work_list(
            index,
            stored,
            members=members,
            wanted=wanted,
            hinted=lambda name: any(profile.hinted(name) for profile in profiles),
            selected=(lambda name: self.substring in name) if self.substring else None,
        )

    def report(self, index: IndexFile, work: WorkList) -> None:
        stats = self.crawler.stats
        stats.set_value("pyf/projects/listed", work.listed)
        stats.set_value("pyf/projects/to_check", min(len(work), self.limit or len(work)))
        logger.info(
            "The index lists %d projects; %d to check (%d members, %d with a hinted name, %d others)",
            work.listed,
            len(work),
            len(work.members),
            len(work.hinted),
            len(work.rest),
        )


def _places(index: IndexFile, work: WorkList) -> Iterator[Place]:
    return ((index, place) for place in work)


def _write_index(file: IndexFile, body: bytes, etag: str) -> int:
    """Parse the index and keep it; returns the number of unusable entries. Raises FetchError, ParseError."""
    index = parse_index(body)
    if not index.projects:
        raise FetchError("the index lists no project: is PYPI_URL a PyPI?")
    if all(entry.serial is None for entry in index.projects):
        raise FetchError("the index has no serials (_last-serial): is PYPI_URL a PyPI?")
    file.write(
        ((canonicalize_name(entry.name), entry.name, entry.serial) for entry in index.projects),
        etag=etag or None,
        last_serial=index.last_serial,
        written_at=int(time.time()),
    )
    return index.skipped
