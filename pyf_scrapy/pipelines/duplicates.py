"""Makes the documents and keeps back those that the index already has."""

from __future__ import annotations

import asyncio

from scrapy.crawler import Crawler

from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import services, spider_of
from pyf_scrapy.search.changes import change
from pyf_scrapy.search.documents import documents


class DuplicatesPipeline:
    """Sets `changes`: for each collection what differs from what was last sent."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.spider = spider_of(crawler)
        self.session = self.spider.session
        self.all_texts = crawler.settings["DESCRIPTIONS"] == "all"

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DuplicatesPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        session, name = self.session, item.normalized_name
        for profile in session.profiles:
            if profile.key in item.profiles:
                wanted = documents(item, profile, session.now, all_texts=self.all_texts)
            elif profile.key in item.leaving:
                wanted = []
            else:
                continue
            with services(self.spider):
                indexed = await asyncio.to_thread(session.store.indexed, profile.collection, [name])
            before = indexed[name].hashes if name in indexed else {}
            made = change(wanted, before)
            self.crawler.stats.inc_value("pyf/duplicates/unchanged", len(wanted) - len(made.documents))
            item.changes[profile.collection] = made
        return item
