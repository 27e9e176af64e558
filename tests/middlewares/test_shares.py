"""Workers on many machines, each with a clock of its own: together they must never ask for more than one may.

The server of the simulation is a model of the script in queue/rates.py; tests/queue/test_rates.py asks the
real one.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.middlewares.shares import TOLERANCE, ServerClock, Share, spacing
from pyf_scrapy.queue.rates import Grant, Wish


@dataclass
class Schedule:
    """The server's part; its clock shows the true time."""

    next: float = 0.0
    users: int = 0

    def grant(self, now: float, wish: Wish) -> Grant:
        first = max(self.next, now + wish.lead)
        if wish.starts:
            self.next = first + wish.starts * wish.interval
        return Grant(now, first, wish.starts, 0.0, 0, self.users)


@dataclass
class Net:
    """How long things take, in seconds: a way to the server, and what keeps a process from its work."""

    seed: int
    way: float
    stall: float

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def on_its_way(self) -> float:
        return self.dice.uniform(0.1, 1.0) * self.way

    def late(self) -> float:
        """Mostly a little, now and then very."""
        return self.dice.uniform(0, 1) ** 6 * self.stall


@dataclass
class Worker:
    """A process with endless work, whose clock shows another time and goes a little wrong."""

    share: Share
    clock: ServerClock
    offset: float
    speed: float
    most: int
    asked: tuple[float, Grant, float] | None = None  # when by its clock, the answer, when it is there
    quickest: float = math.inf
    starts: list[float] = field(default_factory=list)

    def local(self, true: float) -> float:
        return self.offset + true * self.speed

    def run(self, true: float, schedule: Schedule, net: Net) -> tuple[float, float]:
        """What it does when it wakes up; when it wakes up next, and how wrong it may be about the time."""
        now, wrong = self.local(true), 0.0
        if self.asked and self.asked[2] <= true:
            sent, grant, _ = self.asked
            self.share.take(sent, now, grant)
            self.quickest = min(self.quickest, now - sent)
            wrong, self.asked = self.quickest, None
        while True:
            if self.asked is None:
                wish = self.share.wish(now, self.most, returning=False)
                if wish is not None:
                    there = true + net.on_its_way()
                    grant = schedule.grant(there, wish)
                    self.asked = now, grant, there + net.on_its_way()
            wait = self.share.wait(now, returning=False)
            if wait > 0:
                break
            self.share.start(now)
            self.starts.append(true)
        return min(true + wait, self.asked[2] if self.asked else math.inf) + net.late(), wrong


def simulate(workers: Sequence[Worker], net: Net, seconds: float) -> tuple[list[float], float]:
    """The starts of all, and how wrong the worst of them may have been about the server's clock."""
    schedule = Schedule(users=len(workers))
    wakes = [(net.late(), number) for number in range(len(workers))]
    heapq.heapify(wakes)
    worst = 0.0
    while wakes[0][0] < seconds:
        true, number = heapq.heappop(wakes)
        next_wake, wrong = workers[number].run(true, schedule, net)
        worst = max(worst, wrong)
        heapq.heappush(wakes, (max(next_wake, true + 1e-6), number))
    return sorted(start for worker in workers for start in worker.starts), worst


def new_workers(count: int, rate: float, seed: int, most: int = 16) -> list[Worker]:
    dice = random.Random(seed)
    return [
        Worker(
            Share(1 / rate),
            ServerClock(),
            offset=dice.uniform(-1e6, 1e6),
            speed=1 + dice.uniform(-4e-5, 4e-5),
            most=most,
        )
        for _ in range(count)
    ]


