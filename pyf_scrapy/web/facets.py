"""How many packages each choice of a search would leave: for the pages and for the API.

The search server counts the values of fields; what people choose from is these, or made of them: bands of
health, states. Of a kind of choice whose values any will do (health, status) those count that would be found
without a choice of that kind; otherwise nothing could be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.queries import PER_PAGE, SearchResult, search
from pyf_scrapy.web.asked import (
    CHOICE_FIELDS,
    CHOICE_TITLES,
    CHOICES,
    FACETS,
    TOPICS_ONLY,
    Asked,
    Choice,
    Facet,
)
from pyf_scrapy.web.site import Site

_FIELDS = tuple(facet.field for facet in FACETS)
#: What collections that were made earlier do not count.
_LATER = frozenset({"health_score", "vulnerabilities"})
_VALUE: msgspec.json.Decoder[int | bool] = msgspec.json.Decoder(int | bool)


@dataclass(frozen=True)
class Value:
    """A value to choose; `count` None = not counted."""

    value: str
    title: str
    count: int | None
    chosen: bool


@dataclass(frozen=True)
class Group:
    """The values of a facet or kind of choice; of a facet those that are chosen, and then those that most
    packages have, first."""

    key: str
    title: str
    values: list[Value]


def counted_search(
    site: Site, profile: Profile, asked: Asked, *, per_page: int = PER_PAGE
) -> tuple[SearchResult, list[Group]]:
    """The page of packages that is asked for, and what can be chosen. Raises SearchError."""
    found = _search(site, profile, asked, per_page, (*_FIELDS, *CHOICE_FIELDS))
    groups = [group for facet in FACETS if (group := _facet(facet, asked, found))]
    for key in CHOICES:
        counted = found
        if asked.chosen.get(key):
            counted = _search(site, profile, asked.without(key).on_page(1), 1, CHOICE_FIELDS)
        groups.append(Group(key, CHOICE_TITLES[key], list(_choices(key, asked, counted))))
    return found, groups


def _search(
    site: Site, profile: Profile, asked: Asked, per_page: int, fields: tuple[str, ...]
) -> SearchResult:
    def ask(fields: tuple[str, ...]) -> SearchResult:
        return site.search(
            lambda client: search(
                client,
                profile.collection,
                asked.words,
                page=asked.page,
                per_page=per_page,
                filter_by=asked.filter_by,
                sort_by=asked.sort_by,
                facet_by=fields,
                facet_query=TOPICS_ONLY if "classifiers" in fields else "",
            )
        )

    try:
        return ask(fields)
    except SearchError as error:
        if "facet" not in str(error):
            raise
    return ask(tuple(field for field in fields if field not in _LATER))


def _facet(facet: Facet, asked: Asked, found: SearchResult) -> Group | None:
    counts = {
        value.removeprefix(facet.prefix): count
        for value, count in found.facets.get(facet.field, {}).items()
        if value.startswith(facet.prefix)
    }
    values = [Value(value, value, count, asked.has(facet.key, value)) for value, count in counts.items()]
    values.sort(key=lambda value: not value.chosen)
    return Group(facet.key, facet.title, values) if values else None


def _choices(key: str, asked: Asked, found: SearchResult) -> Iterator[Value]:
    for choice in CHOICES[key]:
        counts = found.facets.get(choice.field)
        number = None if counts is None else _fitting(choice, counts)
        yield Value(choice.value, choice.title, number, asked.has(key, choice.value))


def _fitting(choice: Choice, counts: Mapping[str, int]) -> int:
    """How many packages have a value that fits; the search server writes values as texts."""
    return sum(number for text, number in counts.items() if choice.fits(_plain(text)))


def _plain(text: str) -> str | int | bool:
    try:
        return _VALUE.decode(text)
    except msgspec.MsgspecError:
        return text
