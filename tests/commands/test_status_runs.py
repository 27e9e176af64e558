"""`scrapy status --runs`: what ran and what became of it; a killed run must not look done."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pyf_scrapy.store.run_reports import Failures, read_report, report_path, write_report
from tests.commands.world import Run, World, run_in
from tests.crawling import Place
from tests.store.test_run_reports import report

Capture = pytest.CaptureFixture[str]

START = 1_800_000_000  # 2027-01-15 08:00
HOSTS = {"pypi.org": {"requests": 10, "answers": 8, "bytes": 1000, "not_modified": 2}}


@pytest.fixture
def ran(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Run 1 is done, 2 was killed, 3 was interrupted, 4 runs since an hour."""
    monkeypatch.setenv("COLUMNS", "80")
    with fresh.store() as store:
        store.start_run("pypi", {"profile": "plone,django"}, START)
        figures = {"fetched": 1234, "packages_indexed": 7, "failed": 1, "hosts": HOSTS, "profiles": ["plone"]}
        store.finish_run(1, "finished", 3, figures, START + 120)
        store.start_run("rss", {"follow": "30"}, START + 200)
        store.start_run("rss", {"classifier": "*", "collection": "all"}, START + 300)
        store.finish_run(3, "shutdown", 1, {"fetched": 0, "hosts": {}}, START + 310)
        store.start_run("pypi", {}, int(time.time()) - 3600)
    return fresh


def lines(printed: str) -> dict[str, str]:
    """The rows of the table by the number of the run."""
    rows = (" ".join(line.split()) for line in printed.splitlines())
    return {row.partition(" ")[0]: row.partition(" ")[2] for row in rows if row[:1].isdigit()}


def test_the_runs_are_listed_the_last_one_first(
    ran: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    with ran.running("pypi"):
        assert run_in(ran, "status", "--runs") == 0
    rows = lines(capsys.readouterr().out)
    assert list(rows) == ["4", "3", "2", "1"]
    assert rows["4"].endswith("pypi running")
    assert rows["3"] == "2027-01-15 08:05 rss all 10 s interrupted 1 0 0"
    assert rows["2"] == "2027-01-15 08:03 rss killed"
    assert rows["1"] == "2027-01-15 08:00 pypi plone 2 min some failed 3 1,234 7 1 10 25 %"


def test_a_narrow_terminal_gets_whole_words(ran: Place, capsys: Capture) -> None:
    assert run_in(ran, "status", "--runs") == 0
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    words = " ".join(printed.split())
    assert "1 2027-01-15 08:00 pypi plone 2 min some failed, exit code 3, 1,234" in words
    assert "2 2027-01-15 08:03 rss killed" in words


def test_so_many_as_wanted_as_json_with_their_reports(ran: Place, capsys: Capture) -> None:
    path = write_report(ran.folder, report(1, "pypi", START))
    assert run_in(ran, "status", "--runs", "1", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)["runs"]
    assert (line["run"], line["outcome"], line["report"]) == (4, "killed", None)
    assert run_in(ran, "status", "--runs", "--json") == 0
    line = json.loads(capsys.readouterr().out)["runs"][-1]
    assert line == {
        "run": 1,
        "spider": "pypi",
        "arguments": {"profile": "plone,django"},
        "profiles": ["plone"],
        "started_at": START,
        "seconds": 120,
        "outcome": "some failed",
        "exit_code": 3,
        "fetched": 1234,
        "indexed": 7,
        "failed": 1,
        "requests": 10,
        "not_modified": 0.25,
        "report": str(path),
    }


def test_a_killed_run_shows_what_it_last_reported(ran: Place, capsys: Capture) -> None:
    write_report(ran.folder, report(2, "rss", START + 200))
    assert run_in(ran, "status", "--runs", "--json") == 0
    line = json.loads(capsys.readouterr().out)["runs"][2]
    assert (line["outcome"], line["fetched"], line["requests"]) == ("killed", 3, 3)
    report_path(ran.folder, "rss", START + 200, 2).write_text("broken")
    assert run_in(ran, "status", "--runs", "--json") == 0
    line = json.loads(capsys.readouterr().out)["runs"][2]
    assert (line["outcome"], line["fetched"]) == ("killed", None)


def test_one_run_is_shown_in_full(ran: Place, capsys: Capture) -> None:
    failed = Failures()
    failed.note("broken-pkg", "project", "HTTP 500 \x1b[31m")
    failed.total = 2_000
    told = report(1, "pypi", START)
    told.failures.first.extend(failed.first)
    told.failures.total = failed.total
    write_report(ran.folder, told)
    assert run_in(ran, "status", "--run", "1") == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    for text in (
        "1: pypi profile=plone,django",
        "2027-01-15 08:00 UTC",
        "some failed, exit code 3",
        "fetched 3",
        "pypi.org 3 3 1",
        "200: 2, 304: 1",
        "broken-pkg project HTTP 500",
        "These are the first 1 of 2,000.",
        "feeds 1 s, index 2 s, refresh never",
    ):
        assert text in words
    assert "\x1b" not in printed
    assert run_in(ran, "status", "--run", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"]["run"] == found["report"]["run"] == 1
    assert found["report"]["failures"]["total"] == 2_000


def test_a_run_without_report_shows_what_the_store_knows(ran: Place, capsys: Capture) -> None:
    assert run_in(ran, "status", "--run", "2") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "2: rss follow=30" in printed
    assert "There is no report of it" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run", "99"], "there is no run 99; `scrapy status --runs` lists them"),
        (["--run", "x"], "'x' is not a whole number above 0"),
        (["--runs", "0"], "'0' is not a whole number above 0"),
        (["--runs", "--run", "1"], "not allowed with argument --runs"),
        (["--runs", "-p", "plone"], "--runs and --run go with --json only"),
        (["--run", "1", "--failures"], "--runs and --run go with --json only"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    fresh: Place, capsys: Capture, arguments: list[str], told: str
) -> None:
    assert run_in(fresh, "status", *arguments) == 2
    assert told in capsys.readouterr().err
    assert not fresh.folder.exists()


def test_nothing_has_run_yet(fresh: Place, capsys: Capture) -> None:
    assert run_in(fresh, "status", "--runs") == 0
    assert capsys.readouterr().out == "Nothing has run yet.\n"
    assert not fresh.folder.exists()


def test_a_real_run_has_its_report(run: Run, world: World, capsys: Capture) -> None:
    assert run("status", "--runs", "--json") == 0
    line = json.loads(capsys.readouterr().out)["runs"][-1]
    assert (line["spider"], line["profiles"], line["exit_code"]) == ("pypi", ["plone", "django"], 3)
    found = read_report(Path(line["report"]))
    assert found is not None
    assert found.failures.total == len(world.broken)
    assert run("status", "--run", str(line["run"])) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in world.broken)
