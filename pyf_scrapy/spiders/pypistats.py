"""`scrapy crawl pypistats`: how often packages are downloaded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, urlsplit

from scrapy import Request
from scrapy.http import Response
from scrapy.settings import BaseSettings

from pyf_scrapy.exceptions import FetchError, ParseError
from pyf_scrapy.middlewares.gates import retry_after
from pyf_scrapy.parsers import clickpy
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import DownloadCounts
from pyf_scrapy.session import Target
from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.fetching import InlineFetch
from pyf_scrapy.store import DownloadFacts
from pyf_scrapy.sync.wanted import most_wanted

logger = logging.getLogger(__name__)

SLOT = "pypistats"
SOURCES = ("pypistats", "clickpy")

#: So many packages in a row without an answer mean that the source is down.
DOWN_AFTER = 5
_LONGEST_BACKOFF = 300.0  # seconds
#: Requests a minute that pypistats.org allows; a 429 does not say how long to wait.
_ALLOWED = 30
#: Answers that are stored together.
_BATCH = 20

#: Two requests that left a delay apart may arrive closer: a little more keeps 30 a minute for sure.
MARGIN = 1.03


class PypistatsSpider(EnrichmentSpider):
    """The downloads of indexed packages, by DOWNLOADS_SOURCE: a project a request from pypistats.org, which
    allows 30 a minute, or thousands at once from ClickPy, which counts mirrors, too. Most wanted come first,
    and what is known for less than DOWNLOADS_MAX_AGE is left out, so that a run which was killed goes on."""

    name = "pypistats"
    slots = ((SLOT, "PYPISTATS_RATE_LIMIT_DELAY"),)

    @classmethod
    def update_settings(cls, settings: BaseSettings) -> None:
        super().update_settings(settings)
        slots = settings.getdict("DOWNLOAD_SLOTS")
        slots[SLOT]["delay"] *= MARGIN
        settings.set("DOWNLOAD_SLOTS", slots, priority="spider")

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        settings = self.settings
        self.fetch = InlineFetch(self.crawler, 1, lambda: self.stopping)
        self.source = str(settings["DOWNLOADS_SOURCE"])
        self.max_age = settings.getfloat("DOWNLOADS_MAX_AGE")
        self.retries = settings.getint("PYPISTATS_MAX_RETRIES")
        self.backoff = settings.getfloat("PYPISTATS_RETRY_BACKOFF")
        self.delay = settings.getfloat("PYPISTATS_RATE_LIMIT_DELAY") * MARGIN

    async def requests(self) -> AsyncIterator[Request]:
        due = await asyncio.to_thread(self._due)
        self.to_do(len(due))
        asking = self._by_clickpy(due) if self.source == "clickpy" else self._by_pypistats(due)
        async for request in asking:
            yield request

    def _due(self) -> list[str]:
        """The packages to be asked about, most wanted first; blocking."""
        store, names = self.session.store, self.member_names()
        ages = store.download_ages(names, self.source) if self.one is None else {}
        weights = store.download_weights(names, self.source)
        due = most_wanted(names, ages, weights, now=int(time.time()), max_age=self.max_age)
        return due[: self.limit]

    async def _by_pypistats(self, due: Sequence[str]) -> AsyncIterator[Request]:
        # A run before this one, perhaps a killed one, may have asked a moment ago.
        await self.wait(self.delay if due else 0)
        answered: list[DownloadFacts] = []
        fruitless = 0
        try:
            for name in due:
                try:
                    counts = await self._recent(name)
                except (FetchError, ParseError) as error:
                    if self.stopping:
                        raise
                    fruitless += 1
                    self.count("pyf/packages/failed")
                    await self.session.fail(name, "downloads", str(error))
                    if fruitless >= DOWN_AFTER:
                        raise FetchError(
                            f"pypistats does not answer ({error}): run the same command later"
                        ) from None
                    continue
                fruitless = 0
                answered.append(DownloadFacts(name, self.source, int(time.time()), counts))
                if len(answered) >= _BATCH:
                    await self._take(answered)
                    answered = []
                    async for request in self.changed():
                        yield request
        finally:
            await self._take(answered)

    async def _recent(self, name: str) -> DownloadCounts | None:
        """The figures of one package, None when it is unknown. Raises FetchError, ParseError."""
        url = f"{self.settings['PYPISTATS_URL'].rstrip('/')}/api/packages/{quote(name, safe='')}/recent"
        for attempt in range(self.retries + 1):
            response = await self._ask(Request(url, meta={"dont_retry": True, "download_slot": SLOT}))
            if response is not None and response.status == 200:
                return parse_recent(response.body, _midnight(_yesterday()))
            if response is not None and response.status == 404:
                return None
            last = attempt == self.retries
            if response is not None and response.status == 429:
                told = retry_after(response.headers.get(b"Retry-After"), time.time())
                # Also after the last try: whoever asks next must not be refused for it.
                await self.wait(max(told or 0.0, _ALLOWED * self.delay))
            elif not last:
                await self.wait(min(self.backoff * 2**attempt, _LONGEST_BACKOFF))
        raise FetchError(f"HTTP {response.status}" if response is not None else "no answer", transport=True)

    async def _ask(self, request: Request) -> Response | None:
        """The answer, None when there was none. Raises FetchError when the crawl stops."""
        try:
            return await self.fetch(request)
        except FetchError:
            if self.stopping:
                raise
            return None

    async def _by_clickpy(self, due: Sequence[str]) -> AsyncIterator[Request]:
        today = datetime.now(UTC).date()
        base = str(self.settings["CLICKPY_URL"]).rstrip("/")
        url = f"{base}{'' if urlsplit(base).path else '/'}?user=demo&default_format=JSON"
        for names in clickpy.batches(due):
            request = Request(
                url,
                method="POST",
                body=clickpy.bulk_query(names, today),
                meta={"download_timeout": 300, "autothrottle_dont_adjust_delay": True},
            )
            response = await self.fetch(request)
            if response.status != 200:
                text = response.body[:200].decode("utf-8", "replace").partition("\n")[0]
                raise FetchError(f"ClickPy answers HTTP {response.status}: {text}", transport=True)
            found = await asyncio.to_thread(clickpy.parse_bulk, response.body, _midnight(_yesterday()))
            now = int(time.time())
            await self._take([DownloadFacts(name, self.source, now, found.get(name)) for name in names])
            async for request in self.changed():
                yield request

    async def _take(self, answered: Sequence[DownloadFacts]) -> None:
        if not answered:
            return
        self.count("pyf/projects/done", len(answered))
        self.count("pyf/downloads/answered", len(answered))
        self.count("pyf/downloads/unknown", sum(facts.counts is None for facts in answered))
        await asyncio.to_thread(self._save, answered)

    def _save(self, answered: Sequence[DownloadFacts]) -> None:
        self.session.store.save_downloads(answered)
        self.session.store.clear_failures([facts.normalized_name for facts in answered], "downloads")


def _yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
