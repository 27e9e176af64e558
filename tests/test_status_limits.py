"""`scrapy status --check` is what wakes somebody up: it must not sleep itself, and not cry wolf."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.environment import read_environment
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.status.limits import LimitCheck, Limits, judge

NOW = 1_795_953_600  # a Sunday, 12:00
LIMITS = Limits(coverage=0.9, feeds=60, index=100, refresh=200)
#: What is just within all limits.
WITHIN: dict[str, Any] = {
    "checked": 90,
    "listed": 100,
    "collections": {"plone": (9, 10)},
    "documents": {"plone": (90, 100)},
    "feeds": 60,
    "index": 100,
    "unchecked": 100,
    "refresh": 200,
}


def missed(limits: Limits = LIMITS, **changed: Any) -> list[str]:
    return [check.name for check in judge(limits, **{**WITHIN, **changed}) if not check.ok]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"checked": 89}, ["coverage"]),
        ({"collections": {"plone": (8, 10), "django": (10, 10)}}, ["indexed:plone"]),
        ({"documents": {"plone": (89, 100), "django": (None, 1)}}, ["search:plone", "search:django"]),
        ({"feeds": 61}, ["feeds"]),
        ({"index": 101}, ["index"]),
        ({"unchecked": 101}, ["unchecked"]),
        ({"refresh": 201}, ["refresh"]),
    ],
)
def test_each_limit_is_missed_by_the_least(changed: dict[str, Any], expected: list[str]) -> None:
    assert missed(**changed) == expected


def test_what_never_ran_misses_nothing_but_the_index_and_what_was_asked_for() -> None:
    never = dict.fromkeys(("checked", "listed", "feeds", "index", "unchecked", "refresh"))
    assert missed(LIMITS, **never, collections={}) == ["coverage", "index"]
    assert missed(collections={"flask": None}) == ["indexed:flask"]
    assert missed(collections={"flask": (0, 0)}) == []  # made a moment ago, or of a profile without packages


def test_an_index_that_nobody_needs_is_not_judged() -> None:
    """A folder with collections of names reads none: its alarm would never end."""
    assert missed(checked=None, listed=None, index=None, index_needed=False) == []
    assert missed(checked=1, index=10**9, unchecked=10**9, index_needed=False) == []
    assert missed(refresh=201, index_needed=False) == ["refresh"]


def test_zero_is_no_limit() -> None:
    late = dict.fromkeys(("feeds", "index", "unchecked", "refresh"), 10**9)
    none = Limits(coverage=0, feeds=0, index=0, refresh=0)
    assert missed(none, checked=0, collections={"plone": None}, **late) == []
    assert missed(replace(none, feeds=1), **late) == ["feeds"]
    assert {check.limit for check in judge(none, **WITHIN)} == {None}


def test_a_script_can_read_how_bad_it_is() -> None:
    coverage, indexed, search, *lanes = judge(LIMITS, **{**WITHIN, "checked": 50, "feeds": None})
    assert coverage == LimitCheck("coverage", 0.5, 0.9, ok=False)
    assert indexed == LimitCheck("indexed:plone", 0.9, 0.9, ok=True)
    assert search == LimitCheck("search:plone", 0.9, 0.9, ok=True)
    assert lanes[0] == LimitCheck("feeds", None, 60, ok=True)
    assert lanes[1:3] == [LimitCheck("index", 100, 100, ok=True), LimitCheck("unchecked", 100, 100, ok=True)]


def test_the_limits_are_settings(tmp_path: Path) -> None:
    given = {
        "STATUS_MIN_COVERAGE": "0.5",
        "STATUS_MAX_FEEDS_LAG": "1",
        "STATUS_MAX_INDEX_LAG": "2",
        "STATUS_MAX_REFRESH_LAG": "0",
    }
    assert Limits.from_settings(read_environment(given, tmp_path), NOW) == Limits(0.5, 1, 2, 0)
    with pytest.raises(UsageProblem, match=r"STATUS_MIN_COVERAGE=.* must be a number from 0 to 1"):
        Limits.from_settings({"STATUS_MIN_COVERAGE": "99.9"}, NOW)


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        ({}, 25),
        ({"SCHEDULE_REFRESH": ""}, 25),  # somebody else starts it
        ({"SCHEDULE_REFRESH": "0 3 * * *"}, 25),
        ({"CELERY_SCHEDULE_WEEKLY_REFRESH": "0 2 * * 0"}, 7 * 25),
        ({"SCHEDULE_REFRESH": "0 9-17 * * 1-5"}, 3 * 25),
        ({"SCHEDULE_REFRESH": "0 2 * * 0", "STATUS_MAX_REFRESH_LAG": "7200"}, 2),
    ],
)
def test_a_refresh_is_late_by_its_own_times(tmp_path: Path, given: dict[str, str], hours: int) -> None:
    """Who brings a weekly refresh along would be woken up on six days of seven."""
    assert Limits.from_settings(read_environment(given, tmp_path), NOW).refresh == hours * 3600
