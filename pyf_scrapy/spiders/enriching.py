"""`EnrichmentSpider`: asks others than PyPI about stored packages.

What it stores makes packages dirty, and dirty packages are passed on as by every spider. So facts of a
repository reach all packages that share it, in every profile, and no fetch of PyPI can wipe them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from packaging.utils import InvalidName, canonicalize_name
from scrapy import Request, signals
from scrapy.exceptions import DropItem
from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings
from twisted.python.failure import Failure

from pyf_scrapy.exceptions import FetchError, UsageProblem
from pyf_scrapy.items import PackageItem
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.fetching import pypi_slot
from pyf_scrapy.spiders.store_spider import StoreSpider

#: Seconds between two looks at what is dirty.
_PASS_ON_EVERY = 2.0


class EnrichmentSpider(StoreSpider):
    """Base of the spiders that add facts to the packages of collections.

    A spider overrides `requests`: it asks its service, stores the answers and yields `changed` now and then.
    """

    known_arguments = frozenset({"profile", "classifier", "collection", "limit", "name"})
    dirty_level = logging.DEBUG
    #: download slots and the settings of their delays
    slots: ClassVar[tuple[tuple[str, str], ...]] = ()

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        _package_name(given)
        if "collection" in given and not {"profile", "classifier"} & given.keys():
            settings = {**settings, "DEFAULT_PROFILE": None}
        targets = super().check_arguments(given, settings)
        collection = given.get("collection") or settings.get("TYPESENSE_COLLECTION")
        if targets or not collection:
            return arguments.required(targets)
        name = check_alias(collection)
        return [Target(Profile(key=name, name=name), as_made=True)]

    @classmethod
    def update_settings(cls, settings: BaseSettings) -> None:
        """One request at a time to each service, with its delay as the floor of the throttle."""
        super().update_settings(settings)
        slots: dict[str | None, dict[str, float]] = pypi_slot(settings)
        for slot, delay in cls.slots:
            slots[slot] = {"concurrency": 1, "delay": cls.slot_delay(settings, delay), "jitter": 0}
        # Beside what a user gave for others, whatever its priority: a limit must not get lost.
        slots |= settings.getdict("DOWNLOAD_SLOTS")
        priority = max(settings.getpriority("DOWNLOAD_SLOTS") or 0, SETTINGS_PRIORITIES["spider"])
        settings.set("DOWNLOAD_SLOTS", slots, priority=priority)

    @classmethod
    def slot_delay(cls, settings: BaseSettings, setting: str) -> float:
        """Least seconds between two requests to a service, by the setting of its delay."""
        return settings.getfloat(setting)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        self.one = _package_name(given)
        self._passed_on_at = time.monotonic()
        self.crawler.signals.connect(self.item_dropped, signal=signals.item_dropped)

    def item_dropped(self, item: Any, exception: DropItem) -> None:
        """A package whose documents were rejected stays dirty: the next run tries again, not this one every
        other second. One that was superseded is passed on with its newer facts."""
        if isinstance(item, PackageItem) and exception.log_level == "ERROR":
            self.refused.add(item.normalized_name)

    async def item_failed(self, item: Any, failure: Failure) -> None:
        await super().item_failed(item, failure)
        if isinstance(item, PackageItem):
            self.refused.add(item.normalized_name)

    async def all_requests(self) -> AsyncIterator[Request]:
        """Dirty packages, `requests`, and what these made dirty."""
        try:
            async for request in super().all_requests():
                yield request
        except FetchError:
            if not self.stopping:
                raise
            return  # it was given up because the crawl ends, and whoever ends it says why
        while self._passing_on and not self.stopping:
            await asyncio.sleep(0.05)  # a package that is in the pipelines may have become dirty again
        async for request in self.dirty_packages():
            yield request

    async def changed(self) -> AsyncIterator[Request]:
        """What became dirty since the last look, if that was a while ago."""
        if time.monotonic() - self._passed_on_at >= _PASS_ON_EVERY:
            self._passed_on_at = time.monotonic()
            async for request in self.dirty_packages():
                yield request

    def member_names(self) -> list[str]:
        """The packages of the collections, or the one that was named; blocking. Raises UsageProblem."""
        store = self.session.store
        names = dict.fromkeys(name for p in self.session.profiles for name in store.members(p))
        if self.one is None:
            return list(names)
        if self.one not in names:
            raise UsageProblem(f"{self.one!r} is in none of these collections: crawl it first")
        return [self.one]

    def to_do(self, count: int) -> None:
        """Say how much is to be asked, for the progress."""
        stats = self.crawler.stats
        stats.set_value("pyf/projects/to_check", stats.get_value("pyf/projects/to_check", 0) + count)

    async def wait(self, seconds: float) -> None:
        """Wait in short steps. Raises FetchError when the crawl stops."""
        end = time.monotonic() + seconds
        while not self.stopping:
            if (left := end - time.monotonic()) <= 0:
                return
            await asyncio.sleep(min(left, 0.5))
        raise FetchError("the crawl is stopping", transport=True)


def _package_name(given: Mapping[str, str]) -> str | None:
    """The normalized name of `name=`. Raises UsageProblem."""
    if "name" not in given:
        return None
    try:
        return str(canonicalize_name(given["name"].strip(), validate=True))
    except InvalidName:
        raise UsageProblem(f"name={given['name'][:80]!r} is not a package name") from None
