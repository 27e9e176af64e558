"""One job a file, in the order of ITEM_PIPELINES. How they get at what the crawl shares is here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem

from pyf_scrapy.exceptions import SearchError, StoreError
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.store_spider import StoreSpider
from pyf_scrapy.store import UnstorableError


class ServiceUnavailable(DropItem):
    """The store or the search server is gone; the package stays dirty and the next run sends it."""


def spider_of(crawler: Crawler) -> StoreSpider:
    """The spider that a pipeline serves."""
    spider = crawler.spider
    assert isinstance(spider, StoreSpider), "these pipelines serve our spiders only"
    return spider


def session_of(crawler: Crawler) -> Session:
    """The session of the crawl that a pipeline belongs to."""
    return spider_of(crawler).session


@contextmanager
def services(spider: StoreSpider) -> Iterator[None]:
    """Make one event of a store or a search server that fails: the crawl ends, the item is dropped."""
    try:
        yield
    except UnstorableError:
        raise
    except (SearchError, StoreError) as error:
        spider.end(error, reason="search_down" if isinstance(error, SearchError) else "store_failed")
        raise ServiceUnavailable(str(error), log_level="DEBUG") from None
