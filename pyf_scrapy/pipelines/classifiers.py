"""Decides which profiles a package belongs to; notes the others as checked and drops them."""

from __future__ import annotations

import asyncio
import time

from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem

from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import services, spider_of
from pyf_scrapy.store import Check


class NoMatchingClassifier(DropItem):
    """The package belongs to none of the crawl's profiles."""


class StaleAnswer(DropItem):
    """Something newer is stored than what a cache answered: nothing is concluded from it."""


class ClassifierFilterPipeline:
    """Sets `profiles` and `leaving`. A package that no profile wants is stored as "checked at serial N with
    these classifiers", which is what makes the next crawl skip it."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.spider = spider_of(crawler)
        self.session = self.spider.session

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> ClassifierFilterPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        name, session = item.normalized_name, self.session
        if item.status == "active":
            item.profiles = [p.key for p in session.profiles if p.matches(name, item.classifiers)]
        if not item.profiles and not item.stored:
            with services(self.spider):
                await self._note(item)
        if item.revision or item.stored:
            with services(self.spider):
                item.leaving = await asyncio.to_thread(self._leaving, item)
        if not item.profiles and not item.leaving:
            item.settled = True
            raise NoMatchingClassifier("no profile has its classifiers", log_level="DEBUG")
        return item

    def _leaving(self, item: PackageItem) -> list[str]:
        """The profiles it does not belong to although their collection holds it, whoever put it there."""
        others = [p for p in self.session.profiles if p.key not in item.profiles]
        name, store = item.normalized_name, self.session.store
        return [p.key for p in others if name in store.indexed(p.collection, [name])]

    async def _note(self, item: PackageItem) -> None:
        name, session = item.normalized_name, self.session
        now = int(time.time())
        check = Check(name, item.name, item.serial, item.classifiers, item.status, now, item.promised)
        # The revision of this very write: a later one would let this answer undo what came after it.
        revision = await session.writer.check(check)
        if revision is None:
            self.crawler.stats.inc_value("pyf/projects/stale")
            raise StaleAnswer("newer facts are stored", log_level="DEBUG")
        self.crawler.stats.inc_value("pyf/classifiers/dropped")
        item.revision = revision
