"""The parts of the API without a server: what fits a pattern of the description can be read, cursors are only
taken back where they were given out, and nobody waits for what is being read anew.
"""

from __future__ import annotations

import re
import threading
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pyf_scrapy.web.catalogue import Catalogue, Packages, row_of
from pyf_scrapy.web.conditional import is_known
from pyf_scrapy.web.cursors import PATTERN, CursorError, decode_cursor, encode_cursor, query_digest
from pyf_scrapy.web.filters import Filters
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


@given(st.text(max_size=100) | st.integers(0, 2**31 - 1))
def test_a_cursor_leads_back_to_its_position(position: str | int) -> None:
    cursor = encode_cursor(DIGEST, position)
    assert decode_cursor(cursor, DIGEST, type(position)) == position
    assert re.fullmatch(PATTERN, cursor), "the API would refuse what it gave out"
    for digest, kind in ((query_digest({"a": 2}), type(position)), (DIGEST, float)):
        with pytest.raises(CursorError):
            decode_cursor(cursor, digest, cast(Any, kind))


@given(st.from_regex(r"\A[A-Za-z0-9_-]{1,100}\Z"))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor(text, DIGEST, str)


@pytest.mark.parametrize("position", [-1, 2**31, 2**40])
def test_a_position_beyond_all_lists_is_no_cursor(position: int) -> None:
    with pytest.raises(CursorError):
        decode_cursor(encode_cursor(DIGEST, position), DIGEST, int)


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

    def index_states(self, _collection: str) -> dict[str, bytes]:
        return dict(self.states)

    def search(self, _operation: object) -> dict[str, Any]:
        self.asked.set()
        assert self.go_on.wait(30)
        return {name: document(name) for name in self.states}


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
