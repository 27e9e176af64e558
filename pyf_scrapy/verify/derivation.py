"""A package's documents, derived anew from stored facts: the steps of the pipelines, in their order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pyf_scrapy.items import PackageItem, health_of, package_item
from pyf_scrapy.metadata.renderer import Renderer, render_releases
from pyf_scrapy.metadata.versions import version_fields
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.documents import documents
from pyf_scrapy.store import ACTIVE, StoredPackage


class Derived:
    """The documents of one package as of any date. Made by `derive`."""

    def __init__(self, item: PackageItem, profile: Profile, today: date, *, all_texts: bool) -> None:
        self._item = item
        self._profile = profile
        self._today = today
        self._all_texts = all_texts
        self._made: dict[date, dict[str, dict[str, Any]]] = {}

    def documents(self, now: date | None) -> dict[str, dict[str, Any]]:
        """By id, with the health as of `now`; None where any date will do, because no health is looked at."""
        if now is None:
            now = next(iter(self._made), self._today)
        if now not in self._made:
            item = self._item
            item.health = health_of(item, now)
            made = documents(item, self._profile, now, all_texts=self._all_texts)
            self._made[now] = {document["id"]: document for document in made}
        return self._made[now]


async def derive(
    package: StoredPackage, profile: Profile, today: date, renderer: Renderer, *, all_texts: bool, source: str
) -> Derived:
    """Render what the documents carry. As in a crawl, a README that breaks its bounds costs its own text.

    `source` is whose downloads they show.
    """
    item = package_item(package, source)
    item.versions = {
        release.version: version_fields(release.version, yanked=release.yanked) for release in item.releases
    }
    item.descriptions, _ = await render_releases(renderer, item.releases, all_texts=all_texts)
    return Derived(item, profile, today, all_texts=all_texts)


def member(package: StoredPackage | None, profile: Profile) -> StoredPackage | None:
    """The package if a collection of the profile has it; the rule of `Store.dirty` and the first pipeline."""
    if package is None or package.status != ACTIVE:
        return None
    return package if profile.matches(package.normalized_name, package.classifiers) else None


def calculated_on(moment: int | None) -> date | None:
    """The date that a document gives (epoch seconds), None where it gives none that can be one."""
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
