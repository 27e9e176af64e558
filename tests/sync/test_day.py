"""How soon search finds what the feed shows, through a day of PyPI's volume in virtual time.

"The feed shows it" is the moment from which the CDN's node gives a reader the entry: the upload, or our own
poll when that was the first one after a purge and got the old feed. `make soak` runs whole days and outages;
PYF_SEED is the first seed, and lines that begin with "soak: " are the result.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest

from tests.sync.day import DAY, HOUR, MINUTE, Day, Volume, percentile

MOST_P50, MOST_P99, LEAST_UNCHANGED = 20.0, 45.0, 0.60


def simulate(seed: int, hours: float, volume: Volume | None = None) -> Day:
    """The lanes through some hours of events. Afterwards nothing happens until all caches have expired."""
    day = Day(seed, volume=volume)
    day.happen(hours * HOUR)
    day.start()
    day.run(hours * HOUR)
    day.close_books()
    day.run(hours * HOUR + DAY + HOUR)
    return day


def test_two_hours_of_releases_are_found_within_seconds() -> None:
    day = simulate(1, 2, replace(Volume(), members=12_000, bursts=24))
    delays = day.delays()
    assert len(delays) > 30
    assert percentile(delays, 0.5) <= MOST_P50
    assert percentile(delays, 0.99) <= MOST_P99
    assert day.missed() == 0


def test_members_do_not_wait_behind_a_burst_of_others() -> None:
    """Two monorepos with 450 releases each in 90 seconds: twice as many requests as the ceiling allows."""
    day = Day(1, volume=replace(Volume(), stale_first=0, lost=0, failed=0))
    for monorepo in (1, 2):
        day.burst(20 * MINUTE, 450, monorepo)
    names = sorted(day.members)[::-1][:60]
    for number, name in enumerate(names):
        day.at(20 * MINUTE + 2 * number, partial(day.release, name))
    day.start()
    day.run(HOUR)
    delays = day.delays()
    assert len(delays) >= len(names)
    assert percentile(delays, 0.9) <= MOST_P99


def test_a_refresh_each_hour_reaches_every_member_within_a_day() -> None:
    day = simulate(2, 24, replace(Volume(), members=500, releases=600, bursts=1, new=240))
    assert 22 * HOUR < day.longest_unverified <= DAY
    assert set(day.verified) >= day.members - {found.name for found in day.releases if found.found is None}


def test_after_an_outage_members_come_first() -> None:
    day = Day(3, volume=replace(Volume(), releases=4_000, bursts=2, lost=0), outage=18 * HOUR)
    recovery = recover(day, 18 * HOUR)
    assert recovery.changed > 2_000
    assert recovery.most_members < recovery.most / 3
    assert recovery.members <= recovery.all < HOUR


class Recovery(NamedTuple):
    """Seconds until the state at the end of an outage is known of nine tenths and of all; what it took."""

    changed: int
    most_members: float
    members: float
    most: float
    all: float
    requests: int


def recover(day: Day, outage: float) -> Recovery:
    """Start the lanes after an outage; PyPI goes on as ever."""
    day.happen(0)
    day.happen(2 * DAY, since=0)
    day.run(0)
    everything = day.behind(day.projects)
    left = {"members": [name for name in everything if name.startswith("member")], "all": everything}
    few = {which: len(names) // 10 for which, names in left.items()}
    day.start()
    reached: dict[str, float] = {}
    while left["all"]:
        day.run(day.now + min(120, max(5, outage / 20_000)))
        for which, names in left.items():
            left[which] = day.behind(names)
            if len(left[which]) <= few[which]:
                reached.setdefault(f"most {which}", day.now)
            if not left[which]:
                reached.setdefault(which, day.now)
    requests = sum(count for (lane, _), count in day.answers.items() if lane != "refresh")
    return Recovery(
        len(everything),
        reached["most members"],
        reached["members"],
        reached["most all"],
        reached["all"],
        requests,
    )


def line(day: Day) -> str:
    delays, uploads = day.delays(), day.delays("uploaded")
    return (
        f"{len(delays)} releases of members found p50 {percentile(delays, 0.5):.1f} s, p99 "
        f"{percentile(delays, 0.99):.1f} s after the feed showed them (after the upload: "
        f"{percentile(uploads, 0.5):.1f} s, {percentile(uploads, 0.99):.1f} s), {day.missed()} missed, feed "
        f"overrun {day.overrun} times, verified again within {day.longest_unverified / HOUR:.1f} h, "
        f"{day.requests:,} requests, {day.unchanged:.1%} answered 304"
    )


@pytest.mark.soak
def test_days(capsys: pytest.CaptureFixture[str]) -> None:
    """A week of days of 6,000 members taken together, and a day of 20,000."""
    first = int(os.environ.get("PYF_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        print(f"\nPYF_SEED={first} python -m pytest -m soak tests/sync/test_day.py")
        began, week = time.monotonic(), [simulate(first + number, 24) for number in range(7)]
        for number, day in enumerate(week):
            print(f"day, seed {first + number}, {day.volume.members:,} members: {line(day)}")
        large = simulate(first, 24, replace(Volume(), members=20_000))
        print(f"soak: a day, seed {first}, {large.volume.members:,} members: {line(large)}")
        delays = sorted(delay for day in week for delay in day.delays())
        p50, p99 = percentile(delays, 0.5), percentile(delays, 0.99)
        days = sum(percentile(day.delays(), 0.99) <= MOST_P99 for day in week)
        shares = sorted(day.unchanged for day in week)
        print(
            f"soak: a week, seed {first}, {week[0].volume.members:,} members: p50 {p50:.1f} s, p99 "
            f"{p99:.1f} s ({days} of 7 days have p99 <= {MOST_P99:.0f} s), "
            f"{sum(day.missed() for day in week)} missed, verified again within "
            f"{max(day.longest_unverified for day in week) / HOUR:.1f} h, {shares[0]:.1%} to "
            f"{shares[-1]:.1%} answered 304 ({time.monotonic() - began:.0f} s)"
        )
    assert p50 <= MOST_P50
    assert p99 <= MOST_P99
    assert percentile(large.delays(), 0.5) <= MOST_P50
    assert percentile(large.delays(), 0.99) <= MOST_P99
    assert large.unchanged >= LEAST_UNCHANGED
    for day in (*week, large):
        assert day.missed() == 0
        assert day.longest_unverified <= DAY


@pytest.mark.soak
def test_a_release_train_of_members(capsys: pytest.CaptureFixture[str]) -> None:
    """A burst of nothing but members: the ceiling and the window of the feed are the limit, and are told."""
    for size in (100, 150, 300, 450):
        day = Day(1)
        day.happen(2 * HOUR)
        day.burst(HOUR, size, None)
        day.start()
        day.run(2 * HOUR)
        day.close_books()
        day.run(2 * HOUR + DAY + HOUR)  # where a purge was lost on every way, a cache is old for a day
        train = [found for found in day.releases if found.uploaded >= HOUR]
        delays = day.delays(after=HOUR)
        with capsys.disabled():
            print(
                f"\nsoak: a burst of {size} members in 90 s: p50 {percentile(delays, 0.5):.1f} s, p99 "
                f"{percentile(delays, 0.99):.1f} s, {sum(delay > 60 for delay in delays)} found by the index",
                end="",
            )
        assert all(found.found is not None for found in train)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "outage"), [("1 h", HOUR), ("24 h", DAY), ("30 d", 30 * DAY)])
def test_outages(name: str, outage: float, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("PYF_SEED") or random.SystemRandom().randrange(2**32))
    recovery = recover(Day(seed, outage=outage), outage)
    with capsys.disabled():
        print(
            f"\nsoak: after an outage of {name} (seed {seed}): {recovery.changed:,} projects changed; "
            f"90 % (all) of the members are up to date after {recovery.most_members:,.0f} "
            f"({recovery.members:,.0f}) s, of all projects after {recovery.most:,.0f} ({recovery.all:,.0f}) "
            f"s; {recovery.requests:,} requests",
            end="",
        )
    assert recovery.most_members < HOUR
    assert recovery.most < 12 * HOUR
    assert recovery.all < 26 * HOUR, "a purge that was lost is a day old at most"
