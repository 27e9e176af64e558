"""Makes the documents and keeps back those that the index already has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from scrapy.crawler import Crawler

from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import services, spider_of
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.changes import Change, change
from pyf_scrapy.search.documents import FORMAT, documents
from pyf_scrapy.store import Indexed, Shape


class DuplicatesPipeline:
    """Sets `changes`: for each collection what differs from what was last sent.

    How many releases a collection has and which of them carry text is what the store says now: a run that
    goes on for days must not undo what another one has changed meanwhile.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.spider = spider_of(crawler)
        self.session = self.spider.session

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DuplicatesPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        for profile in self.session.profiles:
            if profile.key not in item.profiles and profile.key not in item.leaving:
                continue
            with services(self.spider):
                shape, indexed = await asyncio.to_thread(
                    self._known, profile.collection, item.normalized_name
                )
            item.changes[profile.collection] = self._change(item, profile, shape, indexed)
        return item

    def _known(self, collection: str, name: str) -> tuple[Shape, Indexed]:
        """What the collection is, and what it has of a package; blocking."""
        store = self.session.store
        shape = store.shape(collection)
        assert shape is not None, "the session has opened it"
        return shape, store.indexed(collection, [name]).get(name, Indexed(None))

    def _change(self, item: PackageItem, profile: Profile, shape: Shape, indexed: Indexed) -> Change:
        if profile.key not in item.profiles:
            return change([], indexed.hashes, shape)
        # As this run makes documents; a collection that is made in another way meanwhile takes none of them.
        shape = shape._replace(downloads=self.session.settings["DOWNLOADS_SOURCE"], format=FORMAT)
        all_texts = shape.descriptions == "all"
        if all_texts and not item.all_texts:
            # Rendered for less: it will be passed over and stay dirty, those that follow are rendered whole.
            self.session.all_texts = True
            shape = shape._replace(descriptions=None)
        wanted = documents(
            item, replace(profile, releases=shape.releases), self.session.now, all_texts=all_texts
        )
        made = change(wanted, indexed.hashes, shape)
        self.crawler.stats.inc_value("pyf/duplicates/unchanged", len(wanted) - len(made.documents))
        return made
