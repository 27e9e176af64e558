"""Renders the READMEs that the documents carry, in worker processes."""

from __future__ import annotations

import logging

from scrapy.crawler import Crawler

from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.renderer import Renderer, render_releases
from pyf_scrapy.pipelines import services, spider_of

logger = logging.getLogger(__name__)


class DescriptionsPipeline:
    """Sets `descriptions` of the latest release and of those that stand for a framework version; of all
    with DESCRIPTIONS=all. A README that breaks its bounds costs its own text and is noted as a failure."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.spider = spider_of(crawler)
        self.session = self.spider.session
        self.renderer = Renderer.from_settings(crawler.settings)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DescriptionsPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        if not item.profiles:
            return item
        item.all_texts = self.session.all_texts
        item.descriptions, problems = await render_releases(
            self.renderer, item.releases, all_texts=item.all_texts
        )
        stats = self.crawler.stats
        stats.set_value("pyf/descriptions/rendered", self.renderer.rendered)
        stats.set_value("pyf/descriptions/cached", self.renderer.cached)
        with services(self.spider):
            if problems:
                stats.inc_value("pyf/descriptions/failed", len(problems))
                logger.warning("%s: %s", item.normalized_name, problems[0])
                await self.session.fail(item.normalized_name, "description", *problems)
            else:
                await self.session.writer.clear([item.normalized_name], "description")
        item.failures.extend(problems)
        return item

    async def close_spider(self) -> None:
        await self.renderer.close()
