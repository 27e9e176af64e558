"""`scrapy crawl pypistats`: how often packages are downloaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from scrapy import Request, signals
from scrapy.settings import BaseSettings

from pyf_scrapy.exceptions import FetchError, ParseError, SourceError
from pyf_scrapy.parsers import clickpy
from pyf_scrapy.queue.rates import SharedPause, host_name
from pyf_scrapy.session import Target
from pyf_scrapy.spiders.download_sources import MARGIN, SLOT, ClickPy, PypiStats
from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.fetching import InlineFetch
from pyf_scrapy.spiders.store_spider import Wording
from pyf_scrapy.store import DownloadFacts
from pyf_scrapy.sync.wanted import most_wanted

#: So many packages in a row without a usable answer mean that the source is down.
DOWN_AFTER = 5

_WORDING = {
    "pypistats": Wording("Reading the store", "Asking pypistats", "packages asked about"),
    "clickpy": Wording("Reading the store", "Asking ClickPy", "packages asked about"),
}


class PypistatsSpider(EnrichmentSpider):
    """The downloads of indexed packages, by DOWNLOADS_SOURCE: a project a request from pypistats.org, which
    allows 30 a minute, or thousands at once from ClickPy, which counts mirrors, too. Most wanted come first,
    and what is known for less than DOWNLOADS_MAX_AGE is left out, so that a run which was killed goes on."""

    name = "pypistats"
    slots = ((SLOT, "PYPISTATS_RATE_LIMIT_DELAY"),)

    @classmethod
    def slot_delay(cls, settings: BaseSettings, setting: str) -> float:
        return super().slot_delay(settings, setting) * MARGIN

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        settings = self.settings
        fetch = InlineFetch(self.crawler, 1, lambda: self.stopping)
        self.source = str(settings["DOWNLOADS_SOURCE"])
        self.wording = _WORDING[self.source]
        self.max_age = settings.getfloat("DOWNLOADS_MAX_AGE")
        self.clickpy = ClickPy(str(settings["CLICKPY_URL"]), fetch)
        base = str(settings["PYPISTATS_URL"])
        shared = SharedPause(settings, host_name(base))
        self.crawler.signals.connect(shared.close, signal=signals.spider_closed, weak=False)
        self.pypistats = PypiStats(
            base,
            fetch=fetch,
            wait=self.wait,
            store=lambda: self.session.store,
            shared=shared,
            delay=self.slot_delay(settings, "PYPISTATS_RATE_LIMIT_DELAY"),
            retries=settings.getint("PYPISTATS_MAX_RETRIES"),
            backoff=settings.getfloat("PYPISTATS_RETRY_BACKOFF"),
        )

    async def requests(self) -> AsyncIterator[Request]:
        due = await asyncio.to_thread(self._due)
        self.to_do(len(due))
        if not due:
            return
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
        await self.pypistats.open()
        anything = False
        silent: list[tuple[str, FetchError | ParseError]] = []
        for name in due:
            try:
                counts = await self.pypistats.recent(name)
            except SourceError:
                raise
            except (FetchError, ParseError) as error:
                if self.stopping:
                    raise
                silent.append((name, error))
                if len(silent) >= DOWN_AFTER:
                    raise _down(error) from None
                continue
            anything = True
            await self._failed(silent)
            silent.clear()
            # Each at once: whatever ends this run, nobody is asked about it again.
            await self._take([DownloadFacts(name, self.source, int(time.time()), counts)])
            async for request in self.changed():
                yield request
        if silent and not anything and isinstance(silent[-1][1], FetchError):
            raise _down(silent[-1][1])
        await self._failed(silent)

    async def _by_clickpy(self, due: Sequence[str]) -> AsyncIterator[Request]:
        for names in clickpy.batches(due):
            found = await self.clickpy.recent(names)
            now = int(time.time())
            await self._take([DownloadFacts(name, self.source, now, found.get(name)) for name in names])
            async for request in self.changed():
                yield request

    async def _take(self, answered: Sequence[DownloadFacts]) -> None:
        await asyncio.to_thread(self._save, answered)
        self.count("pyf/projects/done", len(answered))
        self.count("pyf/downloads/answered", len(answered))
        self.count("pyf/downloads/unknown", sum(facts.counts is None for facts in answered))

    def _save(self, answered: Sequence[DownloadFacts]) -> None:
        self.session.store.save_downloads(answered)
        self.session.store.clear_failures([facts.normalized_name for facts in answered], "downloads")

    async def _failed(self, silent: Sequence[tuple[str, FetchError | ParseError]]) -> None:
        """Note packages without a usable answer, now that the source is known to live."""
        self.count("pyf/projects/done", len(silent))
        for name, error in silent:
            self.count("pyf/packages/failed")
            await self.session.fail(name, "downloads", str(error))


def _down(error: FetchError | ParseError) -> SourceError:
    return SourceError(f"pypistats gives no usable answer ({error}): run the same command later")
