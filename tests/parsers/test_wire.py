"""The rules that all parsers share: names, serials, times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import InvalidName, canonicalize_name

from pyf_scrapy.parsers import wire


def packaging_accepts(name: str) -> bool:
    try:
        canonicalize_name(name, validate=True)
    except InvalidName:
        return False
    return True


_NAMES = st.text(max_size=6) | st.from_regex(r"[A-Za-z0-9._-]{1,8}\n?")


@settings(max_examples=200)
@given(_NAMES)
def test_names_are_those_of_packaging(name: str) -> None:
    """A name that other tools refuse could stand for a path or another package."""
    assert wire.is_name(name) == packaging_accepts(name)


@settings(max_examples=300)
@given(st.lists(_NAMES | st.just("a" * 256), max_size=4))
def test_many_names_are_looked_at_as_one_is(names: list[str]) -> None:
    """Of an index they are looked at thousands at a time: none may pass by its neighbours."""
    assert wire.are_names(names) == all(map(wire.is_name, names))


_SERIALS = st.integers(0, 2**63 - 1) | st.sampled_from([-1, 2**63, None, "7", "x", True])


@settings(max_examples=300)
@given(st.lists(_SERIALS, max_size=4))
def test_many_serials_are_read_as_one_is(values: list[int | str | None]) -> None:
    """A serial that no store can hold would end the crawl."""
    assert wire.as_counts(values) == [wire.as_count(value) for value in values]


@settings(max_examples=200)
@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001  zones follow
    st.integers(-1439, 1439),
)
def test_times(moment: datetime, minutes: int) -> None:
    """An upload time off by a zone would put a release on the wrong day."""
    utc = moment.replace(tzinfo=UTC)
    seconds = int((utc.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    assert wire.epoch(moment.isoformat()) == seconds
    assert wire.epoch(moment.isoformat() + "Z") == seconds
    assert wire.epoch(utc.astimezone(timezone(timedelta(minutes=minutes))).isoformat()) == seconds


@pytest.mark.parametrize(
    "value", [None, "", "now", "2020-13-01", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
def test_no_time(value: str | None) -> None:
    assert wire.epoch(value) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (wire.MAX_INT, wire.MAX_INT),
        (wire.MAX_INT + 1, None),
        (-1, None),
        (True, None),
        (5.0, None),
        (None, None),
        ("007", 7),
        (str(wire.MAX_INT + 1), None),
        ("+5", None),
        (" 5", None),
        ("٣", None),
        ("9" * 5000, None),
    ],
)
def test_serials_fit_the_stores(value: int | float | str | None, number: int | None) -> None:
    assert wire.as_count(value) == number
