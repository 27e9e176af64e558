"""A package that is never asked about again stays "active" for ever, though its authors archived it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.sync.refresh import PERIOD, due

HOUR = 3600
ages = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.none() | st.integers(0, 10**6), max_size=40
)


def test_without_a_share_all_are_due_never_verified_ones_first() -> None:
    assert due({"b": 5, "a": None, "c": 3, "d": None, "e": 0}) == ["a", "d", "e", "c", "b"]


@given(verified=ages, share=st.floats(0, 1))
def test_a_share_is_that_part_and_the_longest_ago(verified: dict[str, int | None], share: float) -> None:
    names = due(verified, share)
    assert names == due(verified)[: math.ceil(len(verified) * share)]
    assert not names or len(names) >= len(verified) * share


def test_no_share_of_something_is_nothing() -> None:
    assert due({f"p{number}": None for number in range(25)}, 1 / 24) == ["p0", "p1"]
    assert due({}, 1 / 24) == []


@given(verified=ages, postponed=st.sets(st.text("abcdef", min_size=1, max_size=3)))
def test_who_has_to_wait_takes_nobodys_place(verified: dict[str, int | None], postponed: set[str]) -> None:
    others = {name: at for name, at in verified.items() if name not in postponed}
    assert due(verified, 0.3, postponed=postponed) == due(others, 0.3)


def test_packages_that_always_fail_do_not_keep_all_others_from_their_turn() -> None:
    """100 of 240 never answer: that is ten times what an hour's share takes."""
    now = 10 * PERIOD
    verified: dict[str, int | None] = {f"p{number:03}": now - PERIOD for number in range(240)}
    broken = {f"p{number:03}" for number in range(100)}
    failed: dict[str, int] = {}
    for hour in range(24):
        at = now + hour * HOUR
        waiting = {name for name, next_try in failed.items() if next_try > at}
        for name in due(verified, 1 / 24, now=at, postponed=waiting):
            if name in broken:
                failed[name] = at + PERIOD
            else:
                verified[name] = at
    assert all(at is not None and at >= now for name, at in verified.items() if name not in broken)


@given(data=st.data())
def test_each_package_is_verified_again_within_a_day_whatever_comes_in(data: st.DataObject) -> None:
    """An hourly run with a share of 1/24, with new members each hour and a run that takes half an hour."""
    now = 100 * PERIOD
    count = data.draw(st.integers(1, 60))
    verified: dict[str, int | None] = {
        f"p{number:03}": now - 23 * HOUR + number * HOUR * 22 // count for number in range(count)
    }
    for hour in range(49):
        at = now + hour * HOUR
        for _ in range(data.draw(st.integers(0, 3))):
            verified[f"p{len(verified):03}"] = None
        names = due(verified, 1 / 24, now=at)
        for place, name in enumerate(names):
            done = at + place * HOUR // 2 // len(names)
            last = verified[name]
            assert last is None or done - last <= PERIOD, f"{name} waited {done - last} s in hour {hour}"
            verified[name] = done


def test_after_an_outage_all_that_is_late_comes_at_once_without_asking_about_new_ones_sooner() -> None:
    now = 100 * PERIOD
    verified: dict[str, int | None] = {f"late{number:02}": now - 3 * PERIOD for number in range(48)}
    verified |= {f"new{number:02}": None for number in range(48)}
    names = due(verified, 1 / 24, now=now)
    assert names == [f"new{number:02}" for number in range(4)] + [f"late{number:02}" for number in range(48)]
