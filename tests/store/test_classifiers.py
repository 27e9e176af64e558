"""Packed classifiers: what fails here puts packages into the wrong collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import Store
from pyf_scrapy.store.classifiers import ClassifierCodec
from pyf_scrapy.store.database import Database

from .samples import check


@pytest.fixture
def codec(store: Store, url: str) -> Iterator[ClassifierCodec]:
    database = Database(url)
    yield ClassifierCodec(database)
    database.close()


def test_any_classifiers_come_back_as_they_were(codec: ClassifierCodec) -> None:
    codec.learn(f"Topic :: {number}" for number in range(20_000))  # numbers of one, two and three bytes

    @given(st.lists(st.integers(0, 19_999)))
    def same(numbers: list[int]) -> None:
        names = tuple(f"Topic :: {number}" for number in numbers)
        assert codec.decode(codec.encode(names)) == names

    same()


def test_known_classifiers_take_one_or_two_bytes(codec: ClassifierCodec) -> None:
    names = [f"Topic :: {number}" for number in range(900)]
    codec.learn(names)
    assert len(codec.encode(names)) < 1800


def test_another_process_reads_and_adds(store: Store, url: str) -> None:
    with Store(url) as other:
        store.record_checks([check("a", classifiers=("A", "B"))])
        other.record_checks([check("b", classifiers=("C", "B"))])
        store.record_checks([check("c", classifiers=("C", "D"))])
        rows = [other.project(name) for name in "abc"]
        assert [row and row.classifiers for row in rows] == [("A", "B"), ("C", "B"), ("C", "D")]


def test_numbers_survive_a_call_that_failed(store: Store, url: str) -> None:
    with pytest.raises(StoreError):
        store.record_checks([check("a", serial=2**64, classifiers=("A",))])
    store.record_checks([check("a", classifiers=("A",))])
    with Store(url) as other:
        row = other.project("a")
        assert row is not None
        assert row.classifiers == ("A",)


def test_an_unknown_number_is_an_error(codec: ClassifierCodec, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="77"):
        codec.decode(bytes([77]))


def test_name_globs_are_asked_for_each_name(codec: ClassifierCodec) -> None:
    codec.learn(["Framework :: Plone"])
    packed = codec.encode(["Framework :: Plone"])
    matches = codec.matcher(
        Profile(key="p", name="P", classifiers=("Framework :: Plone",), include=("in*",), exclude=("out*",))
    )
    assert [matches("x", packed), matches("out", packed), matches("in", b""), matches("y", b"")] == [
        True,
        False,
        True,
        False,
    ]
