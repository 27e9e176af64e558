"""An answer taken for fresh although it is old is a release that the index does not show."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.records import File
from pyf_scrapy.sync.staleness import (
    FIRST_DELAY,
    PATIENCE,
    TOO_EARLY,
    Promise,
    is_stale,
    is_too_early,
    retry_delay,
)


@pytest.mark.parametrize(("serial", "stale"), [(99, True), (100, False), (101, False)])
def test_an_answer_below_the_serial_of_the_index_is_stale(serial: int, stale: bool) -> None:
    assert is_stale(Promise(serial=100), serial, None) is stale


def test_without_a_promise_nothing_is_stale() -> None:
    assert not is_stale(Promise(), 0, ())


@pytest.mark.parametrize(
    ("named", "listed", "stale"),
    [
        ("2.0", ["1.0"], True),
        ("2.0", ["1.0", "2.0"], False),
        ("2.0", [], True),
        ("2.0", None, False),  # the answer does not list releases: it says nothing about them
        ("2.0.0", ["2.0"], False),
        ("2.0rc1", ["2.0-RC.1"], False),
        ("1!2.0", ["2.0"], True),
        ("2010-01-01x", ["2010-01-01x"], False),
        ("2010-01-01x", ["2.0", "not a version"], True),
        ("2.0", ["not a version"], True),
    ],
)
def test_an_answer_without_the_release_that_a_feed_names_is_stale(
    named: str, listed: list[str] | None, stale: bool
) -> None:
    assert is_stale(Promise(version=named), 100, listed) is stale


def test_the_serial_counts_even_if_the_release_is_there() -> None:
    assert is_stale(Promise(serial=100, version="2.0"), 99, ["2.0"])
    assert not is_stale(Promise(serial=100, version="2.0"), 100, ["2.0"])


def delays(patience: float, first: float) -> list[float]:
    tries = (retry_delay(attempt, patience, first) for attempt in itertools.count(1))
    return list(itertools.takewhile(lambda delay: delay is not None, tries))  # type: ignore[arg-type]


def test_a_stale_project_is_asked_for_as_long_as_a_cache_may_answer_with_the_old_body() -> None:
    assert delays(PATIENCE, FIRST_DELAY) == [1, 2, 4, 8, 16, 32, 64, 128, 45]


@given(patience=st.floats(0, 3600), first=st.floats(0.01, 100))
def test_the_delays_grow_and_end_with_the_patience(patience: float, first: float) -> None:
    waits = delays(patience, first)
    assert sum(waits) == pytest.approx(patience)
    assert all(wait > 0 for wait in waits)
    assert waits[:-1] == sorted(waits[:-1])
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(waits[:-1]))
    assert retry_delay(len(waits) + 2, patience, first) is None


def test_a_404_right_after_an_upload_proves_nothing() -> None:
    """PyPI keeps a 404 for a minute: a release asked for too early would count as partial for ever."""
    old, new = File(upload_time=1_000), File(upload_time=9_000)
    assert is_too_early([old, new], 9_030.0)
    assert not is_too_early([old, new], 9_000 + TOO_EARLY)
    assert not is_too_early([File()], 9_030.0)
    assert not is_too_early([], 9_030.0)