@settings(max_examples=100)
@given(
    count=st.integers(1, 8),
    rate=st.sampled_from([1.0, 5.0, 40.0, 200.0]),
    most=st.sampled_from([1, 2, 16, 200]),
    way=st.sampled_from([0.0001, 0.005, 0.2]),
    stall=st.sampled_from([0.0, 0.02, 0.5]),
    seed=st.integers(0, 2**32),
)
def test_no_interleaving_of_workers_exceeds_the_ceiling(
    count: int, rate: float, most: int, way: float, stall: float, seed: int
) -> None:
    seconds = 5.0
    workers = new_workers(count, rate, seed, most)
    starts, wrong = simulate(workers, Net(seed, way, stall), seconds)
    assert starts or stall > TOLERANCE
    interval = spacing(1 / rate)
    slack = TOLERANCE + wrong + seconds * 2e-4  # clocks drift apart
    # By Kadane's algorithm: how many starts the worst time has beyond what its length allows.
    excess = most_excess = 0.0
    for before, start in zip([-math.inf, *starts], starts, strict=False):
        excess = 1.0 + max(0.0, excess - (start - before) / interval)
        most_excess = max(most_excess, excess)
    assert most_excess <= 1 + slack / interval + 1e-6


@pytest.mark.parametrize("count", [1, 2, 4, 30])
@pytest.mark.parametrize("rate", [5.0, 200.0])
def test_the_ceiling_is_used(count: int, rate: float) -> None:
    """Workers that wait for each other's unused starts would crawl for days longer."""
    starts, _ = simulate(new_workers(count, rate, seed=1), Net(1, way=0.002, stall=0.004), seconds=20)
    assert len(starts) >= 0.9 * rate * 20
    assert len(starts) <= rate * 20


def test_everybody_has_a_share() -> None:
    workers = new_workers(4, 40, seed=2)
    simulate(workers, Net(2, way=0.002, stall=0.004), seconds=20)
    counts = [len(worker.starts) for worker in workers]
    assert min(counts) >= 0.8 * max(counts)


def grant(now: float, starts: int = 0, first: float | None = None, users: int = 1) -> Grant:
    return Grant(now, now if first is None else first, starts, 0.0, 0, users)


def heard(interval: float = 0.1, users: int = 1) -> Share:
    """A share that knows the server's clock, which shows the same as its own."""
    share = Share(interval)
    share.take(0, 0, grant(0, users=users))
    return share


def wanted(share: Share, now: float, waiting: int, *, returning: bool) -> int | None:
    """The starts of what it would ask for."""
    wish = share.wish(now, waiting, returning=returning)
    return wish and wish.starts


class TestAsking:
    def test_the_first_answer_only_tells_the_time(self) -> None:
        """It takes longer than the others, and starts by a clock that is wrong would meet those of others."""
        share = Share(0.01)
        assert wanted(share, 0, 16, returning=False) == 0
        assert share.wait(0, returning=False) == math.inf
        share.take(0, 0.1, grant(1000))
        assert wanted(share, 0.1, 16, returning=False) == 16

    def test_as_many_as_wait_and_never_more_than_a_moments_work(self) -> None:
        """Others wait for what one has taken, and lose it when it is killed."""
        assert wanted(heard(1 / 200), 0, 3, returning=False) == 3
        assert wanted(heard(1 / 200), 0, 200, returning=False) == 47
        assert wanted(heard(1 / 5), 0, 200, returning=False) == 1
        assert wanted(heard(60), 0, 200, returning=False) == 1

    def test_not_again_before_half_of_it_is_used(self) -> None:
        share = heard(0.01)
        share.take(0, 0, grant(0, starts=8))
        assert wanted(share, 0, 8, returning=False) is None
        for _ in range(3):
            share.start(0)
        assert wanted(share, 0, 8, returning=False) is None
        share.start(0)
        assert wanted(share, 0, 8, returning=False) == 4

    def test_a_start_that_was_missed_is_not_made_up_for(self) -> None:
        share = heard(0.1)
        share.take(0, 0, grant(0, starts=3, first=1))
        assert share.wait(0, returning=False) == 1
        assert share.wait(1 + TOLERANCE - 0.001, returning=False) == 0
        assert share.wait(1 + TOLERANCE + 0.001, returning=False) == pytest.approx(0.106 - TOLERANCE - 0.001)
        assert share.wait(9, returning=False) == math.inf

    def test_who_is_always_told_too_late_asks_for_later_starts(self) -> None:
        """A worker far from Redis would never start anything. But one late answer is no reason to be slow."""

        def lead_after(*delays: float) -> float:
            share = heard(0.01)
            for number, delay in enumerate(delays, start=1):
                share.take(number, number + delay, grant(number, starts=1))
            wish = share.wish(100, 1, returning=False)
            assert wish is not None
            return wish.lead

        assert lead_after(0.0) == 0
        assert lead_after(0.5) == TOLERANCE
        assert lead_after(0.5, 0.0, 0.0) < 0.01
        assert lead_after(0.5, 0.5, 0.5) == 4 * TOLERANCE
        assert lead_after(*[0.5] * 20) == 1


