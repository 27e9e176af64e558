"""A feed may go by unseen, never unnoticed; a burst must not keep the profiles' own packages waiting."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.rss import FeedEntry
from pyf_scrapy.sync.feeds import (
    SHORTEST,
    dedup_key,
    is_overrun,
    newest,
    next_poll,
    order,
    urgency,
)


def entry(name: str, version: str | None = "1.0", at: int | None = 0) -> FeedEntry:
    return FeedEntry(name, version, at)


def test_dedup_keys_are_those_of_the_system_that_is_replaced() -> None:
    assert dedup_key(entry("plone-api", None)) == "pyf:dedup:new:plone-api"
    assert dedup_key(entry("plone-api", "2.0a1")) == "pyf:dedup:update:plone-api:2.0a1"


def test_the_newest_entry_need_not_be_the_first_and_may_have_no_date() -> None:
    assert newest([entry("a", at=5), entry("b", at=None), entry("c", at=9), entry("d", at=7)]) == 9
    assert newest([entry("a", at=None)]) is None
    assert newest([]) is None


class TestOverrun:
    def test_nothing_was_missed_before_the_first_poll(self) -> None:
        assert not is_overrun(None, [entry("a", at=5)])

    def test_a_feed_that_reaches_back_beyond_the_last_poll_was_not(self) -> None:
        assert not is_overrun(10, [entry("a", at=9), entry("b", at=15)])

    def test_one_that_does_not_may_have_been(self) -> None:
        assert is_overrun(10, [entry("a", at=11), entry("b", at=15)])

    def test_others_of_the_very_second_may_have_been_missed(self) -> None:
        assert is_overrun(10, [entry("a", at=10), entry("b", at=10)])

    def test_without_dates_nobody_can_tell(self) -> None:
        assert not is_overrun(10, [entry("a", at=None)])
        assert not is_overrun(10, [])
        assert is_overrun(10, [entry("a", at=None), entry("b", at=11)])

    @given(
        gaps=st.lists(st.integers(0, 3), min_size=1, max_size=60),
        polls=st.lists(st.integers(0, 60), max_size=10),
        window=st.integers(1, 8),
    )
    def test_no_entry_goes_by_unnoticed(self, gaps: list[int], polls: list[int], window: int) -> None:
        """Releases in a window of some entries, polled at any moments, several in one second."""
        now, released = 100, list[FeedEntry]()
        for number, gap in enumerate(gaps):
            now += gap
            released.append(entry(f"p{number}", at=now))
        seen: int | None = None
        read: set[FeedEntry] = set()
        for count in sorted({*polls, len(gaps)}):
            shown = released[max(0, count - window) : count]
            if seen is not None and not read.issuperset(released[: max(0, count - window)]):
                assert is_overrun(seen, shown)
                return
            read.update(released[:count] if seen is None else shown)
            seen = max(seen or 0, newest(shown) or 0) or None


class TestNextPoll:
    """The feed shows 100 releases; a monorepo publishes 435 within a minute and a half."""

    def feed(self, seconds_apart: float, count: int = 100) -> list[FeedEntry]:
        return [entry(f"p{number}", at=round(10_000 - number * seconds_apart)) for number in range(count)]

    def test_a_usual_day_changes_nothing(self) -> None:
        assert next_poll(self.feed(14.6), 30, now=10_000) == 30

    def test_while_half_of_the_feed_would_be_replaced_it_is_read_sooner(self) -> None:
        assert next_poll(self.feed(0.2), 30, now=10_000) == 10
        assert next_poll(self.feed(0.4), 30, now=10_000) == 20

    def test_there_is_a_shortest_time_whatever_the_feeds_clock_says(self) -> None:
        assert next_poll(self.feed(0), 30, now=10_000) == SHORTEST
        assert next_poll(self.feed(14.6), 30, now=0) == SHORTEST
        assert next_poll(self.feed(0), 2, now=10_000) == 2

    def test_when_the_burst_is_over_the_pace_is_the_usual_one_again(self) -> None:
        assert next_poll(self.feed(0.2), 30, now=10_030) == 30

    def test_a_few_entries_tell_no_pace(self) -> None:
        assert next_poll([], 30, now=10_000) == 30
        assert next_poll(self.feed(0, count=19), 30, now=10_000) == 30
        assert next_poll(self.feed(0, count=20), 30, now=10_000) == SHORTEST
        assert next_poll([entry("a", at=None)] * 100, 30, now=10_000) == 30

    def test_the_first_answer_without_news_may_be_a_caches_old_one(self) -> None:
        waits = [next_poll(self.feed(14.6), 30, 10_000, unchanged=number) for number in range(4)]
        assert waits == [30, SHORTEST, 30, 30]
        assert next_poll([], 3, 10_000, unchanged=1) == 3


class TestOrder:
    def rank(self, *entries: FeedEntry) -> list[str]:
        ordered = order(entries, members={"member"}, hinted=lambda name: "plone" in name)
        return [f"{entry.normalized_name} {entry.version or 'new'}" for entry in ordered]

    def test_members_then_hinted_names_then_new_projects_then_all_else(self) -> None:
        entries = entry("zzz"), entry("newcomer", None), entry("plone-x"), entry("member")
        assert self.rank(*entries) == ["member 1.0", "plone-x 1.0", "newcomer new", "zzz 1.0"]

    def test_among_equals_the_oldest_comes_first(self) -> None:
        entries = entry("a", at=9), entry("member", "2", 8), entry("b", at=3), entry("member", "1", 5)
        assert self.rank(*entries) == ["member 1", "member 2", "b 1.0", "a 1.0"]

    def test_an_entry_without_a_date_does_not_wait(self) -> None:
        assert self.rank(entry("a", at=3), entry("b", at=None)) == ["b 1.0", "a 1.0"]

    @given(
        names=st.lists(st.sampled_from(["member", "plone-a", "x", "y"]), max_size=20),
        times=st.lists(st.integers(0, 9), min_size=20, max_size=20),
    )
    def test_no_member_ever_waits_for_another(self, names: list[str], times: list[int]) -> None:
        entries = [entry(name, at=at) for name, at in zip(names, times, strict=False)]
        ordered = order(entries, members={"member"}, hinted=lambda name: "plone" in name)
        ranks = [urgency(e, members={"member"}, hinted=lambda name: "plone" in name) for e in ordered]
        assert ranks == sorted(ranks)
        assert Counter(ordered) == Counter(entries)
