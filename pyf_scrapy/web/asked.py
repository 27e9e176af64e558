"""What a person asks of a search page: words, choices, order, page; all of it is in the address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pyf_scrapy.exceptions import RequestProblem
from pyf_scrapy.search.queries import MAX_QUERY, PER_PAGE
from pyf_scrapy.web.quoting import all_of, is_value

#: Further pages cost the search server more and more, and nobody reads them.
MAX_PAGE = 250
_MAX_CHOICES = 20
_MAX_VALUE = 300  # characters


class Facet(NamedTuple):
    """Values to choose from, as the packages found have them. `key` is its name in addresses."""

    key: str
    title: str
    field: str
    #: of the values of the field, those that begin so are offered; it is not repeated in each
    prefix: str = ""


class Choice(NamedTuple):
    """A condition to choose, with its name in addresses and for people: which values of a field fit, for the
    search server and as a test of a value."""

    value: str
    title: str
    field: str
    condition: str
    fits: Callable[[Any], bool]


FACETS = (
    Facet("framework", "Framework version", "framework_versions"),
    Facet("python", "Python version", "python_versions"),
    Facet("licence", "Licence", "license_expression"),
    Facet("topic", "Topic", "classifiers", "Topic :: "),
)
#: What `search` takes as facet_query: of all classifiers only topics are counted.
TOPICS_ONLY = "classifiers:Topic"


def _between(value: str, title: str, least: int, most: int) -> Choice:
    field = "health_score"
    return Choice(value, title, field, f"{field}:[{least}..{most}]", lambda score: least <= score <= most)


def _is(value: str, title: str, field: str, wanted: str | bool) -> Choice:
    text = str(wanted).lower() if isinstance(wanted, bool) else wanted
    return Choice(value, title, field, f"{field}:={text}", lambda found: found == wanted)


def _is_some(number: int) -> bool:
    return number > 0


CHOICES: Mapping[str, tuple[Choice, ...]] = {
    "health": (
        _between("good", "80 and more", 80, 100),
        _between("fair", "60 to 79", 60, 79),
        _between("weak", "40 to 59", 40, 59),
        _between("poor", "below 40", 0, 39),
    ),
    "status": (
        _is("archived", "archived on PyPI", "project_status", "archived"),
        _is("deprecated", "deprecated", "project_status", "deprecated"),
        _is("repository-archived", "repository archived", "github_archived", True),
        Choice("vulnerable", "known vulnerabilities", "vulnerabilities", "vulnerabilities:>0", _is_some),
        _is("yanked", "latest release yanked", "yanked", True),
    ),
}
CHOICE_TITLES = {"health": "Health", "status": "Status"}
#: The fields that choices are about.
CHOICE_FIELDS = tuple(dict.fromkeys(choice.field for some in CHOICES.values() for choice in some))

#: Name in addresses -> for people, and Typesense's order; "" is the search's own.
SORTS: Mapping[str, tuple[str, str]] = {
    "relevance": ("relevance", ""),
    "health": ("health", "health_score:desc,_text_match:desc"),
    "downloads": ("downloads", "download_last_month:desc,_text_match:desc"),
    "stars": ("stars", "github_stars:desc,_text_match:desc"),
    "released": ("last release", "upload_timestamp:desc,_text_match:desc"),
}

#: Of all but relevance the field that is sorted by, the highest value first.
SORT_FIELDS = {key: order.partition(":")[0] for key, (_, order) in SORTS.items() if order}

_FIELDS = {facet.key: facet for facet in FACETS}


@dataclass(frozen=True)
class Asked:
    """One search. `chosen`: facet or kind of choice -> the values chosen of it."""

    words: str = ""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = "relevance"
    page: int = 1

    @classmethod
    def from_parameters(cls, parameters: Sequence[tuple[str, str]]) -> Asked:
        """Read the parameters of an address; those of others are left alone.

        Raises RequestProblem, which says what would be right.
        """
        given = dict(parameters)
        words = " ".join(given.get("q", "").split())
        if len(words) > MAX_QUERY:
            raise RequestProblem(f"the words are longer than {MAX_QUERY} characters")
        sort = given.get("sort") or "relevance"
        if sort not in SORTS:
            raise RequestProblem(f"sort={sort[:40]!r}: use {', '.join(SORTS)}")
        return cls(words, _chosen(parameters), sort, _page(given.get("page") or "1"))

    @property
    def filter_by(self) -> str:
        """The choices as a filter of Typesense."""
        return all_of(self._conditions())

    @property
    def sort_by(self) -> str:
        """The order as Typesense takes it."""
        return SORTS[self.sort][1]

    @property
    def is_filtered(self) -> bool:
        """Whether anything is chosen."""
        return any(self.chosen.values())

    def has(self, key: str, value: str) -> bool:
        """Whether a value is chosen."""
        return value in self.chosen.get(key, ())

    def toggled(self, key: str, value: str) -> Asked:
        """The search with a value chosen, or no longer; from its first page on."""
        before = self.chosen.get(key, ())
        now = tuple(v for v in before if v != value) if value in before else (*before, value)
        return replace(self, chosen={**self.chosen, key: now}, page=1)

    def without(self, key: str) -> Asked:
        """The search without the choices of one kind."""
        return replace(self, chosen={name: values for name, values in self.chosen.items() if name != key})

    def unfiltered(self) -> Asked:
        """The search without its choices."""
        return replace(self, chosen={}, page=1)

    def on_page(self, page: int) -> Asked:
        """Another page of it."""
        return replace(self, page=page)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What is chosen, as parameters."""
        return [(key, value) for key, values in self.chosen.items() for value in values]

    @property
    def query(self) -> str:
        """It as the query of an address, with its question mark; "" where nothing is asked."""
        pairs = [("q", self.words)] if self.words else []
        pairs += self.pairs
        if self.sort != "relevance":
            pairs.append(("sort", self.sort))
        if self.page > 1:
            pairs.append(("page", str(self.page)))
        return f"?{urlencode(pairs)}" if pairs else ""

    def _conditions(self) -> Iterator[str]:
        for key, values in self.chosen.items():
            if key in _FIELDS:
                facet = _FIELDS[key]
                yield from (is_value(facet.field, facet.prefix + value) for value in values)
            else:
                conditions = {choice.value: choice.condition for choice in CHOICES[key]}
                yield " || ".join(conditions[value] for value in values)


def pages(found: int) -> int:
    """How many pages so many packages fill, as far as they are shown."""
    return min(max(-(-found // PER_PAGE), 1), MAX_PAGE)


def _chosen(parameters: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    count = 0
    for key, value in parameters:
        if (key not in _FIELDS and key not in CHOICES) or not value.strip():
            continue
        if key in CHOICES and value not in {choice.value for choice in CHOICES[key]}:
            raise RequestProblem(
                f"{key}={value[:40]!r}: use {', '.join(choice.value for choice in CHOICES[key])}"
            )
        count += 1
        if count > _MAX_CHOICES or len(value) > _MAX_VALUE:
            raise RequestProblem(f"choose at most {_MAX_CHOICES} values of {_MAX_VALUE} characters")
        if value not in chosen.get(key, ()):
            chosen[key] = (*chosen.get(key, ()), value)
    return chosen


def _page(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MAX_PAGE):
        raise RequestProblem(f"page={text[:40]!r}: use a number from 1 to {MAX_PAGE}")
    return int(text)
