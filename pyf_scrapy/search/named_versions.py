"""Framework versions in the words of a query: "gallery plone 5.2" names Plone 5.2."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import typesense

from pyf_scrapy.search.calls import searches

_MOST_VERSIONS = 250
_REMEMBERED = 60.0  # seconds

_WORD = re.compile(r"[^\W_]+(?:\.[0-9]+)*")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class _Known(NamedTuple):
    """The framework versions of a collection; they hold until that moment of the monotonic clock."""

    versions: tuple[str, ...]
    until: float


#: By the client that has asked, and collection.
_remembered: WeakKeyDictionary[typesense.Client, dict[str, _Known]] = WeakKeyDictionary()


def named_versions(client: typesense.Client, collection: str, query: str) -> list[str]:
    """The framework versions that a query names, of those that packages of a collection claim.

    Raises SearchError.
    """
    if not any(map(_NUMBERS.fullmatch, _WORD.findall(query))):
        return []
    return versions_named(query, _known_versions(client, collection))


def versions_named(query: str, known: Iterable[str]) -> list[str]:
    """Those of the `known` framework versions ("Plone 6.0") that a query names.

    "plone 6" names 6.0 and 6.1 too; a number alone names versions only when it is the whole query.
    """
    words = [word.lower() for word in _WORD.findall(query)]
    numbers = [place for place, word in enumerate(words) if _NUMBERS.fullmatch(word)]
    return [value for value in known if any(_is_named(value, words, place) for place in numbers)]


def _is_named(value: str, words: Sequence[str], place: int) -> bool:
    """Whether the number at `place`, with the words before it, names the framework version `value`."""
    *framework, version = value.lower().split()
    before = list(words[max(0, place - len(framework)) : place])
    fits = version == words[place] or version.startswith(f"{words[place]}.")
    return fits and (before == framework or len(words) == 1)


def _known_versions(client: typesense.Client, collection: str) -> tuple[str, ...]:
    """All framework versions that packages claim, remembered for a while: to count them costs as much as ten
    searches, and new ones are rare."""
    remembered = _remembered.setdefault(client, {})
    now = time.monotonic()
    if collection in remembered and now < remembered[collection].until:
        return remembered[collection].versions
    (found,) = searches(
        client,
        [
            {
                "collection": collection,
                "q": "*",
                "query_by": "name",
                "facet_by": "latest_for",
                "max_facet_values": _MOST_VERSIONS,
                "per_page": 0,
            }
        ],
    )
    versions = tuple(count["value"] for facet in found["facet_counts"] for count in facet["counts"])
    remembered[collection] = _Known(versions, now + _REMEMBERED)
    return versions
