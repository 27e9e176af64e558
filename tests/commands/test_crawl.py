"""`scrapy crawl` as a person or cron uses it: what it prints, and the exit code that says how it went."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scrapy.cmdline import execute

from pyf_scrapy.commands.crawl import traffic
from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.extensions.outcome import FIGURES
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import CHECKOUT, Place

OPTIONS = Options(projects=200, members={"plone": 10}, only_members=True, most_releases=5)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "which spider? one of: github, health, project, pypi, pypistats, replicate, rss"),
        ("pypi project", "one spider, not pypi, project"),
        ("pypy", "unknown spider 'pypy'"),
        ("pypi", "which packages?"),
        ("pypi -p nope", "unknown profile 'nope'"),
        ("pypi -p plone -a profile=plone", "not both"),
        ("pypi -a profil=plone", "did you mean 'profile'"),
        ("pypi -p plone -a limit=none", "limit"),
        ("pypi -p plone -a full=perhaps", "full"),
        ("pypi --profile=plone", "use -p plone"),
        ("pypi -p plone -s PYPI_MAX_RPS=fast", "PYPI_MAX_RPS"),
        ("pypi -p plone --nonsense", "unknown option '--nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", "crawl", *command.split()], settings=place.settings())
    output, errors = capsys.readouterr()
    assert ended.value.code == ExitCode.USAGE
    assert message in errors
    assert errors.count("\n") == 1, errors
    assert output == ""
    assert not place.folder.exists(), "nothing is begun"


def test_scripts_get_one_json_object_and_the_items(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "packages.jsonl"
    done = place.run("crawl", "pypi", "-p", "plone", "--json", "-L", "WARNING", "-O", str(file))
    assert done.returncode == ExitCode.OK, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) == {"exit_code", "reason", "message", "hosts", *FIGURES}
    assert (summary["exit_code"], summary["packages_indexed"]) == (0, 10)
    packages = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(packages) == 10
    assert {"name", "classifiers", "releases", "health"} <= set(packages[0])
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["/dev/full", "file/x"], ids=["full disk", "no folder"])
@pytest.mark.parametrize("format_", ["jsonl", "json", "csv", "xml"])
async def test_packages_that_cannot_be_written_are_no_success(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, format_: str
) -> None:
    """No later run passes them on again."""
    (tmp_path / "file").touch()
    file = str(tmp_path / name)
    feeds = {file: {"format": format_, "overwrite": True}}
    crawled = await place.crawl("pypi", profile="plone", settings={"FEEDS": feeds})
    assert (crawled.outcome.exit_code, crawled.outcome.reason) == (1, "export_failed")
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"{file} cannot be written" in told.getMessage()
    assert not told.exc_info


def test_ctrl_c_keeps_what_was_done_and_a_second_run_waits_for_nobody(place: Place, replica: Handle) -> None:
    place.extra["PYPI_MAX_RPS"] = 5  # still at it when the second run has started, however slow that is
    replica.reset()
    running = place.popen("crawl", "pypi", "-p", "plone", "-L", "WARNING")
    try:
        while replica.statistics()["total"] < 10:
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        second = place.run("crawl", "pypi", "-p", "plone", "-L", "WARNING")
        assert second.returncode == ExitCode.ALREADY_RUNNING
        assert "already running" in second.stderr
        asked = time.monotonic()
        os.kill(running.pid, signal.SIGINT)
        output, errors = running.communicate(timeout=20)
    finally:
        running.kill()
    assert time.monotonic() - asked < 10
    assert (running.returncode, "Interrupted" in output, errors) == (1, True, "")
    with place.store() as store:
        assert store.status().projects >= 3
        (run,) = store.runs()
    (report,) = [json.loads(path.read_text()) for path in (place.folder / "runs").iterdir()]
    assert (report["run"], report["reason"], report["exit_code"]) == (run.id, "shutdown", 1), (
        "of the first run"
    )


#: Ctrl-C while Python looks for cycles, just before Scrapy listens: an exception thrown there is lost.
LOST_IN_A_CALLBACK = """
import gc, os, signal, sys
from scrapy.cmdline import execute
from pyf_scrapy.commands import crawl

spare = crawl._spare_collections

def interrupted():
    gc.callbacks.append(lambda phase, info: os.kill(os.getpid(), signal.SIGINT))
    spare()

crawl._spare_collections = interrupted
execute(["scrapy", "crawl", "pypi", "-p", "plone", "-a", "limit=1"])
"""


def test_ctrl_c_before_a_crawl_begins_is_not_lost(place: Place, replica: Handle) -> None:
    """Else it goes on for two days while whoever has started it believes that it ends."""
    replica.reset()
    ended = subprocess.run(
        [sys.executable, "-c", LOST_IN_A_CALLBACK],
        cwd=CHECKOUT,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr, replica.statistics()["total"]) == (-signal.SIGINT, "", 0)


def test_a_log_is_about_the_crawl_unless_more_is_asked_for(place: Place) -> None:
    calm = place.run("crawl", "pypi", "-p", "plone", "-a", "limit=3")
    lines = calm.stderr.splitlines()
    assert 0 < len(lines) < 12, calm.stderr
    assert any("The index lists 200 projects" in line for line in lines)
    full = place.run("crawl", "pypi", "-p", "plone", "-a", "limit=3", "-L", "INFO")
    assert "Enabled item pipelines" in full.stderr


def on_a_terminal(place: Place, *arguments: str) -> tuple[int, str]:
    """The exit code of `scrapy ARGUMENTS`, and what a person sees of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "scrapy", *arguments],
        cwd=CHECKOUT,
        env=place.environment() | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # a terminal that was closed is an error on Linux
            while part := os.read(ours, 65536):
                seen += part
    os.close(ours)
    return process.returncode, seen.decode()


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        (
            {"requests": 1, "answers": 1, "bytes": 320, "not_modified": 1},
            "1 request, 0 kB, 100 % of the answers 304",
        ),
        ({"requests": 7, "answers": 7, "bytes": 41_400}, "7 requests, 41 kB"),
        ({"requests": 1_229, "answers": 1_229, "bytes": 4_100_000}, "1,229 requests, 4.1 MB"),
    ],
)
def test_what_little_was_sent_is_not_told_as_nothing(figures: dict[str, int], shown: str) -> None:
    """ "1 requests, 0.0 MB" stood below every crawl that found little to do."""
    assert traffic(figures) == shown


def test_a_person_sees_a_bar_and_a_summary_instead_of_a_log(place: Place) -> None:
    place.extra["PYPI_MAX_RPS"] = 100
    code, text = on_a_terminal(place, "crawl", "pypi", "-p", "plone")
    assert code == ExitCode.OK
    assert "Checking projects" in text
    assert re.search(r"\d+/200", text)
    assert "Done." in text
    assert "INFO" not in text


async def test_a_person_who_asks_for_it_sees_what_github_was_asked_and_answered(
    place: Place, replica: Handle
) -> None:
    """On a terminal the log is of warnings only: `-a verbose=1` would have said nothing."""
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == ExitCode.OK
    place.extra |= {"GITHUB_API_URL": replica.github_url, "GITHUB_TOKEN": "one", "GITHUB_REQUEST_DELAY": 0}
    command = (place, "crawl", "github", "-p", "plone")
    code, text = await asyncio.to_thread(on_a_terminal, *command, "-a", "verbose=1")
    assert code == ExitCode.OK
    assert "POST /graphql" in text
    assert "Bearer" not in text
    assert "POST /graphql" not in (await asyncio.to_thread(on_a_terminal, *command))[1]
