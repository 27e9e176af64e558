"""Computes the health score."""

from __future__ import annotations

from scrapy.crawler import Crawler

from pyf_scrapy.items import PackageItem, health_of
from pyf_scrapy.pipelines import session_of


class HealthPipeline:
    """Sets `health`, judged as of the crawl's date."""

    def __init__(self, crawler: Crawler) -> None:
        self.session = session_of(crawler)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> HealthPipeline:
        return cls(crawler)

    def process_item(self, item: PackageItem) -> PackageItem:
        item.health = health_of(item, self.session.now)
        return item
