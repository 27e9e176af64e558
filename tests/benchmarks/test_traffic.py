"""What is told about politeness is counted by the server: a wrong count makes a storm a breeze."""

from __future__ import annotations

from benchmarks.cases.politeness import SlowServer, until_as_often, until_fewer
from benchmarks.traffic import BAN, Allowance, Second, Traffic


def test_requests_count_where_they_come_and_as_long_as_they_last() -> None:
    traffic = Traffic()
    for now in (100.0, 100.5, 100.9):
        traffic.begin(now)
    traffic.end(102.5)
    traffic.refuse(102.6)
    traffic.begin(104.1)
    assert traffic.seconds == [
        Second(asked=3, under_way=3),
        Second(under_way=3),
        Second(asked=1, refused=1, under_way=3),
        Second(under_way=2),
        Second(asked=1, under_way=3),
    ]
    assert [second.answered for second in traffic.seconds] == [3, 0, 0, 0, 1]


def test_what_is_allowed_is_allowed_in_any_second() -> None:
    allowance = Allowance(3)
    assert [allowance.allows(now, now) for now in (10.0, 10.5, 10.9, 11.0, 11.5)] == [True] * 5
    assert not allowance.allows(11.6, 11.6)


def test_who_asked_for_too_much_is_refused_for_a_while() -> None:
    """Else to ask as often as one can would be the way to get most."""
    allowance = Allowance(1)
    assert allowance.allows(10.0, 10.0)
    assert not any(allowance.allows(now, now) for now in (10.5, 12.0, 10.4 + BAN))
    assert allowance.allows(10.5 + BAN, 10.5 + BAN)


def test_a_server_that_had_no_turn_blames_nobody() -> None:
    """It finds three at once that came within a tenth of a second, and one second later the next."""
    allowance = Allowance(3)
    assert [allowance.allows(10.1, 10.0) for _ in range(3)] == [True] * 3
    assert allowance.allows(11.05, 11.04)


def test_without_a_limit_all_is_allowed() -> None:
    assert all(Allowance(0).allows(1.0, 1.0) for _ in range(1000))


def test_load_has_fallen_when_it_stays_low() -> None:
    line = [Second(under_way=number) for number in (16, 16, 3, 9, 2, 2)]
    assert until_fewer(line, 8) == 4
    assert until_fewer(line, 20) == 0


def test_load_has_returned_when_there_is_as_much_again() -> None:
    line = [Second(asked=number) for number in (2, 30, 300, 100)]
    assert until_as_often(line, 280) == 2
    assert until_as_often(line, 400) == 4, "never"


def test_a_time_line_has_names_for_all_its_parts() -> None:
    assert len(SlowServer.contenders) == 10
    assert SlowServer.contenders[2] == "second 10 to 15: answers take 3 s"
