"""Decides which profiles a package belongs to; notes the others as checked and drops them."""

from __future__ import annotations

import asyncio
import time

from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem

from pyf_scrapy.items import PackageItem
from pyf_scrapy.pipelines import session_of
from pyf_scrapy.session import Session
from pyf_scrapy.store import Check


class NoMatchingClassifier(DropItem):
    """The package belongs to none of the crawl's profiles."""


class ClassifierFilterPipeline:
    """Sets `profiles` and `leaving`. A package that no profile wants is stored as "checked at serial N with
    these classifiers", which is what makes the next crawl skip it."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.session: Session = session_of(crawler)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> ClassifierFilterPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        name = item.normalized_name
        session = self.session
        if item.status == "active":
            item.profiles = [p.key for p in session.profiles if p.matches(name, item.classifiers)]
        item.leaving = [
            p.key
            for p in session.profiles
            if p.key not in item.profiles and name in session.held[p.collection]
        ]
        if item.profiles:
            return item
        await session.writer.check(
            Check(name, item.name, item.serial, item.classifiers, item.status, int(time.time()))
        )
        await session.writer.clear([name], None)
        self.crawler.stats.inc_value("pyf/classifiers/dropped")
        if not item.leaving:
            raise NoMatchingClassifier("no profile has its classifiers", log_level="DEBUG")
        item.revision = (await asyncio.to_thread(session.store.revisions, [name]))[name]
        return item
