"""The parts of the API without a server: what fits a pattern of the description can be read, cursors are only
taken back where they were given out, and nobody waits for what is being read anew.
"""

from __future__ import annotations

import re
import threading
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pyf_scrapy.web.asked import CHOICES, SORT_FIELDS
from pyf_scrapy.web.catalogue import Catalogue, Packages, row_of
from pyf_scrapy.web.conditional import is_known
from pyf_scrapy.web.cursors import PATTERN, CursorError, decode_cursor, encode_cursor, query_digest
from pyf_scrapy.web.filters import Filters, Health, Sort, Status
from pyf_scrapy.web.lookups import look_up
from pyf_scrapy.web.relevance import _Place
from pyf_scrapy.web.site import Site
from pyf_scrapy.web.specifiers import (
    REQUIREMENT_PATTERN,
    VERSION_OR_SPECIFIER_PATTERN,
    admits,
    needs,
    required_name,
    requirement,
    version_or_specifier,
)

DIGEST = query_digest({"a": 1})


def exactly(pattern: str) -> st.SearchStrategy[str]:
    """Texts that fit a pattern; Python's `$` would take a line end, too."""
    return st.from_regex(pattern.removesuffix("$") + r"\Z", alphabet=st.characters(codec="ascii"))


@settings(max_examples=30)
@given(exactly(REQUIREMENT_PATTERN))
def test_every_requirement_that_is_promised_can_be_read(text: str) -> None:
    name, specifier = requirement(text)
    assert required_name(text) == name
    assert needs(name, specifier) in {True, False}


@settings(max_examples=30)
@given(exactly(VERSION_OR_SPECIFIER_PATTERN))
def test_every_version_and_specifier_that_is_promised_can_be_read(text: str) -> None:
    assert isinstance(version_or_specifier(text), Version | SpecifierSet)
    assert admits("", version_or_specifier(text)) or not isinstance(version_or_specifier(text), Version)


@given(st.text(max_size=200))
def test_whatever_packages_say_they_are_compared(text: str) -> None:
    asked = SpecifierSet(">=2")
    assert admits(text, asked) in {True, False}
    assert needs(text, asked) in {True, False}


def test_a_requirement_by_address_may_be_met_by_any_version() -> None:
    assert needs("a @ https://example.org/a.zip", SpecifierSet("<1"))
    assert not needs("a>=2", SpecifierSet("<1"))
    assert not needs("(((", SpecifierSet("<1"))


@given(st.text(max_size=100))
def test_a_cursor_leads_back_to_its_position(position: str) -> None:
    cursor = encode_cursor(DIGEST, position)
    assert decode_cursor(cursor, DIGEST) == position
    assert re.fullmatch(PATTERN, cursor), "the API would refuse what it gave out"
    with pytest.raises(CursorError):
        decode_cursor(cursor, query_digest({"a": 2}))


@given(st.from_regex(r"\A[A-Za-z0-9_-]{1,100}\Z"))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor(text, DIGEST)


@pytest.mark.parametrize("place", ["", "-1 a", "20001 a", "x", "١ a"])
def test_a_place_that_no_search_has_is_no_cursor(place: str) -> None:
    with pytest.raises(CursorError):
        _Place.of(encode_cursor(DIGEST, place), DIGEST)


def test_any_answer_is_known_to_who_says_so() -> None:
    assert is_known("*", '"a"')
    assert is_known('W/"b", "a"', '"a"')
    assert not is_known('"a', '"a"')
    assert not is_known(None, '"a"')


def document(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "name_normalized": name, "version": "1", "keywords": [], **more}


def test_a_name_and_a_specifier_must_both_fit() -> None:
    both = Filters(name=["a.b", "c"], specifier=["A_B>1", "d"])
    assert both.asked_names() == {"a-b"}
    assert Filters().asked_names() is None
    rows = [row_of(document(name)) for name in ("a-b", "c", "d")]
    assert [row.name for row in rows if all(test(row) for test in both.tests())] == ["a-b"]


@pytest.mark.parametrize(
    "asked", ["ada  lovelace", "Grace Hopper", "Alan", "Ada Lovelace; Grace Hopper, Alan"]
)
def test_each_of_several_authors_is_found(asked: str) -> None:
    row = row_of(document("a", author="Ada Lovelace; Grace Hopper, Alan"))
    (test,) = Filters(author=asked).tests()
    assert test(row)


def test_packages_are_listed_after_a_name() -> None:
    rows = {name: row_of(document(name)) for name in ("a", "a-b", "b")}
    packages = Packages(rows, sorted(rows))
    assert [row.name for row in packages.after("a")] == ["a-b", "b"]
    assert [row.name for row in packages.after("zz")] == []
    assert len(list(packages.after(""))) == 3


class SlowSite:
    """The parts of a site that a catalogue uses; `search` waits until it is told to go on."""

    def __init__(self) -> None:
        self.store = self
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.states: dict[str, bytes] = {}
        self.documents: dict[str, dict[str, Any]] = {}

    def index_states(self, _collection: str) -> dict[str, bytes]:
        return dict(self.states)

    def search(self, _operation: object) -> dict[str, Any]:
        self.asked.set()
        assert self.go_on.wait(30)
        return {name: self.documents.get(name, document(name)) for name in self.states}

    def has(self, *documents: dict[str, Any]) -> None:
        """Have these and no others."""
        self.documents = {one["name_normalized"]: one for one in documents}
        self.states = {name: str(one).encode() for name, one in self.documents.items()}
        self.go_on.set()


