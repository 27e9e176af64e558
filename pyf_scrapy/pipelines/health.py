"""Computes the health score."""

from __future__ import annotations

from scrapy.crawler import Crawler

from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.health import health
from pyf_scrapy.pipelines import session_of


class HealthPipeline:
    """Sets `health`, judged on the latest release as of the crawl's date."""

    def __init__(self, crawler: Crawler) -> None:
        self.session = session_of(crawler)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> HealthPipeline:
        return cls(crawler)

    def process_item(self, item: PackageItem) -> PackageItem:
        if item.releases:
            latest = item.releases[0]
            item.health = health(item.releases, item.descriptions.get(latest.version), self.session.now)
        return item
