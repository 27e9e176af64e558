"""Asks a slow server less: the delay of each download slot follows the time that its server takes."""

from __future__ import annotations

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response

from pyf_scrapy.middlewares.waiting import is_stopping

#: Weight of one answer in the average, as in TCP's round-trip time (RFC 6298): one late answer is no trend.
_WEIGHT = 1 / 8

#: Answers that tell how fast the server is. Errors are short and fast, just when it has too much to do;
#: a refresh consists of nearly nothing but 304.
_GOOD = frozenset({200, 304})


def delay_for(latency: float, concurrency: int, fast: float) -> float:
    """Seconds between two requests to a server that takes `latency` seconds to begin its answer.

    AutoThrottle's rule (a request each latency / target concurrency, so that this many are under way on
    average) with a target that falls: `concurrency` up to `fast` seconds, half as many at twice as long,
    never less than one. Up to `fast` there is no delay, because the slot's concurrency is the limit.
    """
    if latency <= fast:
        return 0.0
    return latency / max(1.0, concurrency * fast / latency)


class HostThrottle:
    """Scrapy's AutoThrottle with three differences, each of which it has no setting for: it leaves the delay
    of a `DOWNLOAD_SLOTS` entry (PYPI_MAX_RPS) to the gate of the host, it knows a slow server from a fast one
    (see `delay_for`), and 304 is a good answer.

    It knows the requests of this process only: those of others show in how long the server takes.

    Settings: `AUTOTHROTTLE_ENABLED` and `AUTOTHROTTLE_MAX_DELAY` (seconds; a longer one of `DOWNLOAD_SLOTS`
    is kept) as in Scrapy; `AUTOTHROTTLE_FAST_LATENCY` in seconds. Meta key `autothrottle_dont_adjust_delay`
    as in Scrapy. An answer without `download_latency` (data:) is none of a server.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("AUTOTHROTTLE_ENABLED"):
            raise NotConfigured
        self.crawler = crawler
        self.longest = settings.getfloat("AUTOTHROTTLE_MAX_DELAY")
        self.fast = settings.getfloat("AUTOTHROTTLE_FAST_LATENCY")
        self.slots = settings.getdict("DOWNLOAD_SLOTS")
        self.delay = settings.getfloat("DOWNLOAD_DELAY")
        # Slot -> average; it begins at 0, because the first answer may be the index, which takes its time.
        self.latencies: dict[str, float] = {}
        crawler.signals.connect(self.response_downloaded, signal=signals.response_downloaded)
        crawler.signals.connect(self.request_left_downloader, signal=signals.request_left_downloader)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> HostThrottle:
        return cls(crawler)

    def response_downloaded(self, response: Response, request: Request) -> None:
        key, latency = request.meta.get("download_slot", ""), request.meta.get("download_latency")
        slot = self.crawler.engine.downloader.slots.get(key)
        if slot is None or latency is None or request.meta.get("autothrottle_dont_adjust_delay"):
            return
        average = self.latencies.get(key, 0.0)
        if response.status not in _GOOD and latency <= average:
            return
        average += (latency - average) * _WEIGHT
        self.latencies[key] = average
        entry = self.slots.get(key, {})
        least = float(entry.get("delay", self.delay))
        delay = min(delay_for(average, slot.concurrency, self.fast), self.longest)
        if delay > least:
            slot.delay = delay
            self.crawler.stats.max_value("throttle/longest_delay", delay)
        else:
            # That of an entry is kept by the gate of the host, which makes up for what starts late.
            slot.delay = 0.0 if "delay" in entry else least

    def request_left_downloader(self, request: Request) -> None:
        """Once the crawl stops nothing is sent any more, so its end need not wait for any delay."""
        slot = self.crawler.engine.downloader.slots.get(request.meta.get("download_slot", ""))
        if slot is not None and is_stopping(self.crawler):
            slot.delay = 0.0
