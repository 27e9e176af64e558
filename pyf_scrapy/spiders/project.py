"""`scrapy crawl project`: names come from the command line, a requirements file, or are those indexed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scrapy import Request, signals
from scrapy.http import Response

from pyf_scrapy.exceptions import FetchError, ParseError, UsageProblem
from pyf_scrapy.items import PackageItem
from pyf_scrapy.parsers.names import package_names
from pyf_scrapy.parsers.requirements_txt import requirement_names
from pyf_scrapy.profiles import Profile
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.base import SUSPICIOUS_AFTER, PackageSpider
from pyf_scrapy.spiders.handing_over import covered
from pyf_scrapy.spiders.index import Index, listed, removals_refused
from pyf_scrapy.spiders.queue_reader import AGAIN, QueueReader
from pyf_scrapy.spiders.verifying import Verifier
from pyf_scrapy.sync.refresh import due
from pyf_scrapy.sync.staleness import FIRST_DELAY, Promise

logger = logging.getLogger(__name__)

#: Stages of failures after which a share of a refresh passes a package over until its next try.
UNANSWERED = frozenset({"project", "stale", "refresh"})


class ProjectSpider(PackageSpider):
    """The packages that it is told: without profile or classifier they are all indexed.

    With `refresh` all members of the collections are asked about again, with conditional requests: what PyPI
    changes without a new serial (archived, quarantined, advisories, organization) is found in no other way.
    A collection of names has no other crawl that reads the index: here it is read for those that seem gone.
    """

    name = "project"
    known_arguments = arguments.COMMON | {
        *("names", "requirements", "refresh", "share", "accept_removals", "follow")
    }

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        refresh = arguments.flag("refresh", given.get("refresh"))
        arguments.share("share", given.get("share"))
        arguments.flag("accept_removals", given.get("accept_removals"))
        for argument in ("share", "accept_removals"):
            if not refresh and argument in given:
                raise UsageProblem(f"{argument}= is about a refresh: give -a refresh=1, too")
        # Asked for by name: the default profile does not decide.
        follow = arguments.flag("follow", given.get("follow"))
        by_default = (refresh or follow) and "collection" not in given
        default = settings.get("DEFAULT_PROFILE") if by_default else None
        targets = super().check_arguments(given, {**settings, "DEFAULT_PROFILE": default})
        if follow:
            _check_follow(given, settings, refresh=refresh)
            return arguments.required(targets)
        names = () if refresh else _names(given)
        if refresh and (given.get("names") or given.get("requirements")):
            raise UsageProblem(
                "refresh= asks about everything indexed; give no names= or requirements= with it"
            )
        if targets:
            return targets
        collection = given.get("collection") or settings.get("TYPESENSE_COLLECTION")
        if not collection:
            raise UsageProblem(
                "where to index? give -a collection=NAME, -a profile=NAME or set TYPESENSE_COLLECTION"
            )
        name = check_alias(collection)
        profile = Profile(key=name, name=name, releases=arguments.releases(given.get("releases")))
        return [Target(profile, releases_given="releases" in given, names=frozenset(names), as_made=refresh)]

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        self.refresh = arguments.flag("refresh", given.get("refresh"))
        self.share = arguments.share("share", given.get("share"))
        passed_over: list[str] = []
        self.follow = arguments.flag("follow", given.get("follow"))
        self.wanted = () if self.refresh or self.follow else _names(given, passed_over)
        self.session.shared = self.follow
        for line in passed_over:
            logger.warning("%s names no package of PyPI and is passed over", line)
        self.accept_removals = arguments.flag("accept_removals", given.get("accept_removals"))
        self.verifier = Verifier(self.session, self.pypi)
        self.reader: QueueReader | None = None
        self.crawler.signals.connect(self.close_reader, signal=signals.spider_closed)

    @property
    def is_endless(self) -> bool:
        return self.follow

    async def requests(self) -> AsyncIterator[Request]:
        if self.follow:
            async for told in self._followed():
                yield told
            return
        if self.wanted:
            waiting = await asyncio.to_thread(self.session.store.queued)
            self.queued = {row.normalized_name for row in waiting}.intersection(self.wanted)
        asks = await asyncio.to_thread(self._due) if self.refresh else [Ask(name) for name in self.wanted]
        self.crawler.stats.set_value("pyf/projects/to_check", min(len(asks), self.limit or len(asks)))
        asks = asks[: self.limit]
        for ask in asks:
            request = self.project_request(ask)
            assert request is not None, "there are no more than `limit`"
            yield request
        async for request in self.open_requests():
            yield request
        for ask in await self._doubted(len(asks)):
            yield self.ask(ask)

    async def _followed(self) -> AsyncIterator[Request]:
        """Ask about the names that come in messages, for ever. What is taken is noted in the store first:
        what is lost here is asked about by the next `pypi`."""
        from pyf_scrapy.queue.sharing import SharedQueue  # with redis, which takes its time

        url = redis_url(self.settings)
        assert url is not None, "it was checked"
        covers = await asyncio.to_thread(covered, self.session)
        self.reader = reader = QueueReader(self, SharedQueue(url, str(self.name), covers=covers))
        beating: asyncio.Task[None] | None = None
        try:
            await reader.first(reader.word())
            beating = asyncio.ensure_future(reader.keep_beating())
            while not self.stopping:
                for again in self.due_requests():
                    yield again
                message = reader.taken()
                if message is None:
                    if await reader.fill():
                        await asyncio.to_thread(self._note, reader.unused)
                        self.session.now = datetime.now(UTC).date()
                    else:
                        await self.wait(AGAIN)
                    continue
                self.queued.add(message.name)
                promise = Promise(message.serial, message.version)
                request = self.project_request(Ask(message.name, promise, announced=message.announced))
                if request is None:
                    return
                yield request
        finally:
            if beating is not None:
                beating.cancel()

    async def close_reader(self) -> None:
        """Put back what was taken and not begun; awaited, as the end of `start` is not when a crawl stops."""
        if self.reader is not None:
            await self.reader.close()

    def _note(self, names: set[str]) -> None:
        self.session.store.enqueue(names, int(time.time()), "crawl project")

    async def _doubted(self, asked: int) -> list[Ask]:
        """Questions about packages that seem to be gone, if the index lacks them, too; the others failed.

        Only about those of collections of names: `pypi`, which reads the index anyway, has the rest.
        """
        doubted = set(self.collector.doubted)
        asks: list[Ask] = []
        if len(doubted) == asked >= SUSPICIOUS_AFTER:
            self.complaint = FetchError(
                f"{self.pypi.base} has none of {asked} packages any more: check PYPI_URL; nothing is removed"
            )
            logger.error("%s", self.complaint)
        elif named := {name for name in doubted if self._is_only_named(name)}:
            asks = await self._confirmed(named)
        failed = len(doubted) - len(asks)
        self.crawler.stats.inc_value("pyf/packages/failed", failed)
        return asks

    def _is_only_named(self, name: str) -> bool:
        return any(not p.classifiers and p.matches(name, ()) for p in self.session.profiles)

    async def _confirmed(self, names: set[str]) -> list[Ask]:
        index = Index(self.session, self.pypi, accept_smaller=self.accept_removals)
        try:
            read = await index.read()
        except (FetchError, ParseError) as error:
            logger.warning("%s; whether packages are gone cannot be told", error)
            return []
        if not index.is_current:
            logger.warning("PyPI's index was refused: %s", read.refusal)
            return []
        store = self.session.store
        known = await asyncio.to_thread(store.package_names)
        unlisted = names - await asyncio.to_thread(listed, read.file, names)
        refusal = removals_refused(len(unlisted), len(known))
        if refusal is not None and not self.accept_removals:
            self.complaint = refusal
            logger.error("%s", refusal)
            return []
        header = read.file.header
        rows = [await asyncio.to_thread(store.project, name) for name in sorted(unlisted)]
        return [
            Ask(row.normalized_name, unlisted=row.serial)
            for row in rows
            # An index does not know what is newer than it is.
            if row is not None and (header.last_serial is None or row.serial <= header.last_serial)
        ]

    def _due(self) -> list[Ask]:
        """The members whose turn it is, those verified longest ago first."""
        store = self.session.store
        members = {name for profile in self.session.profiles for name in store.members(profile)}
        known = store.standings(members)
        verified = {name: known[name].verified_at if name in known else None for name in members}
        if self.share == 1:
            names = due(verified)
        else:
            now = int(time.time())
            rows = store.failures()
            postponed = {r.normalized_name for r in rows if r.stage in UNANSWERED and r.next_try > now}
            names = due(verified, self.share, now=now, postponed=postponed)
        logger.info("Asking again about %d of %d packages", len(names), len(members))
        # Something is missing of these: "not modified" would hide it.
        incomplete = {n for p in self.session.profiles for n in store.candidates(p, p.releases, names)}
        return [
            Ask(
                name,
                refresh=True,
                etag=None if name in incomplete else known[name].project_etag,
            )
            for name in names
        ]

    async def understand(self, response: Response, ask: Ask) -> PackageItem | None:
        if not ask.refresh:
            return await super().understand(response, ask)
        item = None
        if response.status == 304:
            self.count("pyf/projects/unchanged")
            await self.session.writer.clear([ask.name], "project")
        else:
            item = await super().understand(response, ask)
            if item is None or item.project is None:
                return item
        seen = await self.verifier.verify(ask)
        if seen.newer is not None:
            # Its page is newer than its JSON: a cache forgot one of the two.
            self.ask_later(FIRST_DELAY, Ask(ask.name, Promise(serial=seen.newer), attempt=1))
        if item is None and not seen.changed:
            return None
        return await asyncio.to_thread(self.session.stored_item, ask.name)


def _check_follow(given: Mapping[str, str], settings: Mapping[str, Any], *, refresh: bool) -> None:
    """Raise UsageProblem where names cannot be waited for."""
    if refresh or given.get("names") or given.get("requirements"):
        raise UsageProblem("follow= waits for names: give no names=, requirements= or refresh= with it")
    if redis_url(settings) is None:
        raise UsageProblem("follow= waits for names in Redis: set REDIS_URL")


def _names(given: Mapping[str, str], passed_over: list[str] | None = None) -> tuple[str, ...]:
    """Normalized names of `names=` or `requirements=`. Raises UsageProblem."""
    if bool(given.get("names")) == bool(given.get("requirements")):
        raise UsageProblem("which packages? give -a names=NAME,NAME, -a requirements=FILE or -a refresh=1")
    if requirements := given.get("requirements"):
        return requirement_names(Path(requirements), passed_over)
    names = package_names(filter(None, map(str.strip, given["names"].split(","))))
    if not names:
        raise UsageProblem("names= is empty; several names are separated by commas")
    return names
