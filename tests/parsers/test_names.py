"""Names go into addresses and file names: what is no name must not get there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.parsers.names import LONGEST, package_names


def test_a_name_may_not_be_longer_than_any() -> None:
    assert package_names(["a" * LONGEST]) == ("a" * LONGEST,)
    with pytest.raises(UsageProblem):
        package_names(["a" * (LONGEST + 1)])


def test_spellings_of_one_name_are_one() -> None:
    assert package_names(["Plone.API", "plone_api", "Zope", "plone--api"]) == ("plone-api", "zope")
    assert package_names([]) == ()


@pytest.mark.parametrize("text", ["", " a", "a b", "-a", "a-", "../a", "a/b", "a\n", "é", "\u212a"])
def test_what_is_no_name_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageProblem) as error:
        package_names(["good", text])
    message = str(error.value)
    assert message.endswith("is not a package name")
    assert "\n" not in message
    assert len(message) < 120


@given(st.lists(st.text(alphabet="aZ0._-/é\n ", max_size=6) | st.text(max_size=6), max_size=4))
def test_whatever_is_given_comes_out_normal_or_not_at_all(texts: list[str]) -> None:
    try:
        names = package_names(texts)
    except UsageProblem:
        return
    assert len(set(names)) == len(names) <= len(texts)
    for name in names:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert package_names([name]) == (name,)
