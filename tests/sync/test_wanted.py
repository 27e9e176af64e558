"""Whom to ask first: with 60 requests an hour, a wrong order means that most are never asked."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.sync.wanted import most_wanted

NOW, DAY = 1_795_255_200, 86_400

names = st.lists(st.sampled_from("abcdefghij"), unique=True)
stamps = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, NOW))
weights = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 10**9))
ages = st.floats(0, 100 * DAY)


def test_the_new_before_the_old_and_the_heavy_before_the_light() -> None:
    asked_at = {"old": NOW - 3 * DAY, "older": NOW - 9 * DAY, "fresh": NOW - 60, "old-heavy": NOW - 3 * DAY}
    weights = {"light": 1, "heavy": 5, "old-heavy": 9, "old": 2}
    wanted = most_wanted(
        ["fresh", "old", "light", "older", "heavy", "old-heavy"], asked_at, weights, now=NOW, max_age=DAY
    )
    assert wanted == ["heavy", "light", "older", "old-heavy", "old"]


@given(names, stamps, weights, ages)
def test_everybody_who_is_due_and_nobody_else(
    names: list[str], asked_at: dict[str, int], weights: dict[str, int], max_age: float
) -> None:
    """Else a run that was killed asks the same again, or somebody is forgotten for ever."""
    wanted = most_wanted(names, asked_at, weights, now=NOW, max_age=max_age)
    due = {name for name in names if name not in asked_at or NOW - asked_at[name] >= max_age}
    assert set(wanted) == due
    assert len(wanted) == len(due)


@given(names, stamps, weights, ages)
def test_the_order(
    names: list[str], asked_at: dict[str, int], weights: dict[str, int], max_age: float
) -> None:
    """The order does not depend on the order given, and nobody comes before one who is wanted more."""
    wanted = most_wanted(names, asked_at, weights, now=NOW, max_age=max_age)
    assert wanted == most_wanted(names[::-1], asked_at, weights, now=NOW, max_age=max_age)
    for first, second in pairwise(wanted):
        assert (first not in asked_at) >= (second not in asked_at)
        if first in asked_at:
            assert (NOW - asked_at[first]) // DAY >= (NOW - asked_at[second]) // DAY
        elif second not in asked_at:
            assert weights.get(first, 0) >= weights.get(second, 0)


@given(st.sets(st.integers(0, 99), min_size=1), st.integers(1, 20))
def test_within_a_small_budget_everybody_gets_their_turn(people: set[int], budget: int) -> None:
    """One run a day with room for few: whoever weighs little is asked all the same."""
    asked_at: dict[str, int] = {}
    names = [str(number) for number in people]
    weights = {name: int(name) for name in names}
    for day in range(-(-len(names) // budget)):
        now = NOW + day * DAY
        for name in most_wanted(names, asked_at, weights, now=now, max_age=DAY)[:budget]:
            asked_at[name] = now
    assert set(asked_at) == set(names)
