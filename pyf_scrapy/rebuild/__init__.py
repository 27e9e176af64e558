"""Collections made anew from the store, beside the live ones: `scrapy collections recreate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store


def half_built(settings: Mapping[str, Any]) -> frozenset[str]:
    """The collections that are being made anew, or that a killed run has left. Raises StoreError."""
    if not has_store(settings):
        return frozenset()
    with open_store(settings, of_any_pypi=True) as store:
        return frozenset(begun.new for begun in store.rebuilds())
