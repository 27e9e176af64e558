"""Waits as a server asks: Retry-After and 429 close the host's gate, other failures are tried again later."""

from __future__ import annotations

import logging
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http import Response
from scrapy.utils.asyncio import sleep
from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.misc import load_object

from pyf_scrapy.spiders.base import PackageSpider

logger = logging.getLogger(__name__)

#: Statuses that say "not now" about the host, not about the one address.
THROTTLED = frozenset({429, 503})


def retry_after(value: bytes | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date), None if unusable.

    `now` is in epoch seconds.
    """
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isdecimal() and text.isascii():
        return float(min(int(text[:9]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


class BackoffMiddleware:
    """Replaces Scrapy's RetryMiddleware, which tries again at once and knows no Retry-After.

    Settings: `RETRY_HTTP_CODES` and `RETRY_EXCEPTIONS` as in Scrapy; `PYPI_MAX_RETRIES` tries after the
    first; `PYPI_RETRY_BACKOFF` is the first delay in seconds, doubled each time; `BACKOFF_MAX_DELAY` is the
    longest wait that is obeyed; `BACKOFF_THROTTLED_RETRIES` bounds how often one request may be told to
    wait. Must run above Scrapy's priority 550 so that it sees the first answer.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("RETRY_ENABLED"):
            raise NotConfigured
        self.crawler = crawler
        self.codes = {int(code) for code in settings.getlist("RETRY_HTTP_CODES")} | THROTTLED
        self.exceptions = tuple(load_object(name) for name in settings.getlist("RETRY_EXCEPTIONS"))
        self.retries = settings.getint("PYPI_MAX_RETRIES")
        self.backoff = settings.getfloat("PYPI_RETRY_BACKOFF")
        self.longest = settings.getfloat("BACKOFF_MAX_DELAY")
        self.throttled_retries = settings.getint("BACKOFF_THROTTLED_RETRIES")
        self.closed_until: dict[str, float] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> BackoffMiddleware:
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        host = urlparse_cached(request).netloc
        while (wait := self.closed_until.get(host, 0.0) - time.monotonic()) > 0:
            await self._sleep(wait)

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        if response.status not in self.codes:
            return response
        told = retry_after(response.headers.get(b"Retry-After"), time.time())
        throttled = response.status == 429 or (response.status == 503 and told is not None)
        wait = min(self._delay(request) if told is None else told, self.longest)
        retry = self._retry(
            request,
            f"HTTP {response.status}",
            times=self.throttled_retries if throttled else self.retries,
            stats="backoff" if throttled else "retry",
        )
        if throttled:
            self._close_gate(urlparse_cached(request).netloc, wait)
        if retry is None:
            return response
        if not throttled:
            await self._sleep(wait)
        return retry

    async def process_exception(self, request: Request, exception: Exception) -> Request | None:
        if not isinstance(exception, self.exceptions):
            return None
        retry = self._retry(request, exception, times=self.retries, stats="retry")
        if retry is not None:
            await self._sleep(self._delay(request))
        return retry

    def _delay(self, request: Request) -> float:
        """Doubled with every try, so 2, 4, 8 seconds with the default of the seeds."""
        return float(self.backoff * 2 ** min(request.meta.get("retry_times", 0), 20))

    def _close_gate(self, host: str, wait: float) -> None:
        until = time.monotonic() + wait
        if until > self.closed_until.get(host, 0.0):
            self.closed_until[host] = until
            logger.info("%s asks to wait %.1f s", host, wait)
        self.crawler.stats.max_value("backoff/longest_wait", wait)

    def _retry(self, request: Request, reason: str | Exception, *, times: int, stats: str) -> Request | None:
        assert self.crawler.spider is not None
        return get_retry_request(
            request,
            spider=self.crawler.spider,
            reason=reason,
            max_retry_times=times,
            priority_adjust=0,
            stats_base_key=stats,
            give_up_log_level=logging.DEBUG,
        )

    def _is_stopping(self) -> bool:
        spider = self.crawler.spider
        return spider.stopping if isinstance(spider, PackageSpider) else not self.crawler.engine.running

    async def _sleep(self, seconds: float) -> None:
        """Sleep in short steps, so that a crawl that is asked to stop does not wait for a distant gate."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_stopping():
                raise IgnoreRequest("the crawl is stopping")
            await sleep(min(left, 0.5))
