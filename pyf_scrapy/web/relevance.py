"""Packages that words find, in the search server's order, from a place on that holds while the index changes.

The search server knows hits by their number only, and whatever is indexed meanwhile moves them. So a cursor
names the last hit that was looked at, too: the next page goes on behind it, wherever it is now, as far as it
is near. Where it is not found any more, its number has to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.queries import search
from pyf_scrapy.web.asked import SORTS
from pyf_scrapy.web.catalogue import Row
from pyf_scrapy.web.cursors import CursorError, decode_cursor, encode_cursor
from pyf_scrapy.web.filters import Filters, Test, passes
from pyf_scrapy.web.quoting import is_one_of
from pyf_scrapy.web.site import Site

_HITS = 100  # of a search, read at once
_NAMED = 500  # packages that the search server can be asked for by name
_MOST_READ = 2_000  # hits that are looked at for one page: others of them may pass no filter
_DEEPEST = 20_000  # hits after which a search has no further page


@dataclass(frozen=True)
class _Place:
    """So many hits were looked at, this one last."""

    number: int = 0
    name: str = ""

    @classmethod
    def of(cls, cursor: str | None, digest: bytes) -> _Place:
        """The place in a cursor. Raises CursorError."""
        if cursor is None:
            return cls()
        number, _, name = decode_cursor(cursor, digest).partition(" ")
        if not (number.isascii() and number.isdecimal() and len(number) < 6 and int(number) <= _DEEPEST):
            raise CursorError("the cursor is none that was given out here")
        return cls(int(number), name)

    def cursor(self, digest: bytes) -> str:
        return encode_cursor(digest, f"{self.number} {self.name}")


class _Hits:
    """The names of the packages that words find, by their place; read a hundred at a time, each once."""

    def __init__(self, site: Site, profile: Profile, words: str, order: str, condition: str) -> None:
        self._site = site
        self._profile = profile
        self._words = words
        self._order = order
        self._condition = condition
        self._pages: dict[int, list[str]] = {}
        self.found = 0

    def after(self, place: _Place) -> Iterator[_Place]:
        """The places of the hits that follow one, each with its name."""
        number = self._number_after(place)
        while True:
            page, within = divmod(number, _HITS)
            names = self._page(page)
            for name in names[within:]:
                number += 1
                yield _Place(number, name)
            if len(names) < _HITS:
                return

    def _number_after(self, place: _Place) -> int:
        """How many hits come before and with the one that was last looked at, now."""
        if not place.name:
            return place.number
        page = max(place.number - 1, 0) // _HITS
        for near in (page, page + 1, page - 1):
            if near >= 0 and place.name in (names := self._page(near)):
                return near * _HITS + names.index(place.name) + 1
        return place.number

    def _page(self, number: int) -> list[str]:
        if number not in self._pages:
            result = self._site.search(
                lambda client: search(
                    client,
                    self._profile.collection,
                    self._words,
                    page=number + 1,
                    per_page=_HITS,
                    filter_by=self._condition,
                    sort_by=self._order,
                    facet_by=(),
                )
            )
            self.found = result.found
            self._pages[number] = [row["name_normalized"] for row in result.rows]
        return self._pages[number]


def relevant(
    site: Site,
    profile: Profile,
    filters: Filters,
    tests: Sequence[Test],
    packages: Mapping[str, Row],
    digest: bytes,
) -> tuple[list[Row], int, str | None]:
    """The hits that pass the tests, from the cursor on; how many the words find; the next cursor.

    Where few packages pass, the words are searched in these alone. Where many do, all hits are looked at.
    `packages` are those of the profile, `digest` is the query's. Raises CursorError, SearchError.
    """
    begun = place = _Place.of(filters.cursor, digest)
    condition = ""
    if tests:
        passing = [name for name, row in packages.items() if passes(row, tests)]
        if not passing:
            return [], 0, None
        if len(passing) <= _NAMED:
            condition = is_one_of("name_normalized", passing)
    hits = _Hits(site, profile, filters.q or "", SORTS[filters.sort or "relevance"][1], condition)
    rows: list[Row] = []
    for looked, here in enumerate(hits.after(begun)):
        is_enough = looked == _MOST_READ or here.number > _DEEPEST
        row = None if is_enough else _row(packages, here.name, tests)
        if is_enough or (row is not None and len(rows) == filters.limit):
            return rows, hits.found, place.cursor(digest) if here.number <= _DEEPEST else None
        if row is not None:
            rows.append(row)
        place = here
    return rows, hits.found, None


def _row(packages: Mapping[str, Row], name: str, tests: Iterable[Test]) -> Row | None:
    row = packages.get(name)
    return row if row is not None and passes(row, tests) else None
