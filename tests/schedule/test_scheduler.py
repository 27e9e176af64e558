"""The scheduler with real processes: limits hold, nothing runs twice, nothing is left behind or lost."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from pyf_scrapy.exceptions import AlreadyRunningError, StoreError
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.schedule.backend import BackendError, Look
from pyf_scrapy.schedule.jobs import Job
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.schedule.processes import LOG_FORMAT
from pyf_scrapy.schedule.state import State
from tests.crawling import CHECKOUT, Place
from tests.schedule.harness import NOON, OBEDIENT, Clock, at_work, is_alive, jobs_of, scheduling, script

HALF_HOUR = 1800
SYNC = jobs_of(SCHEDULE_SYNC="*/30 * * * *")


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def quick(code: int = 0) -> list[str]:
    return script(f"import sys; sys.exit({code})")


def obedient(asked: int = 1) -> list[str]:
    return script(OBEDIENT, str(asked))


class TestTimes:
    async def test_the_index_is_read_at_once_and_then_at_its_times(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: quick()) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)
            running.clock.advance(HALF_HOUR - 1)
            await running.turns()
            assert caplog.text.count("sync: started") == 1
            running.clock.advance(1)
            await running.until(lambda: caplog.text.count("sync: ended with 0") == 2)
            assert "due since" not in caplog.text
            await running.end()
        assert State(tmp_path).read()["sync"].started == NOON + HALF_HOUR

    async def test_while_a_run_goes_on_no_other_begins_and_one_makes_up_for_all_missed(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            for _ in range(5):
                running.clock.advance(HALF_HOUR)
                await running.turns()
            assert caplog.text.count("sync: started") == 1
            await running.scheduler.backend.stop("sync", 1)
            await running.until(lambda: caplog.text.count("ready") == 2)
            assert "due since 2026-11-29 12:30 UTC" in caplog.text
            await running.scheduler.backend.stop("sync", 1)
            await running.until(lambda: caplog.text.count("sync: ended with 0") == 2)
            await running.turns()
            assert caplog.text.count("sync: started") == 2

    async def test_after_a_downtime_each_is_made_up_for_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = jobs_of(
            SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_HEALTH="15 0 * * *", SCHEDULE_GITHUB="30 3 * * *"
        )
        missed = Record(since=0, started=NOON - 10 * 86_400)
        State(tmp_path).write({"sync": missed, "health": missed, "github": missed})
        async with scheduling(tmp_path, jobs, lambda job: quick()) as running:
            await running.until(lambda: caplog.text.count("ended with 0") == 3)
            await running.turns()
        assert caplog.text.count("started (") == 3

    async def test_a_clock_that_is_put_back_stops_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: quick()) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)
            running.clock.now -= 400 * 86_400
            await running.until(lambda: "the clock was put back" in caplog.text)
            running.clock.advance(HALF_HOUR)
            await running.until(lambda: caplog.text.count("sync: ended with 0") == 2)

    async def test_a_spider_that_runs_elsewhere_is_no_failure_and_tried_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        codes = iter([75, 0])
        async with scheduling(tmp_path, SYNC, lambda job: quick(next(codes))) as running:
            await running.until(lambda: "sync: already runs elsewhere" in caplog.text)
            assert State(tmp_path).read()["sync"].started is None
            running.clock.advance(301)
            await running.until(lambda: "sync: ended with 0" in caplog.text)
        assert not [record for record in caplog.records if record.levelno > logging.INFO]

    async def test_what_follows_is_kept_alive(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        jobs = jobs_of(SCHEDULE_FEEDS="follow")
        async with scheduling(tmp_path, jobs, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            await running.scheduler.backend.stop("feeds", 3)
            await running.until(lambda: "feeds: ended with 137" in caplog.text)
            assert "Killed by signal 9." in caplog.text
            running.clock.advance(11)
            await running.until(lambda: caplog.text.count("ready") == 2)
            running.clock.advance(86_401)
            await running.until(lambda: "feeds: runs for 1 day, 0:00:00, is started anew" in caplog.text)
            await running.until(lambda: "feeds: ended with 0" in caplog.text)
            running.clock.advance(6)
            await running.until(lambda: caplog.text.count("ready") == 3)


class TestLimits:
    async def test_a_run_over_its_limit_is_asked_then_asked_again_then_killed_with_its_children(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The limits of pyf.aggregator did nothing: a task of 2 seconds ran for 8."""
        parent = OBEDIENT.replace("import os", "import os, subprocess").replace(
            'b"INFO ready',
            'b"INFO ready %d" % subprocess.Popen(["sleep", "600"]).pid + b"',
        )
        jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 100.0})
        async with scheduling(tmp_path, jobs, lambda job: script(parent, "9")) as running:
            await running.until(lambda: "ready" in caplog.text)
            child = int(caplog.text.partition("ready ")[2].split()[0])
            running.clock.advance(99)
            await running.turns()
            assert "limit" not in caplog.text
            running.clock.advance(1)
            await running.until(lambda: caplog.text.count("asked\n") == 1)
            assert "sync: over its limit of 0:01:40" in caplog.text
            running.clock.advance(60)
            await running.until(lambda: caplog.text.count("asked\n") == 2)
            assert is_alive(child)
            running.clock.advance(10)
            await running.until(lambda: "sync: ended with 137" in caplog.text)
            await running.until(lambda: not is_alive(child))
            assert running.records["sync"].exit_code == 137
            running.clock.advance(HALF_HOUR)
            await running.until(lambda: caplog.text.count("ready") == 2)

    async def test_a_run_that_obeys_is_no_failure_and_next_comes_at_its_time(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 100.0})
        async with scheduling(tmp_path, jobs, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            running.clock.advance(100)
            await running.until(
                lambda: "sync: ended with 0 after 0:01:40: Done. 1,200 fetched" in caplog.text
            )
            await running.turns()
            assert caplog.text.count("sync: started") == 1

    async def test_a_run_that_cannot_be_stopped_keeps_no_other_from_its_end(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Refusing:
            outlives: ClassVar[bool] = True
            stopped: ClassVar[list[str]] = []

            async def look(self) -> Look:
                return Look({"sync": NOON, "refresh": NOON}, busy=frozenset({"pypi", "project"}))

            async def start(self, job: Job, now: float) -> str:
                raise AssertionError

            async def stop(self, name: str, step: int) -> None:
                if name == "sync":
                    raise BackendError("cancel.json: no")
                self.stopped.append(name)

            async def close(self) -> None:
                pass

        jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_REFRESH="5 * * * *")
        clock, backend = Clock(), Refusing()
        async with at_work(tmp_path, jobs, backend, clock, asyncio.Event()) as running:
            await running.until(lambda: running.scheduler.running)
            clock.advance(21_600)
            await running.until(lambda: backend.stopped)
            await running.turns()
        assert caplog.text.count("sync: cancel.json: no; tried again all the time") == 1

    async def test_without_limit_it_goes_on(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 0.0})
        async with scheduling(tmp_path, jobs, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            running.clock.advance(1e9)
            await running.turns()
            assert "asked" not in caplog.text


class TestTheEnd:
    async def test_it_waits_for_its_runs_and_what_was_broken_off_is_due_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A restart in the middle of the weekly downloads must not cost a week."""
        stubborn = OBEDIENT.replace("sys.exit(0)", "sys.exit(1)")
        async with scheduling(tmp_path, SYNC, lambda job: script(stubborn, "2")) as running:
            await running.until(lambda: "ready" in caplog.text)
            assert running.records["sync"].running_since == NOON
            running.scheduler.stop()
            await running.until(lambda: caplog.text.count("asked\n") == 1)
            assert "stopping; waiting for sync" in caplog.text
            await running.turns()
            assert not running.task.done()
            running.scheduler.stop()  # a second Ctrl-C
            await asyncio.wait_for(running.task, 30)
        assert "sync: stopped with 1" in caplog.text
        assert State(tmp_path).read()["sync"] == Record(since=NOON)
        async with scheduling(tmp_path, SYNC, lambda job: quick()) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)

    def test_its_runs_die_with_it_when_it_is_killed(self, tmp_path: Path) -> None:
        """Else they would hold the locks of their spiders, and no limit would hold for them."""
        (tmp_path / "obedient.py").write_text(OBEDIENT)
        program = (
            "import asyncio, os, pathlib, sys\n"
            "from pyf_scrapy.schedule.jobs import Job\n"
            "from pyf_scrapy.schedule.processes import Processes\n"
            "command = [sys.executable, 'obedient.py', '9']\n"
            "async def main():\n"
            f"    runs = Processes(lambda job: command, pathlib.Path({str(tmp_path)!r}), os.environ, print)\n"
            "    print(await runs.start(Job('sync', 'pypi', {}), 0), flush=True)\n"
            "    await asyncio.sleep(600)\n"
            "asyncio.run(main())\n"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as schedule:
            assert schedule.stdout is not None
            crawl = int(schedule.stdout.readline().split()[1])
            assert is_alive(crawl)
            schedule.kill()
        while is_alive(crawl):
            time.sleep(0.01)

    async def test_what_ends_without_order_kills_what_it_started(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: obedient(9)) as running:
            await running.until(lambda: "ready" in caplog.text)
            crawl = int(caplog.text.partition("(process ")[2].partition(")")[0])
            running.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running.task
            while is_alive(crawl):
                await asyncio.sleep(0.01)

    async def test_a_run_that_ends_well_meanwhile_counts(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            await running.end()
        assert State(tmp_path).read()["sync"].exit_code == 0

    async def test_a_second_one_does_not_begin(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: obedient()) as running:
            await running.until(lambda: "ready" in caplog.text)
            async with scheduling(tmp_path, SYNC, lambda job: obedient()) as second:
                with pytest.raises(AlreadyRunningError):
                    await second.task
        assert caplog.text.count("sync: started") == 1


class TestTrouble:
    async def test_a_program_that_cannot_be_started_is_one_line_each_time(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: ["/nowhere/scrapy"]) as running:
            await running.until(lambda: "sync: cannot be started: No such file" in caplog.text)
            await running.turns()
            assert caplog.text.count("cannot be started") == 1
            running.clock.advance(HALF_HOUR)
            await running.until(lambda: caplog.text.count("cannot be started") == 2)

    async def test_a_full_disk_is_told_of_once_and_the_work_goes_on(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with scheduling(tmp_path, SYNC, lambda job: quick()) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)
            (tmp_path / "schedule.json.part").mkdir()
            running.clock.advance(HALF_HOUR)
            await running.until(lambda: caplog.text.count("sync: ended with 0") == 2)
            running.clock.advance(HALF_HOUR)
            await running.until(lambda: caplog.text.count("sync: ended with 0") == 3)
        assert caplog.text.count("after a restart it is not known what ran") == 1

    async def test_a_folder_that_cannot_be_used_ends_it_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "schedule.json.part").mkdir()
        async with scheduling(tmp_path, SYNC, lambda job: quick()) as running:
            with pytest.raises(StoreError, match=r"schedule\.json"):
                await running.task


class TestLog:
    async def test_the_lines_of_a_crawl_keep_their_level_and_get_its_name(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        talker = script(
            "import sys; w = sys.stderr.buffer.write;"
            "w(b'Traceback\\nWARNING one\\n  and \\xff two\\n\\nINFO ');"
            "w(b'three' + b'x' * 30_000 + b'\\nERROR last'); print('no json')"
        )
        async with scheduling(tmp_path, SYNC, lambda job: talker) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)
        lines = [
            (record.levelname, record.getMessage()[:9])
            for record in caplog.records
            if record.name == "schedule.sync"
        ]
        assert lines[:4] == [
            ("WARNING", "Traceback"),
            ("WARNING", "one"),
            ("WARNING", "  and � tw"[:9]),
            ("INFO", "threexxxx"),
        ]
        assert lines[-1] == ("ERROR", "last")
        assert max(len(record.getMessage()) for record in caplog.records) <= 10_000

    async def test_output_that_somebody_else_keeps_open_does_not_hold_it_up(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A search server that a crawl started lives in a session of its own, and may have its output."""
        leaver = script(
            "import subprocess, sys; "
            "p = subprocess.Popen(['sleep', '600'], start_new_session=True); print(f'INFO left {p.pid} x', "
            "file=sys.stderr)"
        )
        async with scheduling(tmp_path, SYNC, lambda job: leaver) as running:
            await running.until(lambda: "sync: ended with 0" in caplog.text)
            os.kill(int(caplog.text.partition("left ")[2].split()[0]), signal.SIGKILL)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    options = Options(projects=60, members={"plone": 20}, only_members=True, most_releases=3)
    with running_replica(options) as handle:
        yield handle


async def test_a_crawl_that_hangs_is_ended_by_its_limit_what_it_fetched_is_kept_and_the_next_goes_on(
    place: Place, replica: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    members = replica.replica.members("Framework :: Plone")
    replica.faults([{"match": name, "fault": "slow", "delay": 600} for name in members[:5]])
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 1000.0})

    def command(job: Job) -> list[str]:
        return [
            *(sys.executable, "-m", "scrapy", *job.crawl),
            *("--json", "-L", "WARNING", "-s", f"LOG_FORMAT={LOG_FORMAT}"),
        ]

    clock = Clock()
    environ = place.environment()
    async with scheduling(place.folder, jobs, command, clock=clock, environ=environ, cwd=CHECKOUT) as running:
        await running.until(lambda: replica.statistics()["total"] > 60)
        clock.advance(1000)
        await running.until(lambda: "over its limit" in caplog.text)
        clock.advance(60)
        await running.until(lambda: "asked again" in caplog.text)
        await running.until(lambda: "sync: ended with" in caplog.text)
        with place.store() as store:
            kept = store.status().projects
        assert kept >= 20
        replica.faults([])
        clock.advance(HALF_HOUR)
        await running.until(lambda: "sync: ended with 0" in caplog.text)
    indexed = {document["name_normalized"] for document in place.documents("plone").values()}
    assert indexed == set(members)
    with place.store() as store:
        assert store.status().projects == 60
