"""Tries failed requests again: after a growing delay, or as soon as the host's gate lets them."""

from __future__ import annotations

import logging
import time

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.utils.misc import load_object

from pyf_scrapy.middlewares.waiting import sleep
from pyf_scrapy.sync.limits import retry_after

#: Statuses that are always tried again: "not now" about the host.
THROTTLED = frozenset({429, 503})

#: Key of Request.meta: how often the request was told to wait; `retry_times` counts the failures.
_TIMES_THROTTLED = "times_throttled"


class BackoffMiddleware:
    """Replaces Scrapy's RetryMiddleware, which tries again at once and knows no Retry-After.

    A request that was told to wait (429, or 503 with Retry-After) goes back at once, to wait with all
    others before the gate of its host (PoliteDownloadHandler). Any other failure concerns one address and
    is tried again after a delay of its own.

    Meta key `dont_retry` as in Scrapy: who sends it keeps rules of its own. Settings: `RETRY_HTTP_CODES` and
    `RETRY_EXCEPTIONS` as in Scrapy; `PYPI_MAX_RETRIES` tries after the first; `PYPI_RETRY_BACKOFF` is the
    first delay in seconds, doubled each time, at most `BACKOFF_MAX_DELAY`; `BACKOFF_THROTTLED_RETRIES` bounds
    how often one request may be told to wait.
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

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> BackoffMiddleware:
        return cls(crawler)

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        if response.status not in self.codes or request.meta.get("dont_retry"):
            return response
        told = retry_after(response.headers.get(b"Retry-After"), time.time())
        reason = f"HTTP {response.status}"
        if response.status == 429 or (response.status == 503 and told is not None):
            return self._throttled(request, reason) or response
        return await self._later(request, reason) or response

    async def process_exception(self, request: Request, exception: Exception) -> Request | None:
        if request.meta.get("dont_retry") or not isinstance(exception, self.exceptions):
            return None
        return await self._later(request, exception)

    def _throttled(self, request: Request, reason: str) -> Request | None:
        """Counted apart, so that a request that had to wait still has all its tries when it fails."""
        failures = request.meta.get("retry_times", 0)
        counted = request.copy()
        counted.meta["retry_times"] = request.meta.get(_TIMES_THROTTLED, 0)
        retry = self._retry(counted, reason, times=self.throttled_retries, stats="backoff")
        if retry is not None:
            retry.meta[_TIMES_THROTTLED] = retry.meta["retry_times"]
            retry.meta["retry_times"] = failures
        return retry

    async def _later(self, request: Request, reason: str | Exception) -> Request | None:
        retry = self._retry(request, reason, times=self.retries, stats="retry")
        if retry is not None:
            # Doubled with every try, so 2, 4, 8 seconds with the default of the seeds.
            failures = min(request.meta.get("retry_times", 0), 20)
            await sleep(self.crawler, min(self.backoff * 2**failures, self.longest))
        return retry

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
