"""`scrapy crawl rss`: names come from PyPI's two feeds. They hasten a fetch and mark nothing as done."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scrapy import Request, signals

from pyf_scrapy.exceptions import (
    FetchError,
    ParseError,
    PyfError,
    QueueError,
    StaleError,
    StoreError,
    UsageProblem,
)
from pyf_scrapy.items import PackageItem
from pyf_scrapy.parsers.rss import FeedEntry, parse_feed
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.queue.dedup import Dedup, open_dedup, ttls
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.base import PackageSpider
from pyf_scrapy.spiders.fetching import etag_of
from pyf_scrapy.spiders.handing_over import hand_over
from pyf_scrapy.store import FeedState
from pyf_scrapy.sync.feeds import dedup_key, is_overrun, newest, next_poll, order, urgency
from pyf_scrapy.sync.staleness import Promise

logger = logging.getLogger(__name__)

#: Seconds that a run without `follow` waits for an answer that is not stale.
ONE_RUN_PATIENCE = 20.0

#: The newest releases and the newest projects, of all of PyPI.
FEEDS = ("/rss/updates.xml", "/rss/packages.xml")


class RssSpider(PackageSpider):
    """What the feeds name, for all profiles at once; with `follow` they are read every so many seconds.

    With `push` workers of `crawl project -a follow=1` ask about it, when there are any: to note a name in the
    store's queue is as good as done, for it is asked about until it is in the index.
    """

    name = "rss"
    known_arguments = arguments.COMMON | {"follow", "push"}

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        targets = super().check_arguments(given, settings)
        arguments.positive("follow", given.get("follow"))
        ttls(settings)
        if arguments.flag("push", given.get("push")) and redis_url(settings) is None:
            raise UsageProblem("push= hands names to workers by Redis: set REDIS_URL")
        return arguments.required(targets)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        self.follow = arguments.positive("follow", given.get("follow"))
        self.push = arguments.flag("push", given.get("push"))
        self.ttls = ttls(self.settings)
        self.dedup: Dedup | None = None
        self.crawler.signals.connect(self.close_dedup, signal=signals.spider_closed)
        self._members: set[str] = set()
        # The feeds' ETags, and the keys of their entries that are under way or done, since the start.
        self._etags: dict[str, str | None] = {}
        self._taken: dict[str, set[str]] = {path: set() for path in FEEDS}
        self._first_seen: dict[str, float] = {}
        self._wanted: list[tuple[int, int, Ask]] = []
        self._numbers = itertools.count()
        # How many polls in a row brought nothing new, by feed; when each is read next.
        self._unchanged: dict[str, int] = dict.fromkeys(FEEDS, 0)
        self._entries: dict[str, list[FeedEntry]] = {}
        self._pauses: dict[str, float] = {}
        for signal in (signals.item_scraped, signals.item_dropped):
            self.crawler.signals.connect(self.item_settled, signal=signal)

    @property
    def is_endless(self) -> bool:
        return self.follow is not None

    def patience_for(self, ask: Ask) -> float:
        """Without `follow` the next run comes soon, and must not find this one still waiting."""
        return self.patience if self.follow else min(self.patience, ONE_RUN_PATIENCE)

    async def requests(self) -> AsyncIterator[Request]:
        """Read the feeds, ask about what they name, members first; with `follow` for ever."""
        store = self.session.store
        self.dedup = await asyncio.to_thread(open_dedup, self.settings, store)
        for profile in self.session.profiles:
            self._members.update(await asyncio.to_thread(list, store.members(profile)))
        while True:
            began = time.monotonic()
            await self.poll()
            if self.push and self._wanted:
                await self._hand_over()
            poll_at = began + min(self._pauses.values(), default=self.follow or 0)
            while self._wanted or self.follow:
                if self.follow and time.monotonic() >= poll_at:
                    break
                if self._wanted:
                    request = self.project_request(heapq.heappop(self._wanted)[2])
                    if request is None:
                        return
                    yield request
                    continue
                for request in self.due_requests():
                    yield request
                waits = [poll_at - time.monotonic(), self.later.wait(time.monotonic())]
                await self.wait(max(0.0, min(wait for wait in waits if wait is not None)))
                if self.stopping:
                    return
            if not self.follow:
                return
            self.session.now = datetime.now(UTC).date()

    async def poll(self) -> None:
        """Read both feeds. Raises FetchError or ParseError when neither can be read, unless it follows."""
        errors: list[PyfError] = []
        entries: list[FeedEntry] = []
        for path in FEEDS:
            try:
                entries += await self._read(path)
            except (FetchError, ParseError) as error:
                errors.append(error)
                # A crawl that closes breaks off its requests, too.
                level = logging.DEBUG if self.crawler.engine.needs_backout() else logging.WARNING
                logger.log(level, "%s", error)
        self.complaint = errors[0] if errors else None
        if len(errors) < len(FEEDS):
            self.count("pyf/feeds/polls")
        elif not self.follow:
            raise errors[0]
        self._take(entries)

    async def _read(self, path: str) -> list[FeedEntry]:
        """The entries of a feed that are news. Raises FetchError, ParseError."""
        store, url = self.session.store, f"{self.pypi.base}{path}"
        # Only since the start: what a killed run has read but not fetched must be seen again.
        response = await self.pypi.feed(path, self._etags.get(path))
        before = await asyncio.to_thread(store.feed, url)
        now = int(time.time())
        if response.status == 304:
            self._note_poll(path, now, is_news=False)
            if before is not None:
                await asyncio.to_thread(store.save_feed, before._replace(polled_at=now))
            return []
        entries = await asyncio.to_thread(parse_feed, response.body)
        if before is not None and is_overrun(before.newest, entries):
            self.count("pyf/feeds/overrun")
            logger.warning(
                "All %d entries of %s are newer than the last poll: others may have come and gone; "
                "the next `scrapy crawl pypi` fetches them",
                len(entries),
                url,
            )
        keys = {dedup_key(entry): entry for entry in entries}
        assert self.dedup is not None, "it was opened before the first poll"
        seen = await asyncio.to_thread(self.dedup.seen, list(keys))
        # The newest of all polls: a cache may answer with an older feed; none is of the future.
        dates = [date for date in (newest(entries), before.newest if before else None) if date is not None]
        latest = min(max(dates), now) if dates else None
        await asyncio.to_thread(store.save_feed, FeedState(url, etag_of(response), latest, now))
        self._etags[path] = etag_of(response)
        self._taken[path] &= keys.keys()
        for key in self._first_seen.keys() - set().union(*self._taken.values()):
            del self._first_seen[key]
        news = {key: entry for key, entry in keys.items() if key not in self._taken[path]}
        self._entries[path] = entries
        self._note_poll(path, now, is_news=bool(news))
        # Done for the profiles of another run is not done for ours.
        names = {news[key].normalized_name for key in news.keys() & seen}
        again = await asyncio.to_thread(self._incomplete, names)
        return [e for key, e in news.items() if key not in seen or e.normalized_name in again]

    def _note_poll(self, path: str, now: int, *, is_news: bool) -> None:
        """Decide when a feed is read again."""
        self._unchanged[path] = 0 if is_news else self._unchanged[path] + 1
        if self.follow:
            entries, unchanged = self._entries.get(path, []), self._unchanged[path]
            self._pauses[path] = next_poll(entries, self.follow, now, unchanged=unchanged)

    def _incomplete(self, names: Collection[str]) -> set[str]:
        """Those that belong to our profiles by what is stored, though their records are missing or older."""
        store = self.session.store
        return {name for p in self.session.profiles for name in store.candidates(p, p.releases, names)}

    def _take(self, entries: Iterable[FeedEntry]) -> None:
        """Queue the questions of new entries, the most urgent first."""
        ranks: dict[str, int] = {}
        asks: dict[str, Ask] = {}
        for entry in order(entries, members=self._members, hinted=self._is_hinted):
            name, key = entry.normalized_name, dedup_key(entry)
            rank = urgency(entry, members=self._members, hinted=self._is_hinted)
            ranks[name] = min(rank, ranks.get(name, rank))
            # The oldest come first: an answer that has the last release of a name has all before it.
            ask = asks.get(name, Ask(name))
            promise = Promise(version=entry.version) if entry.version is not None else ask.promise
            asks[name] = replace(ask, promise=promise, keys=(*ask.keys, key))
            self._taken[_feed_of(key)].add(key)
            self._first_seen[key] = time.monotonic()
        for name, ask in asks.items():
            heapq.heappush(self._wanted, (ranks[name], next(self._numbers), ask))
        if asks:
            self.crawler.stats.inc_value("pyf/projects/to_check", len(asks))
            logger.info("The feeds name %d packages that were not fetched yet", len(asks))

    async def _hand_over(self) -> None:
        """Let the workers ask about what is wanted, if there are any; else it is asked about here."""
        asks, url = [ask for _, _, ask in sorted(self._wanted)], redis_url(self.settings)
        assert url is not None, "it was checked"
        try:
            workers = await asyncio.to_thread(hand_over, url, self.session, asks, "crawl rss")
        except QueueError as error:
            logger.warning("%s; the packages are asked about here", error)
            return
        except StoreError as error:
            self.end(error, reason="store_failed")
            return
        if not workers:
            logger.info("No worker waits for names of these profiles: the packages are asked about here")
            return
        self._wanted.clear()
        self.crawler.stats.inc_value("pyf/projects/to_check", -len(asks))
        self.crawler.stats.inc_value("pyf/feeds/handed_over", len(asks))
        logger.info("%d packages are asked about by %d workers", len(asks), workers)
        await self._mark([key for ask in asks for key in ask.keys])

    def _is_hinted(self, name: str) -> bool:
        return any(profile.hinted(name) for profile in self.session.profiles)

    async def item_settled(self, item: Any) -> None:
        """An item is in the index, or stored as one that no profile wants: only now its entry is done."""
        if not isinstance(item, PackageItem) or not item.keys or not item.fresh or not item.settled:
            return  # what is not fresh is asked for again, what is not settled is passed on by the next run
        if item.profiles:
            self._members.add(item.normalized_name)
            waited = time.monotonic() - min(self._first_seen.get(key, time.monotonic()) for key in item.keys)
            self.crawler.stats.max_value("pyf/feeds/slowest", round(waited, 1))
        await self._mark(item.keys)

    async def _mark(self, keys: Collection[str]) -> None:
        """Note entries as done."""
        for key in keys:
            self._first_seen.pop(key, None)
        assert self.dedup is not None, "nothing is asked for before it is open"
        await asyncio.to_thread(self.dedup.mark, {key: self._ttl(key) for key in keys})

    def _ttl(self, key: str) -> int:
        new, update = self.ttls
        return update if _is_update(key) else new

    async def close_dedup(self) -> None:
        """Close the connections to Redis."""
        if self.dedup is not None:
            await asyncio.to_thread(self.dedup.close)

    async def failed(self, ask: Ask, error: PyfError) -> None:
        """A feed only hints: what its caches do not show yet is no failure, the next `pypi` run has it."""
        if isinstance(error, StaleError):
            self.count("pyf/feeds/given_up")
            logger.info("%s: %s; left to the next `scrapy crawl pypi`", ask.name, error)
            return
        await super().failed(ask, error)
        if isinstance(error, FetchError) and error.transport:
            self._forget(ask.keys)

    def source_is_down(self, error: FetchError) -> None:
        if not self.follow:
            super().source_is_down(error)
            return
        logger.warning("%s; the feeds are read again in a while", error)
        for _, _, ask in self._wanted:
            self._forget(ask.keys)
        self._wanted.clear()

    def _forget(self, keys: Iterable[str]) -> None:
        """Let the entries be news again, as long as the feeds show them."""
        for key in keys:
            self._taken[_feed_of(key)].discard(key)
            self._first_seen.pop(key, None)
            self._etags[_feed_of(key)] = None


def _is_update(key: str) -> bool:
    return key.startswith("pyf:dedup:update:")


def _feed_of(key: str) -> str:
    return FEEDS[0] if _is_update(key) else FEEDS[1]
