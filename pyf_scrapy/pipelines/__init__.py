"""One job a file, in the order of ITEM_PIPELINES. How they get at what the crawl shares is here."""

from __future__ import annotations

from scrapy.crawler import Crawler

from pyf_scrapy.session import Session
from pyf_scrapy.spiders.base import PackageSpider


def spider_of(crawler: Crawler) -> PackageSpider:
    """The package spider that a pipeline serves."""
    spider = crawler.spider
    assert isinstance(spider, PackageSpider), "these pipelines serve package spiders only"
    return spider


def session_of(crawler: Crawler) -> Session:
    """The session of the crawl that a pipeline belongs to."""
    return spider_of(crawler).session
