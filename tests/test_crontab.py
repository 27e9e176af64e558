"""Crontab expressions: read as cron reads them, also when clocks are put forward or back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.crontab import DAY, Crontab, time_zone

BERLIN = ZoneInfo("Europe/Berlin")


def times(text: str, zone: str, start: str, count: int) -> list[str]:
    """The next `count` times after a local time, as local times with their offset."""
    there = ZoneInfo(zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=there).timestamp()
    found = []
    for _ in range(count):
        moment = Crontab(text).next_after(moment, there)
        found.append(f"{datetime.fromtimestamp(moment, there):%d %H:%M %z}")
    return found


class TestReading:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("* * * *", "does not have five fields"),
            ("0 0 0 * * *", "does not have five fields"),
            ("@daily", "does not have five fields"),
            ("60 * * * *", "has no valid minute"),
            ("* 24 * * *", "has no valid hour"),
            ("* * 0 * *", "has no valid day of the month"),
            ("* * * 13 *", "has no valid month"),
            ("* * * * 8", "has no valid day of the week"),
            ("* * * * 1-", "has no valid day of the week"),
            ("*/0 * * * *", "has no valid minute"),
            ("0 9-5 * * *", "has no valid hour"),
            ("0 0 30 2 *", "has no valid day of the month"),
            ("0 0 * foo *", "has no valid month"),
            ("٣ * * * *", "has no valid minute"),
            ("* * * * *" + " " * 300, "is too long"),
        ],
    )
    def test_a_wrong_one_is_refused_with_what_is_wrong(self, text: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            Crontab(text)

    @pytest.mark.parametrize(
        "text", ["5/10 * * * *", "0-00/5 * * * *", "0 0 L * *", "0 0 * * 5L", "0 0 * * MON#2", "0 0 LW * *"]
    )
    def test_what_only_some_programs_know_is_refused(self, text: str) -> None:
        """Else the lines for cron would do something else, or nothing."""
        with pytest.raises(ValueError, match="has no valid"):
            Crontab(text)

    def test_sunday_is_0_and_7_and_sun(self) -> None:
        """Some libraries count from Monday: downloads would come on another day."""
        sundays = {tuple(times(f"0 4 * * {day}", "UTC", "2026-11-25", 2)) for day in ("0", "7", "sun", "SUN")}
        assert sundays == {("29 04:00 +0000", "06 04:00 +0000")}

    def test_a_day_of_the_month_and_one_of_the_week_are_either_as_with_cron(self) -> None:
        assert times("0 0 1 * 1", "UTC", "2026-11-29", 3) == [
            "30 00:00 +0000",
            "01 00:00 +0000",
            "07 00:00 +0000",
        ]
        assert times("0 0 */2 * 1", "UTC", "2026-11-22", 1) == ["23 00:00 +0000"]

    def test_equal_ones_are_equal(self) -> None:
        assert Crontab("0  4 * * *") == Crontab("0 4 * * *") != Crontab("0 5 * * *")
        assert len({Crontab("0 4 * * *"), Crontab(" 0 4 * * *")}) == 1
        assert repr(Crontab("0  4 * * *")) == "Crontab('0 4 * * *')"

    def test_runs_a_day(self) -> None:
        expected = {
            "*/30 * * * *": 48,
            "5 * * * *": 24,
            "0 8,20 * * *": 2,
            "0 2 * * 0": 1,
            "0 9-17 * * 1-5": 9,
        }
        for text, count in expected.items():
            for moment in (1_764_400_000, 1_764_400_000 - DAY, 1_764_345_000):  # a Saturday and Fridays
                assert Crontab(text).runs_a_day(moment) == count, text

    def test_the_longest_round(self) -> None:
        expected = {
            "* * * * *": DAY,
            "5 * * * *": DAY,
            "0 8,20 * * *": DAY,
            "0 9-17 * * 1-5": 3 * DAY,
            "0 2 * * 0": 7 * DAY,
            "0 3 1 * *": 31 * DAY,
        }
        for text, seconds in expected.items():
            assert Crontab(text).longest_round(1_764_400_000) == seconds, text
        assert Crontab("0 0 29 2 *").longest_round(3_600_000_000) == 2921 * DAY, "2100 has none"


class TestClocksThatChange:
    def test_a_time_that_is_left_out_comes_at_the_end_of_the_gap(self) -> None:
        assert times("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == [
            "29 03:00 +0200",
            "30 02:30 +0200",
        ]

    def test_a_time_that_comes_twice_is_due_once(self) -> None:
        """Else the weekly downloads would be asked for twice."""
        assert times("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 2) == [
            "25 02:30 +0200",
            "26 02:30 +0100",
        ]

    def test_in_the_second_of_two_hours_the_first_is_over(self) -> None:
        second = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()
        at = Crontab("30 2 * * *").next_after(second, BERLIN)
        assert datetime.fromtimestamp(at, BERLIN).isoformat() == "2026-10-26T02:30:00+01:00"

    def test_what_comes_each_half_hour_goes_on_through_both(self) -> None:
        """Else the index would not be read for an hour."""
        for start in ("2026-03-29 00:30", "2026-10-25 00:30"):
            moment = datetime.fromisoformat(start).replace(tzinfo=BERLIN).timestamp()
            for _ in range(12):
                following = Crontab("*/30 * * * *").next_after(moment, BERLIN)
                assert following == moment + 1800
                moment = following

    def test_what_never_comes_again_is_infinitely_far(self) -> None:
        assert Crontab("0 0 29 2 *").next_after(0, UTC) < float("inf")


def test_a_time_zone_that_the_system_lacks_is_an_error() -> None:
    assert time_zone("UTC") is UTC
    assert time_zone("Europe/Berlin").utcoffset(datetime(2026, 7, 1)) == timedelta(hours=2)  # noqa: DTZ001
    with pytest.raises((LookupError, ValueError, OSError)):
        time_zone("Mars/Phobos")


def field(least: int, most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    spans = st.tuples(numbers, numbers, st.sampled_from(["", "/2", "/7"])).map(
        lambda span: f"{min(span[:2])}-{max(span[:2])}{span[2] if span[0] != span[1] else ''}"
    )
    lists = st.lists(numbers.map(str) | spans, min_size=1, max_size=3).map(",".join)
    return st.sampled_from(["*", "*", "*/2", "*/5"]) | lists


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), st.just("*"), st.just("*"), field(0, 7)).map(" ".join)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
]
#: Around the days on which clocks are changed, and others.
MOMENTS = st.one_of(
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-25"]),
    st.sampled_from(["2026-10-29", "2026-11-01", "2026-12-31"]),
).flatmap(
    lambda day: st.integers(-100_000, 100_000).map(
        lambda seconds: datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + seconds
    )
)


def numbers_of(text: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (least, most) if span == "*" else (int(first), int(last or first))
        found.update(range(low, high + 1, int(step or 1)))
    return found


def model(text: str, moment: float, zone: ZoneInfo, within: int) -> float | None:
    """The first minute after `moment` at which Debian's cron would run it, looked for minute by minute."""
    minute, hour, _, _, weekday = text.split()
    minutes, hours = numbers_of(minute, 0, 59), numbers_of(hour, 0, 23)
    weekdays = {number % 7 for number in numbers_of(weekday, 0, 7)}
    is_fixed = not minute.startswith("*") and not hour.startswith("*")

    def matches(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours and wall.isoweekday() % 7 in weekdays

    at = int(moment) // 60 * 60
    before = datetime.fromtimestamp(at, zone)
    for _ in range(within):
        at += 60
        wall = datetime.fromtimestamp(at, zone)
        skipped = round(((wall.utcoffset() or before.utcoffset()) - before.utcoffset()).total_seconds() / 60)  # type: ignore[operator]
        walls = [wall.replace(tzinfo=None) - timedelta(minutes=back) for back in range(max(skipped, 0) + 1)]
        if (not is_fixed and matches(wall)) or (is_fixed and not wall.fold and any(map(matches, walls))):
            return float(at)
        before = wall
    return None


@given(EXPRESSIONS, MOMENTS, st.sampled_from(ZONES))
@settings(max_examples=60)
def test_the_next_time_is_that_of_debians_cron(text: str, moment: float, zone: str) -> None:
    there, within = ZoneInfo(zone), 1600
    at = Crontab(text).next_after(moment, there)
    assert at > moment
    expected = model(text, moment, there, within)
    if expected is None:
        assert at > moment + (within - 1) * 60
    else:
        assert at == expected, (time.ctime(at), time.ctime(expected))
