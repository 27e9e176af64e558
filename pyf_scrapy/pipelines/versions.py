"""Parses every release's version."""

from __future__ import annotations

from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.versions import version_fields


class VersionsPipeline:
    """Sets `versions`: version string as listed -> its components and its place in the order."""

    def process_item(self, item: PackageItem) -> PackageItem:
        item.versions = {
            release.version: version_fields(release.version, yanked=release.yanked)
            for release in item.releases
        }
        return item
