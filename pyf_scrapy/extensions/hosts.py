"""What the crawl asked of each host: PyPI is a gift, and its operators may ask what we take."""

from __future__ import annotations

from collections import Counter

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response

from pyf_scrapy.extensions.outcome import HOSTS, STATUSES
from pyf_scrapy.middlewares.download_handler import host_of, request_sent

#: What is counted: requests that were sent, complete answers, bytes of bodies as they came over the wire
#: (compressed, and of answers that were cut off, too), answers that said "not modified".
FIGURES = ("requests", "answers", "bytes", "not_modified")


class HostStatistics:
    """Counts by host and port, also the requests that a callback makes beside the scheduler.

    The figures stand in the stats as `pyf/hosts/HOST/FIGURE`, too; beside them as `.../status/200` how many
    answers had that status.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self._hosts: dict[str, Counter[str]] = {}
        crawler.signals.connect(self.request_sent, signal=request_sent)
        crawler.signals.connect(self.bytes_received, signal=signals.bytes_received)
        crawler.signals.connect(self.response_downloaded, signal=signals.response_downloaded)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> HostStatistics:
        return cls(crawler)

    @property
    def by_host(self) -> dict[str, dict[str, int]]:
        """Host (and port) -> every one of `FIGURES`."""
        return {host: {name: counts[name] for name in FIGURES} for host, counts in self._hosts.items()}

    def request_sent(self, request: Request) -> None:
        self._count(request, requests=1)

    def bytes_received(self, data: bytes, request: Request) -> None:
        self._count(request, bytes=len(data))

    def response_downloaded(self, response: Response, request: Request) -> None:
        figures = {"answers": 1, f"{STATUSES}{response.status}": 1}
        if response.status == 304:
            figures["not_modified"] = 1
        self._count(request, **figures)

    def _count(self, request: Request, **figures: int) -> None:
        host = host_of(request)
        if not host:  # data: has none
            return
        counts = self._hosts.setdefault(host, Counter())
        for name, number in figures.items():
            counts[name] += number
            self.crawler.stats.inc_value(f"{HOSTS}{host}/{name}", number)
