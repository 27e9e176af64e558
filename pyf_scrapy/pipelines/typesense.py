"""Sends documents in batches and awaits the result of each: an item is done when the index has it."""

from __future__ import annotations

import asyncio
import logging
import time

from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DropItem

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import ServiceUnavailable, services, spider_of
from pyf_scrapy.search.batches import Batch, Batcher, Result

logger = logging.getLogger(__name__)


class DocumentRejected(DropItem):
    """Typesense refused a document of the package; it stays dirty and is in the store's failures."""


class Superseded(DropItem):
    """Newer facts of the package were stored before it was sent: these are sent by whoever stored them. Or
    the collection wants other documents by now: they are sent by whoever made it so, or by the next run."""


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
        self.sent: set[str] = set()
        # A package that is passed on and then fetched goes through here twice.
        self.indexed: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> TypesensePipeline:
        return cls(crawler)

    async def open_spider(self) -> None:
        logger.info("Opening the store and the search server (one starts by itself if none is set or runs)")
        try:
            await self.session.open()
        except PyfError as error:
            self.spider.problem = error
            logger.error("%s", error)
            raise CloseSpider(reason="failed") from None
        for alias in self.session.collections:
            batch = Batch(self.session.store, self.session.connection, alias)
            self.batchers[alias] = Batcher(
                batch.send, documents=self.most_documents, size=self.most_bytes, linger=self.linger
            )

    async def process_item(self, item: PackageItem) -> PackageItem:
        if self.spider.problem is not None:
            raise ServiceUnavailable("the crawl ends", log_level="DEBUG")
        with services(self.spider):
            results = await asyncio.gather(
                *(
                    self.batchers[alias].add(item.normalized_name, item.revision, change)
                    for alias, change in item.changes.items()
                )
            )
            pairs = zip(item.changes, results, strict=True)
            self.sent.update(alias for alias, result in pairs if result.stored or result.deleted)
            await self._account(item, results)
        return item

    async def close_spider(self) -> None:
        for batcher in self.batchers.values():
            await batcher.close()
        if self.spider.problem is None:
            try:
                await asyncio.to_thread(self.session.mark_sent, sorted(self.sent))
            except PyfError as error:  # all is sent, and the marks of before still hold
                logger.warning("%s", error)

    async def _account(self, item: PackageItem, results: list[Result]) -> None:
        stats = self.crawler.stats
        for result in results:
            stats.inc_value("pyf/typesense/documents", result.stored)
            stats.inc_value("pyf/typesense/deleted", result.deleted)
            stats.inc_value("pyf/typesense/rejected", len(result.rejected))
        rejected = {id_: why for result in results for id_, why in result.rejected.items()}
        if rejected:
            reasons = [f"{id_}: {why}" for id_, why in rejected.items()]
            await self.session.fail(item.normalized_name, "index", *reasons)
            item.noted = True
            raise DocumentRejected(reasons[0], log_level="ERROR")
        if any(result.superseded for result in results):
            stats.inc_value("pyf/typesense/superseded")
            raise Superseded(
                "newer facts are stored, or the collection wants other documents", log_level="DEBUG"
            )
        for stage in ("index", "pipeline"):
            await self.session.writer.clear([item.normalized_name], stage)
        if item.health is not None:
            await self.session.writer.score(item.normalized_name, item.health.score, int(time.time()))
        self.indexed.add(item.normalized_name)
        stats.set_value("pyf/packages/indexed", len(self.indexed))
        item.settled = True
