"""Sends documents in batches and awaits the result of each: an item is done when the index has it."""

from __future__ import annotations

import asyncio
import logging
import time

from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DropItem

from pyf_scrapy.exceptions import PyfError, SearchError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import spider_of
from pyf_scrapy.search.batches import Batch, Batcher, Outcome

logger = logging.getLogger(__name__)


class DocumentRejected(DropItem):
    """Typesense refused a document of the package; it stays dirty and is in the store's failures."""


class Superseded(DropItem):
    """Newer facts of the package were stored meanwhile: whoever stored them sends them."""


class IndexUnavailable(DropItem):
    """The search server is gone; the package stays dirty and the next run sends it."""


class TypesensePipeline:
    """Opens the session before the crawl begins; turns an unusable server into one event."""

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self.crawler = crawler
        self.spider = spider_of(crawler)
        self.session = self.spider.session
        self.most_documents = settings.getint("TYPESENSE_BATCH_DOCUMENTS")
        self.most_bytes = settings.getint("TYPESENSE_BATCH_BYTES")
        self.linger = settings.getfloat("TYPESENSE_BATCH_LINGER")
        self.batchers: dict[str, Batcher] = {}
        self.unavailable = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> TypesensePipeline:
        return cls(crawler)

    async def open_spider(self) -> None:
        try:
            await self.session.open()
        except PyfError as error:
            self.spider.problem = error
            logger.error("%s", error)
            raise CloseSpider(reason="failed") from None
        for alias, collection in self.session.collections.items():
            batch = Batch(self.session.store, self.session.connection, alias, collection.name)
            self.batchers[alias] = Batcher(
                batch.send, documents=self.most_documents, size=self.most_bytes, linger=self.linger
            )

    async def process_item(self, item: PackageItem) -> PackageItem:
        if self.unavailable:
            raise IndexUnavailable("the search server is gone", log_level="DEBUG")
        try:
            outcomes = await asyncio.gather(
                *(
                    self.batchers[alias].add(item.normalized_name, item.revision, change)
                    for alias, change in item.changes.items()
                )
            )
        except SearchError as error:
            self.unavailable = True
            self.spider.end(error, reason="search_down")
            raise IndexUnavailable(str(error), log_level="DEBUG") from None
        await self._account(item, outcomes)
        return item

    async def close_spider(self) -> None:
        for batcher in self.batchers.values():
            await batcher.close()

    async def _account(self, item: PackageItem, outcomes: list[Outcome]) -> None:
        stats = self.crawler.stats
        for outcome in outcomes:
            stats.inc_value("pyf/typesense/documents", outcome.stored)
            stats.inc_value("pyf/typesense/deleted", outcome.deleted)
            stats.inc_value("pyf/typesense/rejected", len(outcome.rejected))
        rejected = {id_: why for outcome in outcomes for id_, why in outcome.rejected.items()}
        writer = self.session.writer
        if rejected:
            reason = "; ".join(f"{id_}: {why}" for id_, why in list(rejected.items())[:5])
            await writer.fail(item.normalized_name, "index", reason, int(time.time()))
            raise DocumentRejected(reason, log_level="ERROR")
        if any(outcome.superseded for outcome in outcomes):
            stats.inc_value("pyf/typesense/superseded")
            raise Superseded("newer facts are stored", log_level="DEBUG")
        await writer.clear([item.normalized_name], "index")
        stats.inc_value("pyf/packages/indexed")
