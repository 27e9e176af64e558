"""A server that asks to wait and is not obeyed blocks the operator for good; so does one that is stormed
as soon as its wait is over."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyf_scrapy.middlewares.gates import Gate

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def new_gate(concurrency: int = 16, interval: float = 0.0) -> Gate:
    return Gate(concurrency, first_wait=2, longest_wait=3600, patience=60, interval=interval)


def start_all(gate: Gate, now: float, wanted: int = 40) -> list[int]:
    """The tickets of as many requests as may start now."""
    tickets: list[int] = []
    while len(tickets) < wanted and gate.wait(now) == 0:
        tickets.append(gate.start(now))
    return tickets


def closed_gate(told: float | None = None, concurrency: int = 16) -> Gate:
    """A gate that was closed at time 0."""
    gate = new_gate(concurrency)
    gate.refused(gate.start(0), 0, told)
    return gate


def test_an_open_gate_holds_nobody() -> None:
    assert len(start_all(new_gate(), 0)) == 40


def test_the_wait_is_the_longest_that_was_asked_for() -> None:
    gate = new_gate()
    first, second, third = (gate.start(0) for _ in range(3))
    gate.refused(first, 10, 30)
    assert gate.wait(10) == 30
    gate.refused(second, 11, 5)
    assert gate.wait(11) == 29
    gate.refused(third, 12, 600)
    assert gate.wait(12) == 600
    assert gate.wait(612) == 0


def test_no_wait_is_longer_than_the_longest() -> None:
    assert closed_gate(10**9).wait(0) == 3600


def test_after_the_wait_one_goes_then_twice_as_many_each_time() -> None:
    gate = closed_gate(30)
    assert start_all(gate, 29.9) == []
    sizes = []
    now = 30.0
    for _ in range(6):
        tickets = start_all(gate, now)
        sizes.append(len(tickets))
        now += 1
        for ticket in tickets:
            gate.answered(ticket)
    assert sizes == [1, 2, 4, 8, 40, 40]


def test_a_host_that_refuses_again_and_again_is_asked_less_and_less() -> None:
    gate = closed_gate()
    waits = []
    now = 0.0
    for _ in range(7):
        wait = gate.wait(now)
        waits.append(wait)
        now += wait
        (probe,) = start_all(gate, now)
        gate.refused(probe, now, None)
    assert waits == [2, 4, 8, 16, 32, 32, 32]


def test_how_long_the_host_says_is_how_long_it_is() -> None:
    gate = closed_gate(3)
    for now in (3, 6, 9):
        assert gate.refused(gate.start(now), now, 3) == 3


def test_a_host_that_recovered_begins_with_the_short_wait() -> None:
    gate = closed_gate()
    gate.refused(gate.start(2), 2, None)
    while gate.window < 16:
        gate.answered(gate.start(100))
    assert gate.refused(gate.start(200), 200, None) == 2


def test_answers_to_what_was_sent_before_it_closed_tell_nothing_new() -> None:
    gate = new_gate()
    tickets = start_all(gate, 0, 16)
    assert gate.refused(tickets[0], 1, None) == 2
    for ticket in tickets[1:9]:
        assert gate.refused(ticket, 1, None) == 0
    for ticket in tickets[9:]:
        gate.answered(ticket)
    assert gate.wait(1) == 2
    assert len(start_all(gate, 3)) == 1


def test_a_request_without_result_holds_up_the_others_for_a_while_only() -> None:
    gate = closed_gate(1)
    assert len(start_all(gate, 1)) == 1
    assert gate.wait(11) == 50
    assert len(start_all(gate, 61)) == 1


def test_a_request_that_ended_without_a_word_makes_room() -> None:
    gate = closed_gate(1)
    (probe,) = start_all(gate, 1)
    gate.end(probe)
    assert len(start_all(gate, 2)) == 1, "one again: nothing is known yet"


class TestOverload:
    """503 without Retry-After: of the host or of one address, who knows."""

    def test_one_bad_address_does_not_stop_the_others(self) -> None:
        gate = new_gate()
        for now in range(100):
            assert gate.overloaded(gate.start(now), now) == 0
        assert len(start_all(gate, 100)) == 4

    def test_fewer_are_under_way_until_others_are_answered(self) -> None:
        gate = new_gate()
        gate.overloaded(gate.start(0), 0)
        tickets = start_all(gate, 0)
        assert len(tickets) == 8
        for ticket in tickets:
            gate.answered(ticket)
        assert len(start_all(gate, 1)) == 40

    def test_right_after_a_wait_it_means_the_host(self) -> None:
        gate = closed_gate(1)
        assert gate.overloaded(gate.start(1), 1) == 4

    @pytest.mark.parametrize("concurrency", [1, 2, 3, 200])
    def test_it_never_closes_by_it(self, concurrency: int) -> None:
        gate = new_gate(concurrency)
        for _ in range(300):
            gate.overloaded(gate.start(0), 0)
        assert gate.wait(0) == 0


class TestAnotherProcessIsRefused:
    """Whoever waits until it is refused itself asks N times too often, with N processes."""

    def test_its_pause_holds_here_too_and_the_longest_counts(self) -> None:
        gate = new_gate()
        gate.pause(0, 30, refusals=1)
        gate.pause(1, 5, refusals=1)
        assert gate.wait(1) == 29
        assert len(start_all(gate, 30)) == 1

    def test_what_was_under_way_is_old_news(self) -> None:
        gate = new_gate()
        early, late = gate.start(0), gate.start(0)
        gate.pause(1, 30, refusals=1)
        gate.answered(early)
        assert gate.refused(late, 2, None) == 0
        assert gate.returning
        assert gate.wait(2) == 29

    def test_it_goes_on_counting_where_the_other_was(self) -> None:
        """Else a host that says no time is asked more often by many, who each begin with the short wait."""
        gate = new_gate()
        gate.pause(0, 4, refusals=2)
        assert gate.refused(gate.start(4), 4, None) == 8


def test_the_ceiling_of_the_host_holds_for_those_who_waited() -> None:
    gate = new_gate(interval=0.25)
    starts: list[float] = []
    now = 0.0
    while len(starts) < 20:
        now += gate.wait(now)
        gate.answered(gate.start(now))
        starts.append(now)
    assert starts == [number / 4 for number in range(20)]


@pytest.mark.parametrize("rate", [40, 200, 500])
def test_a_high_ceiling_is_kept_and_used_though_all_start_late(rate: int) -> None:
    """A timer wakes a millisecond late: of 5 milliseconds between two starts that is a fifth of what is
    allowed. To begin at once what was missed for long would be a storm."""
    gate, random = new_gate(interval=1 / rate), Random(rate)
    starts: list[float] = []
    now = lost = 0.0
    for _ in range(10 * rate):
        if (wait := gate.wait(now)) > 0:
            late = random.uniform(0, 0.002) if random.random() < 0.98 else random.uniform(0, 0.2)
            lost += max(0.0, late - 0.02)
            now += wait + late
        gate.end(gate.start(now))
        starts.append(now)
    within = [bisect_left(starts, begin + 1) - place for place, begin in enumerate(starts)]
    assert max(within) <= rate
    assert len(starts) / (now - lost) >= 0.9 * rate


#: Seconds that floats add up exactly.
SECONDS = st.integers(0, 800).map(lambda quarters: quarters / 4)


class Hosts(RuleBasedStateMachine):
    """Any order of events, against what the host was promised, told in the host's words."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(concurrency=8, first_wait=2, longest_wait=100, patience=60)
        self.now = 0.0
        self.promised = 0.0
        """Nothing is sent before this time."""
        self.open: list[tuple[int, float]] = []
        """Requests without a result, and when they were sent."""
        self.last_ticket = 0
        self.closed_at_ticket = 0
        self.answered_since = 10**6

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def time_passes_as_told(self) -> None:
        self.now += self.gate.wait(self.now)

    @precondition(lambda self: self.gate.wait(self.now) == 0)
    @rule(wanted=st.integers(1, 12))
    def requests_start(self, wanted: int) -> None:
        for _ in range(wanted):
            if self.gate.wait(self.now) > 0:
                return
            assert self.now >= self.promised
            ticket = self.gate.start(self.now)
            self.last_ticket = ticket
            self.open.append((ticket, self.now))
            young = [
                sent
                for other, sent in self.open
                if other > self.closed_at_ticket and self.now - sent < self.gate.patience
            ]
            allowed = 1 + self.answered_since
            assert allowed >= self.gate.concurrency or len(young) <= allowed

    def take(self, data: st.DataObject) -> int:
        return self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))[0]

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def it_is_answered(self, data: st.DataObject) -> None:
        ticket = self.take(data)
        self.gate.answered(ticket)
        if ticket > self.closed_at_ticket:
            self.answered_since += 1

    @precondition(lambda self: self.open)
    @rule(data=st.data(), told=st.none() | SECONDS)
    def it_is_refused(self, data: st.DataObject, told: float | None) -> None:
        ticket = self.take(data)
        wait = self.gate.refused(ticket, self.now, told)
        if told is not None:
            self.promised = max(self.promised, self.now + min(told, 100))
        if wait:
            self.it_closed()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def it_is_overloaded(self, data: st.DataObject) -> None:
        if self.gate.overloaded(self.take(data), self.now):
            self.it_closed()

    @rule(seconds=SECONDS, refusals=st.integers(0, 100))
    def another_process_is_refused(self, seconds: float, refusals: int) -> None:
        self.gate.pause(self.now, seconds, refusals)
        self.promised = max(self.promised, self.now + min(seconds, 100))
        self.it_closed()

    def it_closed(self) -> None:
        self.closed_at_ticket = self.last_ticket
        self.answered_since = 0

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def it_ends_without_a_word(self, data: st.DataObject) -> None:
        self.gate.end(self.take(data))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def it_is_never_heard_of_again(self, data: st.DataObject) -> None:
        """Its owner is gone, and nobody tells the gate."""
        self.take(data)

    @invariant()
    def it_knows_whether_the_host_has_answered_since(self) -> None:
        assert self.gate.returning == (self.answered_since == 0)

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        assert self.gate.wait(self.now) <= 100
        assert self.gate.wait(self.now + 100) == 0


Hosts.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestHosts = Hosts.TestCase
