"""Scrapy's stats, counted at the price of a dict."""

from __future__ import annotations

from scrapy.statscollectors import MemoryStatsCollector


class PlainStatsCollector(MemoryStatsCollector):
    """As its base, but no call is searched for an argument that Scrapy takes no longer: for each answer ten
    things are counted."""

    __getattribute__ = object.__getattribute__
