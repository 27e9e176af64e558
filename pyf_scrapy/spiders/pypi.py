"""`scrapy crawl pypi`: names come from the simple index, where its serial differs from the store's."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import math
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from scrapy import Request, signals

from pyf_scrapy.exceptions import FetchError, ParseError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.base import PackageSpider
from pyf_scrapy.spiders.index import Index, removals_refused
from pyf_scrapy.store.index_file import NO_SERIAL, IndexFile
from pyf_scrapy.sync.removal import SECOND_INDEX, IndexVerdict, is_tombstone
from pyf_scrapy.sync.staleness import Promise
from pyf_scrapy.sync.work_list import WorkList, work_list

if TYPE_CHECKING:
    from pyf_scrapy.spiders.shared_work import SharedWork

logger = logging.getLogger(__name__)


#: Stages of failures of projects that could not be fetched.
UNFETCHED = ("project", "stale")

#: An index and an offset into it.
Place = tuple[IndexFile, int]


class PypiSpider(PackageSpider):
    """Everything on PyPI that matches the profiles: a full crawl at first, the increment after that."""

    name = "pypi"
    known_arguments = arguments.COMMON | {"name", "full", "accept_removals"}

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        targets = super().check_arguments(given, settings)
        arguments.flag("full", given.get("full"))
        arguments.flag("accept_removals", given.get("accept_removals"))
        return arguments.required(targets)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        self.full = arguments.flag("full", given.get("full"))
        super().setup(given, targets)
        #: this worker's part of a crawl that others share, with REDIS_URL
        self.shared: SharedWork | None = None
        self.session.shared = redis_url(self.settings) is not None
        self.crawler.signals.connect(self.close_shared, signal=signals.spider_closed)
        self.accept_removals = arguments.flag("accept_removals", given.get("accept_removals"))
        self.index = Index(self.session, self.pypi, accept_smaller=self.accept_removals)
        self.substring = canonicalize_name(given.get("name", ""))
        # name -> serial that is being asked for, or was and failed: not again in this run.
        self._asked_for: dict[str, int] = {}
        # Those of them that were asked before the last comparison, whose work list may name them again; and
        # which of these have been answered since.
        self._asked_before: set[str] = set()
        self._answered_names: set[str] = set()
        # Names whose caches were stale for the whole of an earlier run.
        self._impatient: set[str] = set()
        self._packages = 0
        # What is asked although the index lacks it: packages that are doubted, and names of the queue.
        self._unlisted: list[Ask] = []
        self._queued_unlisted: list[str] = []

    async def requests(self) -> AsyncIterator[Request]:
        """Work through the difference; with REDIS_URL together with all who do the same."""
        self._impatient = await asyncio.to_thread(self._stuck)
        if self.session.shared:
            # With redis, which takes its time.
            from pyf_scrapy.queue.sharing import SharedQueue
            from pyf_scrapy.spiders.shared_work import SharedWork

            url = redis_url(self.settings)
            assert url is not None, "the session is shared by it"
            scope = await asyncio.to_thread(self._scope)
            self.shared = SharedWork(self, SharedQueue(url, str(self.name), scope))
        requests = self.shared.requests() if self.shared is not None else self._own_requests()
        async for request in requests:
            yield request

    def _scope(self) -> str:
        """What tells crawls apart that are no work of each other's: store, collections, what is asked for."""
        collections = sorted(profile.collection for profile in self.session.profiles)
        told = (self.session.store.store_id(), collections, self.substring, self.full)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:12]

    async def dirty_packages(self) -> AsyncIterator[Request]:
        """Of a shared crawl the leader passes them on, once for all."""
        if not self.session.shared:
            async for request in super().dirty_packages():
                yield request

    async def close_shared(self) -> None:
        """Let the other workers have what this one did not begin."""
        if self.shared is not None:
            await self.shared.close()

    async def _own_requests(self) -> AsyncIterator[Request]:
        """The whole difference; when the index has become old, it is read and compared again."""
        refresh = self.settings.getfloat("INDEX_REFRESH") or math.inf
        index = await self.read_index()
        work = await asyncio.to_thread(self.compute_work, index, full=self.full)
        self.report(work)
        await self.doubt(work)
        self.ask_queued()
        places = _places(index, work)
        read_at = time.monotonic()
        while True:
            # Removals first: what is gone may be malware.
            for ask in self.take_unlisted():
                request = self.project_request(ask)
                if request is None:
                    return
                yield request
            await self.supply(self._supplied(places, read_at + refresh))
            entry = next(places, None)
            if entry is None or self.stopping or self.is_limited:
                return
            newer = await self.compare_again()
            read_at = time.monotonic()
            # What is left differs in the new index, too; with `full` it may not differ at all.
            left = itertools.chain([entry], places)
            places = left if newer is None else itertools.chain(newer, left) if self.full else newer

    def _supplied(self, places: Iterator[Place], until: float) -> Iterator[Request]:
        """The requests for these places, most wanted first, and what is due, until `limit` or the moment."""
        while time.monotonic() < until and (entry := next(places, None)) is not None:
            index, place = entry
            normalized_name, _, serial = index.entry_at(place)
            if self._asked_for.get(normalized_name) == serial or normalized_name in self.open_asks:
                continue
            promise = Promise(serial=serial if serial != NO_SERIAL else None)
            request = self.project_request(Ask(normalized_name, promise))
            if request is None:
                return
            self._asked_for[normalized_name] = serial
            yield from self.due_requests()
            yield request

    async def compare_again(self) -> Iterator[Place] | None:
        """What differs by now; None when the index cannot be read just now."""
        index = await self.newer_index()
        if index is None:
            return None
        # From here on the store answers for these; it may be read before it knows of later ones.
        for name in self._answered_names:
            self._asked_for.pop(name, None)
        self._answered_names.clear()
        self._asked_before = set(self._asked_for)
        work = await asyncio.to_thread(self.compute_work, index, full=False)
        logger.info("Read the index again: %d projects differ", len(work))
        await self.doubt(work)
        self.ask_queued()
        return _places(index, work)

    async def newer_index(self) -> IndexFile | None:
        """The index in the middle of a crawl; None when it cannot be read just now: there is work enough."""
        try:
            return await self.read_index()
        except (FetchError, ParseError) as error:
            logger.warning("%s; going on with the last one", error)
            return None

    async def read_index(self) -> IndexFile:
        """The index that the work is computed from. Raises FetchError, ParseError: nothing is changed."""
        read = await self.index.read()
        self.count("pyf/index/read")
        if read.unchanged:
            self.count("pyf/index/unchanged")
        if read.skipped:
            self.crawler.stats.set_value("pyf/index/skipped", read.skipped)
            logger.warning("The index has %d entries whose names no project can have", read.skipped)
        if read.verdict is not IndexVerdict.ACCEPTED:
            self.count("pyf/index/refused")
            logger.warning("PyPI's index was refused, going on with the last one: %s", read.refusal)
            if read.verdict is IndexVerdict.SMALLER:
                self.complaint = self.complaint or FetchError(read.refusal)
        return read.file

    def compute_work(self, index: IndexFile, *, full: bool) -> WorkList:
        """What differs between index and store; blocking, a second or so for a million names."""
        store, profiles = self.session.store, self.session.profiles
        survey = store.survey(profiles)
        packages = set(store.package_names())
        self._packages = len(packages)
        queued = [name for name, _, _ in store.queued() if self.substring in name]
        failures = store.failures()
        rows = [row for row in failures if row.stage in UNFETCHED]
        failed = {row.normalized_name for row in rows}
        # What failed later may be newer than this index.
        before = index.header.written_at - SECOND_INDEX
        unseen = {row.normalized_name for row in rows if row.last_at < before}
        work = work_list(
            _unless_seen(index, unseen) if unseen else index,
            survey,
            members=survey.members,
            wanted=survey.wanted,
            queued=set(queued),
            packages=packages,
            failed=failed,
            last_serial=index.header.last_serial,
            hinted=lambda name: any(profile.hinted(name) for profile in profiles),
            selected=(lambda name: self.substring in name) if self.substring else None,
            full=full,
        )
        failing = {row.normalized_name for row in failures}
        self._sort_queued(index, work, sorted(queued, key=failing.__contains__))
        if self.well is None:
            differ = {index.entry_at(place)[0] for place in (*work.queued, *work.members)}
            self.well = next((name for name in survey.members if name not in differ), None)
        # What is left was seen nowhere in the index: nobody will ask for it again.
        for stage in UNFETCHED:
            store.clear_failures(unseen, stage)
        return work

    def _sort_queued(self, index: IndexFile, work: WorkList, queued: list[str]) -> None:
        """Put what is queued in this order, which is that of the queue, listed or not."""
        places = {index.entry_at(place)[0]: place for place in work.queued}
        work.queued = array("Q", (places[name] for name in queued if name in places))
        self._queued_unlisted = [name for name in queued if name not in places]
        self.queued.update(queued)

    async def doubt(self, work: WorkList) -> None:
        """Ask about packages that the index does not list; tombstones for those that a second index lacks,
        too. Nothing is concluded from an index that was refused."""
        if not self.index.is_current or not work.unlisted:
            return
        store, read_at = self.session.store, self.index.read_at
        vanished = await asyncio.to_thread(store.vanished)
        buried = [n for n in work.unlisted if n in vanished and is_tombstone(vanished[n], read_at)]
        if buried:
            removed = await asyncio.to_thread(store.bury, buried, read_at)
            self.crawler.stats.inc_value("pyf/packages/removed", removed)
        doubted = {name: serial for name, serial in work.unlisted.items() if name not in vanished}
        refusal = removals_refused(len(doubted), self._packages)
        if refusal is not None and not self.accept_removals:
            self.complaint = refusal
            logger.error("%s", refusal)
            return
        self._unlisted = [
            Ask(name, unlisted=serial) for name, serial in doubted.items() if name not in self.open_asks
        ]

    def ask_queued(self) -> None:
        """Ask about names of the queue that the index does not list, as `crawl project` does."""
        doubted = {ask.name for ask in self._unlisted}
        for name in self._queued_unlisted:
            if name not in doubted and name not in self.open_asks and name not in self._asked_for:
                self._unlisted.append(Ask(name))
                self._asked_for[name] = NO_SERIAL

    def patience_for(self, ask: Ask) -> float:
        """No patience with what was stale for the whole of an earlier run, until its next try is due."""
        return 0.0 if ask.name in self._impatient else self.patience

    def take_unlisted(self) -> list[Ask]:
        """What `doubt` and `ask_queued` want to be asked, and not again."""
        asks, self._unlisted = self._unlisted, []
        return asks

    def failed_since(self, moment: int) -> set[str]:
        """Projects that could not be fetched since then (epoch seconds); blocking."""
        rows = self.session.store.failures()
        return {row.normalized_name for row in rows if row.stage in UNFETCHED and row.last_at >= moment}

    def _stuck(self) -> set[str]:
        now = time.time()
        failures = self.session.store.failures()
        return {row.normalized_name for row in failures if row.stage == "stale" and row.next_try > now}

    def item_left(self, item: PackageItem) -> None:
        super().item_left(item)
        # A million names would not fit into 200 MB: a work list names each once, but for what `full` keeps of
        # earlier ones.
        if self.shared is not None:
            return
        if self.full or item.normalized_name in self._asked_before:
            self._answered_names.add(item.normalized_name)
        else:
            self._asked_for.pop(item.normalized_name, None)

    def report(self, work: WorkList) -> None:
        stats = self.crawler.stats
        total = len(work) + len(self._queued_unlisted)
        stats.set_value("pyf/projects/listed", work.listed)
        stats.set_value("pyf/projects/to_check", min(total, self.limit or total))
        logger.info(
            "The index lists %d projects; %d to check (%d queued, %d members, %d with a hinted name, "
            "%d others)",
            work.listed,
            total,
            len(work.queued) + len(self._queued_unlisted),
            len(work.members),
            len(work.hinted),
            len(work.rest),
        )


def _unless_seen(index: IndexFile, names: set[str]) -> Iterator[tuple[str, int, int]]:
    """The index; takes from `names` what it lists."""
    for entry in index:
        names.discard(entry[0])
        yield entry


def _places(index: IndexFile, work: WorkList) -> Iterator[Place]:
    return ((index, place) for place in work)