def test_nobody_waits_while_what_has_changed_is_read() -> None:
    site = SlowSite()
    catalogue = Catalogue(cast(Site, site), patience=0)
    site.states = {"a": b"1"}
    site.go_on.set()
    assert list(catalogue.packages("plone").by_name) == ["a"]
    site.go_on.clear()
    site.asked.clear()
    site.states = {"a": b"1", "b": b"1"}
    reading = threading.Thread(target=catalogue.packages, args=("plone",))
    reading.start()
    assert site.asked.wait(30)
    assert list(catalogue.packages("plone").by_name) == ["a"]
    site.go_on.set()
    reading.join()
    assert list(catalogue.packages("plone").by_name) == ["a", "b"]
    site.states = {"b": b"1"}
    assert list(catalogue.packages("plone").by_name) == ["b"]


def test_who_needs_whom_follows_every_change() -> None:
    """ "Needed by" would else name packages that have stopped requiring one, or are gone."""
    site = SlowSite()
    catalogue = Catalogue(cast(Site, site), patience=0)
    base = document("base", requires_dist=["base[all]; extra == 'more'"])
    site.has(base, document("a", requires_dist=["Base>=1", "other"]), document("b", requires_dist=["BASE"]))
    assert catalogue.packages("plone").needed_by == {"base": {"a", "b"}, "other": {"a"}}
    site.has(base, document("a", requires_dist=["base-more"]), document("b", requires_dist=["base"]))
    assert catalogue.packages("plone").needed_by == {"base": {"b"}, "base-more": {"a"}}
    site.has(base)
    assert catalogue.packages("plone").needed_by == {}


def of_repository(name: str, repository: str) -> dict[str, Any]:
    return document(name, github_url=f"https://github.com/{repository}")


def test_what_is_looked_up_twice_is_answered_once_and_a_monorepo_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred spellings of a repository of hundreds of packages would else be an answer of 100 MB."""
    site = SlowSite()
    site.has(
        *(of_repository(f"part-{number:02}", "Big/Mono") for number in range(25)),
        *(of_repository(f"small-{number}", f"small/{number}") for number in range(5)),
    )
    packages = Catalogue(cast(Site, site), patience=0).packages("plone")
    spellings = ["https://github.com/big/mono", "git@github.com:BIG/mono.git", "x", "x"]
    answer = look_up(packages, ["Part_01", "part-01", "nobody", "PART.01"], spellings)
    assert [one["asked"] for one in answer["names"]] == ["Part_01", "nobody"]
    assert [(one["asked"], one["found"]) for one in answer["repositories"]] == [(spellings[0], 25), ("x", 0)]
    named = [row["name"] for row in answer["repositories"][0]["packages"]]
    assert named == [f"part-{number:02}" for number in range(20)]
    monkeypatch.setattr("pyf_scrapy.web.lookups.MOST_OF_ALL", 22)
    several = [spellings[0], *(f"https://github.com/small/{number}" for number in range(5))]
    found = look_up(packages, [], several)["repositories"]
    assert [len(one["packages"]) for one in found] == [20, 1, 1, 0, 0, 0]
    assert [one["found"] for one in found] == [25, 1, 1, 1, 1, 1]


def test_the_api_offers_the_choices_of_the_pages() -> None:
    assert get_args(Health) == tuple(choice.value for choice in CHOICES["health"])
    assert get_args(Status) == tuple(choice.value for choice in CHOICES["status"])
    assert get_args(Sort) == tuple(SORT_FIELDS)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"health": ["good", "poor"]}, ["a", "c"]),
        ({"health": ["fair"]}, ["b"]),
        ({"status": ["archived", "vulnerable"]}, ["a", "b"]),
        ({"status": ["repository-archived"]}, ["c"]),
        ({"framework": ["Plone 6.0", "Plone 6.1"]}, ["a"]),
        ({"python": ["Python 3.12"]}, ["b"]),
        ({"licence": "MIT"}, ["a"]),
        ({"topic": ["Software"]}, ["b"]),
        ({"depends_on": ["c"]}, ["a"]),
    ],
)
def test_what_is_chosen_on_the_pages_can_be_chosen_here(query: dict[str, Any], found: list[str]) -> None:
    rows = [
        row_of(
            document(
                "a",
                health_score=80,
                project_status="archived",
                vulnerabilities=0,
                framework_versions=["Plone 6.0", "Plone 6.1"],
                license_expression="MIT",
                requires_dist=["c"],
            )
        ),
        row_of(
            document(
                "b",
                health_score=79,
                vulnerabilities=2,
                framework_versions=["Plone 6.0"],
                python_versions=["Python 3.12"],
                classifiers=["Topic :: Software"],
            )
        ),
        row_of(document("c", health_score=0, github_archived=True, requires_dist=["c[x]; extra == 'y'"])),
        row_of(document("d", classifiers=["Topic :: Software :: Libraries"], license_expression="MIT-0")),
    ]
    tests = Filters(**query).tests()
    assert [row.name for row in rows if all(test(row) for test in tests)] == found
