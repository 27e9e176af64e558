"""The last step before the network: every request of the process passes its host's gate here.

Not in a downloader middleware, because those let a request into the queue of a download slot, where it
cannot be held back any more when the host asks to wait: at 5 requests a second, 3 s of them. And a request
leaves a middleware on many ways, but a download only by the `finally` below.
"""

from __future__ import annotations

import asyncio
import logging
import time

from scrapy import Request, signals
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.misc import build_from_crawler, load_object

from pyf_scrapy.middlewares.gates import Gate
from pyf_scrapy.middlewares.host_counts import HostCounts
from pyf_scrapy.middlewares.hosts import Host
from pyf_scrapy.middlewares.lean_handler import LeanDownloadHandler
from pyf_scrapy.middlewares.shares import Share
from pyf_scrapy.middlewares.waiting import STEP, is_stopping, refuse_when_stopping
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.queue.rates import SharedRates
from pyf_scrapy.scheduler import SupplyScheduler
from pyf_scrapy.sync.limits import retry_after

logger = logging.getLogger(__name__)

#: Seconds for which a crawl that stops waits for answers: what manages processes kills after 30.
DRAIN = 15.0


def host_of(request: Request) -> str:
    """Host and port, as in the address; never the user and password that may stand before them."""
    return str(urlparse_cached(request).netloc.rpartition("@")[2])


class PoliteDownloadHandler(BaseDownloadHandler):
    """LeanDownloadHandler behind one gate for each host; Scrapy's own handler (`DOWNLOAD_HANDLERS_BASE`)
    where a request has to take a proxy.

    429, and 503 with Retry-After, close the gate; 503 without it makes it narrower (see Gate). Once the
    crawl stops nothing is sent any more, and what is under way has DRAIN seconds. Settings:
    `PYPI_RETRY_BACKOFF` is the first wait in seconds when the host says none, `BACKOFF_MAX_DELAY` the longest
    wait that is obeyed, `DOWNLOAD_TIMEOUT` the patience with a request that holds up others. The delay of a
    `DOWNLOAD_SLOTS` entry is kept here, too: those who waited before the gate have passed their slot long
    ago. With `REDIS_URL` or `REDIS_HOST` it is kept by all processes together, and each closes its gate when
    one of them has to.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._direct: BaseDownloadHandler | None = None
        self._proxied: BaseDownloadHandler | None = None
        self.slots = crawler.settings.getdict("DOWNLOAD_SLOTS")
        self.hosts: dict[str, Host] = {}
        self._rates: SharedRates | None = None
        self._scheduler: SupplyScheduler | None = None  # while there is a host with a ceiling
        self._under_way: set[asyncio.Timeout] = set()
        self._watch: asyncio.Task[None] | None = None

    def _inner(self, request: Request) -> BaseDownloadHandler:
        """Made for the first request: Scrapy does not close the handlers of a crawl that failed to open."""
        if request.meta.get("proxy"):
            if self._proxied is None:
                handlers = self.crawler.settings.getdict("DOWNLOAD_HANDLERS_BASE")
                self._proxied = build_from_crawler(load_object(handlers["https"]), self.crawler)
                self.crawler.signals.connect(self._part_received, signal=signals.bytes_received)
            return self._proxied
        if self._direct is None:
            self._direct = LeanDownloadHandler(self.crawler, self._received)
        return self._direct

    def _received(self, request: Request, data: bytes) -> None:
        self._host(request).counts.received(data)

    def _part_received(self, data: bytes, request: Request) -> None:
        self._received(request, data)

    async def download_request(self, request: Request) -> Response:
        """The answer; raises IgnoreRequest when the crawl stops, else what the inner handler raises."""
        host = self._host(request)
        if self._scheduler is not None:
            self._scheduler.arrived(request)
        ticket = await host.turn(lambda: refuse_when_stopping(self.crawler))
        try:
            host.counts.sent()
            response = await self._answer(request)
            host.counts.answered(response.status)
            self._judge(host, ticket, response)
            return response
        finally:
            host.end(ticket)

    async def _answer(self, request: Request) -> Response:
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._end_what_lasts())
        patience = asyncio.timeout(None)
        try:
            async with patience:
                self._under_way.add(patience)
                response: Response = await self._inner(request).download_request(request)
                return response
        except TimeoutError:
            if patience.expired():
                raise IgnoreRequest("the crawl is stopping") from None
            raise
        finally:
            self._under_way.discard(patience)

    async def _end_what_lasts(self) -> None:
        """Give up what is still under way some time after the crawl was asked to stop."""
        while not is_stopping(self.crawler):
            await asyncio.sleep(STEP)
        await asyncio.sleep(DRAIN)
        for patience in self._under_way:
            patience.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        for host in self.hosts.values():
            await host.close()
        if self._rates is not None:
            await self._rates.close()
        for inner in (self._direct, self._proxied):
            if inner is not None:
                await inner.close()

    @property
    def rates(self) -> SharedRates | None:
        """Made for the first request, as the handlers; None when nothing is shared."""
        if self._rates is None and (url := redis_url(self.crawler.settings)) is not None:
            self._rates = SharedRates(url)
        return self._rates

    def _host(self, request: Request) -> Host:
        name = host_of(request)
        if name not in self.hosts:
            settings, rates = self.crawler.settings, self.rates
            slot = self.slots.get(request.meta.get("download_slot"), {})
            interval = slot.get("delay") or 0.0
            gate = Gate(
                concurrency=slot.get("concurrency") or settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN"),
                first_wait=settings.getfloat("PYPI_RETRY_BACKOFF"),
                longest_wait=settings.getfloat("BACKOFF_MAX_DELAY"),
                patience=settings.getfloat("DOWNLOAD_TIMEOUT"),
                interval=0.0 if rates else interval,
            )
            counts = HostCounts(self.crawler.stats, name)
            self.hosts[name] = host = Host(name, gate, Share(interval), rates, counts)
            scheduler = self.crawler.engine.scheduler
            if interval and isinstance(scheduler, SupplyScheduler):
                host.started = scheduler.look_again
                scheduler.watch(request.meta.get("download_slot", ""), host.is_crowded)
                self._scheduler = scheduler
        return self.hosts[name]

    def _judge(self, host: Host, ticket: int, response: Response) -> None:
        gate, now, status = host.gate, time.monotonic(), response.status
        before = gate.closed_until
        told = retry_after(response.headers.get(b"Retry-After"), time.time())
        if status == 429 or (status == 503 and told is not None):
            wait = gate.refused(ticket, now, told)
        elif status == 503:
            wait = gate.overloaded(ticket, now)
        else:
            if status < 500:
                host.answered(ticket)
            return
        if wait:
            host.closed(wait)
            self.crawler.stats.max_value("backoff/longest_wait", wait)
            if before <= now or gate.closed_until > before + 1:  # else the same news from many requests
                logger.info("%s answers HTTP %d: nothing is asked for %.1f s", host.name, status, wait)
