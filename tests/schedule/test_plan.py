"""What is due: nothing runs twice at a time, what was missed is made up for once, no clock stops a job."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.crontab import Crontab
from pyf_scrapy.schedule import plan
from pyf_scrapy.schedule.jobs import KINDS, Job, planned
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.settings_table import SETTINGS

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()  # a Sunday
MINUTE, HOUR, DAY = 60, 3600, 86_400
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def jobs_of(**values: object) -> list[Job]:
    return planned({**DEFAULTS, **values}, {"profile": "plone"}, NOON)


JOBS = {job.name: job for job in jobs_of(SCHEDULE_FULL="0 3 1 * *")}


def begin(
    records: dict[str, Record], *, now: float = NOON, running: tuple[str, ...] = (), parallel: int = 2
) -> list[str]:
    """The names of the jobs that are to start."""
    chosen = plan.startable(
        [*JOBS.values()],
        records,
        running=running,
        busy={JOBS[name].spider for name in running},
        now=now,
        begun=NOON - MINUTE,
        parallel=parallel,
    )
    return [job.name for job in chosen]


def ran(seconds_ago: float = 1.0) -> dict[str, Record]:
    """Records of jobs that all ran so long ago."""
    moment = NOON - seconds_ago
    return {name: Record(since=0, started=moment, ended=moment, not_before=NOON + 9) for name in JOBS}


def due(*names: str) -> dict[str, Record]:
    """Records with which only these jobs are due."""
    return ran() | {name: Record(since=0, started=0) for name in names}


class TestJobs:
    def test_what_runs_by_default(self) -> None:
        assert {job.name: job.when for job in jobs_of()} == {
            "feeds": "follow",
            "sync": "*/30 * * * *",
            "refresh": "5 * * * *",
            "github": "30 3 * * *",
            "downloads": "0 4 * * 0",
            "health": "15 0 * * *",
            "full": "off",
        }

    def test_each_is_a_crawl_of_the_profiles(self) -> None:
        assert {job.name: " ".join(job.crawl) for job in JOBS.values()} == {
            "feeds": "crawl rss -a profile=plone -a follow=30",
            "sync": "crawl pypi -a profile=plone",
            "refresh": "crawl project -a profile=plone -a refresh=1 -a share=1/24",
            "github": "crawl github -a profile=plone",
            "downloads": "crawl pypistats -a profile=plone",
            "health": "crawl health -a profile=plone",
            "full": "crawl pypi -a profile=plone -a full=1",
        }

    @pytest.mark.parametrize(
        ("when", "share"), [("5 * * * *", "1/24"), ("0 */6 * * *", "1/4"), ("0 2 * * 0", None), ("", None)]
    )
    def test_a_refresh_takes_the_share_that_its_times_need(self, when: str, share: str | None) -> None:
        """With 1/24 each Sunday, as the seeds schedule it, a package would have its turn twice a year."""
        jobs = {job.name: job for job in jobs_of(SCHEDULE_REFRESH=when)}
        assert jobs["refresh"].arguments.get("share") == share

    def test_empty_is_off_and_a_minute_is_no_follower(self) -> None:
        jobs = {job.name: job for job in jobs_of(SCHEDULE_FEEDS="*/1 * * * *", SCHEDULE_SYNC="")}
        assert jobs["sync"].is_off
        assert plan.due_at(jobs["sync"], Record(since=0)) == math.inf
        assert "follow" not in jobs["feeds"].arguments
        assert (jobs["feeds"].limit, JOBS["feeds"].limit) == (1800, 86_400)

    def test_limits_are_those_that_are_set(self) -> None:
        jobs = {job.name: job for job in jobs_of(SCHEDULE_LIMITS={"sync": 60.0, "feeds": 0.0})}
        assert (jobs["sync"].limit, jobs["feeds"].limit, jobs["refresh"].limit) == (60, 0, 7200)

    def test_the_help_of_the_limits_says_what_they_are(self) -> None:
        (setting,) = (setting for setting in SETTINGS if setting.name == "SCHEDULE_LIMITS")
        jobs = planned(DEFAULTS, {}, NOON)
        assert " ".join(f"{job.name}={job.limit:.0f}" for job in jobs) in setting.help
        once = [f"{job.name}={job.limit_once:.0f}" for job in jobs if job.limit_once != job.limit]
        assert f"; {' '.join(once)} where they do not follow" in setting.help
        assert setting.choices == tuple(kind.name for kind in KINDS)


class TestDue:
    def test_a_new_place_begins_with_feeds_and_index_and_the_rest_waits_for_its_time(self) -> None:
        """Downloads of an index that is still empty would be asked for in vain, and again in a week only."""
        assert begin({name: Record(since=NOON) for name in JOBS}) == ["feeds", "sync"]

    def test_what_was_missed_is_made_up_for_index_first_and_not_all_at_once(self) -> None:
        missed = {name: Record(since=0, started=NOON - 40 * DAY) for name in JOBS}
        assert begin(missed) == ["feeds", "sync", "refresh"]
        assert begin(missed, parallel=1) == ["feeds", "sync"]
        assert begin(missed, parallel=9) == ["feeds", "sync", "refresh", "github", "downloads", "health"]
        # The same spider as the index: it waits for its turn.
        later = missed | {"sync": Record(since=0, started=NOON)}
        assert "full" in begin(later, parallel=9)

    def test_who_waits_longest_is_first(self) -> None:
        """Else an index that is always behind would never let the rest begin."""
        jobs = [JOBS["sync"], JOBS["refresh"]]
        for minutes, first in ((50, "sync"), (60, "refresh")):
            records = {
                "sync": Record(since=0, started=NOON - 25 * MINUTE),
                "refresh": Record(since=0, started=NOON - minutes * MINUTE),
            }
            (chosen,) = plan.startable(
                jobs, records, running=(), busy=(), now=NOON + 10 * MINUTE, begun=0, parallel=1
            )
            assert chosen.name == first

    def test_hours_of_github_and_downloads_do_not_hold_up_the_index(self) -> None:
        assert begin(due("sync", "downloads"), running=("github",)) == ["sync"]
        assert begin(due("downloads"), running=("github",)) == []
        assert begin(due("downloads"), running=("github",), parallel=3) == ["downloads"]
        assert begin(due("downloads"), parallel=1) == ["downloads"]

    def test_a_spider_that_somebody_else_runs_is_waited_for(self) -> None:
        chosen = plan.startable(
            [*JOBS.values()],
            due("sync", "full"),
            running=(),
            busy={"pypi"},
            now=NOON,
            begun=NOON,
            parallel=9,
        )
        assert chosen == []

    def test_when_to_look_again(self) -> None:
        records = {name: Record(since=NOON, started=NOON, not_before=NOON) for name in JOBS}
        assert plan.wake_at([*JOBS.values()], records, NOON) == NOON + 5 * MINUTE
        assert plan.wake_at([], {}, NOON) == math.inf


class TestAfterARun:
    def after(self, name: str, code: int | None, record: Record | None = None, took: float = 10.0) -> Record:
        return plan.ended(
            JOBS[name],
            record or Record(since=0, started=0, running_since=NOON),
            started=NOON,
            now=NOON + took,
            code=code,
            message="Done.",
        )

    def test_it_is_due_at_its_next_time_however_it_ended(self) -> None:
        for code in (0, 1, 2, 3, 137, None):
            record = self.after("sync", code)
            assert (record.exit_code, record.message, record.running_since) == (code, "Done.", None)
            assert plan.due_at(JOBS["sync"], record) == NOON + 30 * MINUTE

    def test_a_run_over_several_of_its_times_is_followed_by_one(self) -> None:
        record = self.after("sync", 0, took=100 * MINUTE)
        assert plan.due_at(JOBS["sync"], record) == NOON + 30 * MINUTE
        again = plan.ended(JOBS["sync"], record, started=NOON + 6000, now=NOON + 6010, code=0, message="")
        assert plan.due_at(JOBS["sync"], again) == NOON + 120 * MINUTE

    def test_a_run_that_found_its_spider_running_is_still_to_come(self) -> None:
        """Else the downloads of a week would be lost to a crawl by hand of one package."""
        record = self.after("downloads", 75)
        assert record.started == 0
        assert plan.due_at(JOBS["downloads"], record) == NOON + 10 + plan.BUSY_PAUSE

    def test_what_follows_is_started_again_with_longer_and_longer_pauses(self) -> None:
        record, pauses = Record(since=0), []
        for _ in range(8):
            record = self.after("feeds", 1, record)
            pauses.append(plan.due_at(JOBS["feeds"], record) - NOON - 10)
        assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
        record = self.after("feeds", 0, record, took=DAY)
        assert plan.due_at(JOBS["feeds"], record) == NOON + DAY + 5


class TestClock:
    def test_a_clock_that_was_put_back_stops_nothing(self) -> None:
        """A machine that began in 2038 would read no index until then."""
        later = NOON + 400 * DAY
        record = Record(since=later, started=later, ended=later, running_since=later, not_before=later + 300)
        right = plan.corrected(record, NOON)
        assert right == Record(since=NOON, started=NOON, ended=NOON, running_since=NOON, not_before=NOON)
        assert plan.due_at(JOBS["sync"], right) == NOON + 30 * MINUTE

    def test_a_clock_that_is_set_by_a_second_changes_nothing(self) -> None:
        """Else a run that began at its time would be due at its time again."""
        record = Record(since=0, started=NOON, not_before=NOON + 300)
        assert plan.corrected(record, NOON - 1) == record


def test_how_hard_a_run_is_stopped() -> None:
    steps = [plan.stop_step(over, 90, 20) for over in (-1, 0, 89, 90, 109, 110, 1e9)]
    assert steps == [0, 1, 1, 2, 2, 3, 3]


@given(
    st.sampled_from(["*/30 * * * *", "5 * * * *", "30 2 * * *", "0 4 * * 0", "*/7 1-3 * * *", "0 0 1 * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 2 * 365 * DAY),
    st.integers(0, 60 * DAY),
)
@settings(max_examples=200)
def test_what_was_missed_is_made_up_for_exactly_once(text: str, zone: str, before: int, down: int) -> None:
    """However long it was down, whatever the clocks did meanwhile."""
    job = replace(JOBS["sync"], crontab=Crontab(text), zone=ZoneInfo(zone))
    started = NOON - before
    now = started + down
    record = Record(since=0, started=started)
    is_due = plan.due_at(job, record) <= now
    assert is_due == (Crontab(text).next_after(started, ZoneInfo(zone)) <= now)
    if is_due:
        record = plan.ended(job, record, started=now, now=now, code=0, message="")
    assert plan.due_at(job, record) > now


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.integers(1, 5000), st.integers(0, 6), st.sampled_from([0, 0, 0, 1, 3, 75, None])),
        min_size=5,
        max_size=80,
    ),
    st.integers(-100, 100),
)
@settings(max_examples=60)
def test_whatever_happens_no_spider_runs_twice_and_places_are_kept(
    parallel: int, events: list[tuple[int, int, int | None]], back: int
) -> None:
    """Time passes, runs end in any order and way, the clock is put back: the rules hold at each moment."""
    jobs = [*JOBS.values()]
    records = {name: Record(since=NOON) for name in JOBS}
    running: dict[str, float] = {}
    now = NOON
    for number, (seconds, which, code) in enumerate(events):
        now += seconds
        if number == len(events) // 2:
            now += back * DAY
        records = {name: plan.corrected(record, now) for name, record in records.items()}
        for name in itertools.islice(list(running), which):
            started = running.pop(name)
            records[name] = plan.ended(
                JOBS[name], records[name], started=started, now=now, code=code, message=""
            )
        for job in plan.startable(
            jobs,
            records,
            running=running,
            busy={JOBS[name].spider for name in running},
            now=now,
            begun=NOON,
            parallel=parallel,
        ):
            assert plan.due_at(job, records[job.name]) <= now
            running[job.name] = now
            records[job.name] = msgspec.structs.replace(records[job.name], running_since=now)
        spiders = Counter(JOBS[name].spider for name in running)
        assert all(count == 1 for count in spiders.values())
        placed = [JOBS[name] for name in running if name != "feeds"]
        assert len(placed) <= parallel
        assert sum(job.patient for job in placed) <= max(1, parallel - 1)
        # Nothing waits while there is room for it.
        if len(placed) < parallel and "pypi" not in spiders:
            assert plan.due_at(JOBS["sync"], records["sync"]) > now
