"""`scrapy schedule` as a service manager and a person use it."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scrapy.cmdline import execute

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.commands.schedule import cleaned
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.schedule.state import State
from tests.commands.world import run_in
from tests.crawling import CHECKOUT, Place
from tests.schedule.harness import is_alive

OPTIONS = Options(projects=200, members={"plone": 10}, only_members=True, most_releases=5)
ONLY_SYNC = {f"SCHEDULE_{name}": "" for name in ("FEEDS", "REFRESH", "GITHUB", "DOWNLOADS", "HEALTH", "FULL")}


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "which profile? use -p PROFILE or set DEFAULT_PROFILE"),
        ("-p nope", "unknown profile 'nope'"),
        ("-p plone,django -c packages", "collection=packages with 2 profiles"),
        ("-p plone --json", "--json goes with --list only"),
        ("-p plone --list --print-crontab", "not allowed with argument"),
        ("-p plone extra", "unknown argument 'extra'"),
        ("-p plone --nonsense", "unknown option '--nonsense'"),
        ("-p plone -s SCHEDULE_SYNC=often", "SCHEDULE_SYNC='often' does not have five fields"),
        ("-p plone -s SCHEDULE_TIMEZONE=Mars", "SCHEDULE_TIMEZONE='Mars' must be a time zone"),
        ("-p plone -s SCHEDULE_LIMITS=sync", "SCHEDULE_LIMITS='sync' must be NAME=NUMBER"),
        (
            "-p plone --scrapyd http://me:oriole5512@127.0.0.1:6800",
            "set SCRAPYD_USERNAME and SCRAPYD_PASSWORD",
        ),
        ("-p plone --scrapyd 127.0.0.1:6800", "must begin with http:// or https://"),
        ("-p plone --scrapyd= ", "--scrapyd needs the URL"),
        (
            "-p plone --scrapyd http://127.0.0.1 -s SCRAPYD_PASSWORD=oriole5512",
            "put it into .env, or into a file that SCRAPYD_PASSWORD_FILE names",
        ),
        ("-p plone --print-crontab -s GITHUB_TOKEN=ghp_oriole5512", "-s GITHUB_TOKEN: what may be a secret"),
        ("--list -s DATABASE_URL=postgresql://me:oriole5512@db/pyf", "DATABASE_URL_FILE"),
        ("-p plone -s REDIS_HOST=redis://:oriole5512@valkey", "-s REDIS_HOST: what may be a secret"),
        ("--list -c a/b", "collection name 'a/b': use letters"),
        ("--list -p plone -c plone-1", "use 'plone'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    fresh: Place, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", "schedule", *command.split()], settings=fresh.settings())
    output, errors = capsys.readouterr()
    assert ended.value.code == ExitCode.USAGE
    assert message in errors
    assert errors.count("\n") == 1, errors
    assert "oriole" not in errors
    assert output == ""


def test_a_user_of_scrapyd_without_password_is_bad_input(
    fresh: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("schedule", "-p", "plone", "--scrapyd", "http://127.0.0.1:1")
    assert run_in(fresh, *command, SCRAPYD_USERNAME="me") == ExitCode.USAGE
    assert "set both or none" in capsys.readouterr().err


def test_a_schedule_with_nothing_in_it_is_bad_input(fresh: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in(fresh, "schedule", "-p", "plone", **ONLY_SYNC, SCHEDULE_SYNC="") == ExitCode.USAGE
    assert "nothing to do: all of SCHEDULE_* are empty" in capsys.readouterr().err


class TestList:
    def test_what_runs_when_and_ran_how(
        self, fresh: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "160")
        now = int(time.time())
        ran = Record(since=0, started=now - 3600, ended=now - 3500, exit_code=3, message="Done.")
        State(fresh.folder).write({"sync": ran, "github": Record(since=0, started=now, running_since=now)})
        zone = {"SCHEDULE_TIMEZONE": "Europe/Berlin"}
        assert run_in(fresh, "schedule", "--list", "-p", "plone", **zone) == ExitCode.OK
        text = capsys.readouterr().out
        assert "does not run" in text
        assert "next (Europe/Berlin)" in text
        assert "0:01:40: 3" in text
        assert "crawl project -a profile=plone -a refresh=1 -a share=1/24" in text
        assert run_in(fresh, "schedule", "--list", "--json") == ExitCode.OK
        shown = json.loads(capsys.readouterr().out)
        assert (shown["timezone"], shown["running"]) == ("UTC", False)
        jobs = {job["job"]: job for job in shown["jobs"]}
        assert [*jobs] == ["feeds", "sync", "refresh", "github", "downloads", "health", "full"]
        assert jobs["full"]["next"] is None
        assert jobs["sync"]["started"] == now - 3600
        assert jobs["sync"]["next"] >= now
        assert jobs["github"]["running_since"] is None, "a schedule that was killed runs nothing"
        assert jobs["health"]["command"] == "crawl health"

    def test_what_runs_now(
        self, fresh: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "120")
        state = State(fresh.folder)
        state.write({"sync": Record(since=0, running_since=60.0)})
        state.take()
        try:
            assert run_in(fresh, "schedule", "--list", "-p", "plone") == ExitCode.OK
        finally:
            state.lock.release()
        (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("sync"))
        assert "now" in row
        assert "1970-01-01 00:01" in row

    def test_it_makes_nothing(self, fresh: Place) -> None:
        assert run_in(fresh, "schedule", "--list") == ExitCode.OK
        assert not fresh.folder.exists()


def test_lines_for_cron_are_commands_that_can_be_typed(
    fresh: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_kestrel7431")
    monkeypatch.setenv("PYF_ENV_FILE", "")
    assert run_in(fresh, "schedule", "-p", "plone", "-s", "PYPI_MAX_RPS=2", "--print-crontab") == ExitCode.OK
    text = capsys.readouterr().out
    assert "kestrel" not in text
    assert "GITHUB_TOKEN" in text
    (line,) = (line for line in text.splitlines() if line.startswith("*/30 * * * *"))
    words = shlex.split(line.split(maxsplit=5)[5])
    assert words[:3] == ["cd", str(CHECKOUT), "&&"]
    command = words[words.index("timeout") + 5 :]
    assert Path(command[0]).is_file()
    assert command[1:] == ["crawl", "pypi", "-a", "profile=plone", "-L", "WARNING", "-s", "PYPI_MAX_RPS=2"]


def test_a_line_of_a_stranger_stays_one_line() -> None:
    """Else a package could write into the log that all is well."""
    text = "  Dropped %s\rERROR [schedule] \x1b[2Jfake\u2028line\x9b1m"
    record = logging.makeLogRecord({"msg": text, "args": ("a\x0bb",)})
    assert cleaned(record)
    assert record.getMessage() == "  Dropped a b ERROR [schedule] fake line"


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """The next line of its log with this text in it."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"it ended with {process.wait()} before {text!r}")


def test_a_service_that_is_ended_ends_its_crawls_keeps_their_work_and_leaves_nothing_behind(
    place: Place, replica: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    place.extra |= {**ONLY_SYNC, "DEFAULT_PROFILE": "plone", "PYPI_MAX_RPS": 20}
    replica.reset()
    schedule = place.popen("schedule")
    try:
        crawl = int(line_with(schedule, "sync: started (process ").partition("process ")[2].split(")")[0])
        while replica.statistics()["total"] < 5:
            assert schedule.poll() is None
            time.sleep(0.02)
        assert run_in(place, "schedule") == ExitCode.ALREADY_RUNNING
        second = capsys.readouterr().err
        assert second == f"scrapy schedule: another one is already running in {place.folder}\n"
        schedule.send_signal(signal.SIGTERM)
        output, errors = schedule.communicate(timeout=60)
    finally:
        schedule.kill()
    assert (schedule.returncode, output) == (0, "")
    assert "[schedule] INFO: sync: stopped with 1 after" in errors
    assert "Interrupted; the same command goes on from here." in errors
    assert not is_alive(crawl)
    with place.store() as store:
        assert 0 < store.status().projects < 200
    assert State(place.folder).read()["sync"].started is None, "it is due again at the next start"