class TestWithoutCeiling:
    def test_nobody_waits_and_news_are_asked_for_once_a_second(self) -> None:
        share = Share(0)
        assert wanted(share, 0, 16, returning=False) == 0
        assert share.wait(0, returning=False) == math.inf, "there may be a pause"
        share.take(0, 0.01, grant(0))
        assert share.wait(0.02, returning=False) == 0
        assert wanted(share, 0.02, 16, returning=False) is None
        assert wanted(share, 1.01, 16, returning=False) == 0
        assert share.wait(1.01, returning=False) == 0

    def test_old_news_are_none(self) -> None:
        share = Share(0)
        share.take(0, 0, grant(0))
        assert share.wait(10, returning=False) == math.inf

    def test_after_a_pause_even_then_one_has_to_be_allowed(self) -> None:
        share = Share(0)
        share.take(0, 0, grant(0))
        assert share.wait(0, returning=True) == math.inf
        assert wanted(share, 0, 16, returning=True) == 1
        share.take(0, 0, grant(0, starts=1))
        assert wanted(share, 0, 16, returning=True) is None
        assert share.wait(0, returning=True) == 0


class TestWithoutRedis:
    @pytest.mark.parametrize(("users", "divisor"), [(1, 2), (2, 2), (5, 5)])
    def test_it_takes_its_share_and_never_more_than_half(self, users: int, divisor: int) -> None:
        share = heard(0.1, users)
        share.take(0, 0, grant(0, starts=2, users=users))
        share.start(0)
        share.miss(0)
        assert share.wait(0, returning=False) == pytest.approx(divisor * 0.106), "what was granted is void"

    def test_who_never_knew_how_many_they_are_is_careful(self) -> None:
        share = Share(0.1)
        share.miss(0)
        assert share.wait(0, returning=False) == 0
        share.start(0)
        assert share.wait(0, returning=False) == pytest.approx(4 * 0.106)

    def test_the_most_of_the_last_minute_count(self) -> None:
        """A server that forgot everything has one user, the first that comes back."""
        share = heard(0.1, users=5)
        share.take(30, 30, grant(30, users=1))
        share.start(30)
        share.miss(30)
        assert share.wait(30, returning=False) == pytest.approx(5 * 0.106)
        share.take(61, 61, grant(61, users=3))
        share.start(61)
        share.miss(61)
        assert share.wait(61, returning=False) == pytest.approx(3 * 0.106)

    def test_it_asks_again_once_a_second_and_comes_back(self) -> None:
        share = heard(0.1)
        share.start(0)
        share.miss(0)
        assert wanted(share, 0.9, 16, returning=False) is None
        assert wanted(share, 1, 16, returning=False) == 2
        share.take(1, 1, grant(1, starts=2))
        assert share.wait(1, returning=False) == 0

    def test_no_ceiling_stays_none(self) -> None:
        share = Share(0)
        share.miss(0)
        share.start(0)
        assert share.wait(0, returning=False) == 0


class TestClock:
    def test_a_quick_answer_beats_slow_ones(self) -> None:
        clock = ServerClock()
        clock.hear(10, 12, 1000)
        clock.hear(20, 20.01, 1009)
        clock.hear(30, 35, 1021)
        assert clock.local(1020) == pytest.approx(31.01, abs=0.01)

    @pytest.mark.parametrize("jump", [-3600, -0.5, 0.5, 3600])
    def test_a_clock_that_is_set_is_followed(self, jump: float) -> None:
        clock = ServerClock()
        clock.hear(10, 10.001, 1000)
        clock.hear(20, 20.001, 1010 + jump)
        assert clock.local(1010 + jump) == pytest.approx(20.001)
