"""What the crawl asked of each host: PyPI is a gift, and its operators may ask what we take."""

from __future__ import annotations

from typing import Final

from scrapy.statscollectors import StatsCollector

#: Stats of a host begin with this, then its name and the figure.
HOSTS: Final = "pyf/hosts/"

#: The figures of its answers begin with this, then their status.
STATUSES: Final = "status/"


class HostCounts:
    """Counts for one host (and port) in the stats, as `pyf/hosts/HOST/FIGURE`. Called by the download
    handler: signals would cost a twentieth of a crawl.

    The figures: `requests` that were sent, complete `answers`, how many of them had a `status/...` or were
    `not_modified`, `bytes` of bodies as they came over the wire (compressed, and of answers that were cut
    off, too).
    """

    def __init__(self, stats: StatsCollector, host: str) -> None:
        self._stats = stats
        self._prefix = f"{HOSTS}{host}/"

    def sent(self) -> None:
        """A request goes to the host."""
        self._stats.inc_value(f"{self._prefix}requests")

    def received(self, data: bytes) -> None:
        """A part of a body has come."""
        self._stats.inc_value(f"{self._prefix}bytes", len(data))

    def answered(self, status: int) -> None:
        """An answer is complete."""
        self._stats.inc_value(f"{self._prefix}answers")
        self._stats.inc_value(f"{self._prefix}{STATUSES}{status}")
        if status == 304:
            self._stats.inc_value(f"{self._prefix}not_modified")
