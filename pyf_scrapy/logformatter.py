"""Log lines that name the package and never carry a whole item."""

from __future__ import annotations

import logging
from typing import Any

from itemadapter import ItemAdapter
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.logformatter import LogFormatter, LogFormatterResult
from twisted.python.failure import Failure


def _name(item: Any) -> str:
    return str(ItemAdapter(item).get("normalized_name", type(item).__name__))


def _number(level: str | int) -> int:
    return level if isinstance(level, int) else logging.getLevelNamesMapping()[level.upper()]


class PackageLogFormatter(LogFormatter):
    """Scrapy's log formatter with one short line for each package; none for what `LOG_LEVEL` hides, because
    a line that nobody sees costs as much as one that is written."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        self.level = level

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PackageLogFormatter:
        return cls(_number(crawler.settings["LOG_LEVEL"]))

    def crawled(self, request: Request, response: Response, spider: Spider) -> LogFormatterResult | None:  # type: ignore[override]  # as documented
        if self.level > logging.DEBUG:
            return None
        return super().crawled(request, response, spider)

    def scraped(self, item: Any, response: Any, spider: Spider) -> LogFormatterResult | None:  # type: ignore[override]
        if self.level > logging.DEBUG:
            return None
        return {"level": logging.DEBUG, "msg": "Done: %(name)s", "args": {"name": _name(item)}}

    def dropped(  # type: ignore[override]
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult | None:
        level = _number(getattr(exception, "log_level", None) or logging.WARNING)
        if level < self.level:
            return None
        return {
            "level": level,
            "msg": "Dropped %(name)s: %(reason)s",
            "args": {"name": _name(item), "reason": exception},
        }

    def item_error(
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult:
        return {"level": logging.ERROR, "msg": "Error in %(name)s", "args": {"name": _name(item)}}
