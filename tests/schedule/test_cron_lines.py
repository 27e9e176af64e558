"""The lines for cron: what cron hands to the shell is the same work, whatever the folder is called."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.crontab import Crontab
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.schedule.cron_lines import crontab
from pyf_scrapy.schedule.jobs import Job
from tests.schedule.harness import NOON, OBEDIENT, jobs_of


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def echo(job: Job) -> list[str]:
    return ["echo", *job.crawl, "-L", "WARNING"]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(("#", "CRON_TZ"))]


def by_cron(line: str) -> str:
    """What the shell gets of a line: after five fields, with `\\%` as `%`; a bare one would end it."""
    command = line.split(maxsplit=5)[5]
    return re.sub(r"(?<!\\)%.*", "", command).replace(r"\%", "%")


def run(line: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", by_cron(line)], capture_output=True, text=True, timeout=30, check=True, cwd="/"
    )
    return done.stdout


def test_each_job_that_is_on_is_a_line_that_does_the_same(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s 100% $(mine) "and" ü'
    folder.mkdir()
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_REFRESH="5 * * * *", SCHEDULE_FEEDS="follow")

    def command(job: Job) -> list[str]:
        return ["sh", "-c", "pwd; echo $*", "sh", *job.crawl, "-L", "WARNING"]

    text = crontab(jobs, command, folder, zone_name="UTC", now=NOON)
    feeds, sync, refresh = lines(text)
    for line in (feeds, sync, refresh):
        Crontab(" ".join(line.split()[:5]))
    assert feeds.startswith("* * * * * cd ")
    assert run(feeds) == f"{folder}\ncrawl rss -a profile=plone -L WARNING\n"
    assert run(sync) == f"{folder}\ncrawl pypi -a profile=plone -L WARNING\n"
    assert run(refresh) == f"{folder}\ncrawl project -a profile=plone -a refresh=1 -a share=1/24 -L WARNING\n"
    assert "# github is off: cd " in text


def test_the_limit_holds_there_too_and_the_crawl_is_asked_once(tmp_path: Path) -> None:
    """A second signal would break off what is under way."""
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 1.0})
    program = tmp_path / "obedient.py"
    program.write_text(OBEDIENT)
    text = crontab(jobs, lambda job: [sys.executable, str(program), "1"], tmp_path, zone_name="UTC", now=NOON)
    (line,) = lines(text)
    assert " timeout --foreground -k 110 1 " in line
    command = by_cron(line).replace(" 1 ", " 0.2 ", 1)
    with subprocess.Popen(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        output, errors = process.communicate(timeout=30)
    assert errors.count("asked") == 1
    assert "Done." in output


@pytest.mark.parametrize(
    ("limits", "timeout"), [({}, "110 1800 "), ({"feeds": 60.0}, "110 60 "), ({"feeds": 0.0}, None)]
)
def test_the_limit_of_feeds_that_follow_elsewhere_is_that_of_one_look_or_the_one_that_is_set(
    tmp_path: Path, limits: dict[str, float], timeout: str | None
) -> None:
    jobs = jobs_of(SCHEDULE_FEEDS="follow", SCHEDULE_LIMITS=limits)
    (line,) = lines(crontab(jobs, echo, tmp_path, zone_name="UTC", now=NOON))
    assert timeout in line if timeout else "timeout" not in line.partition("&&")[2]


def test_without_limit_there_is_no_timeout(tmp_path: Path) -> None:
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 0.0})
    (line,) = lines(crontab(jobs, echo, tmp_path, zone_name="UTC", now=NOON))
    assert "timeout" not in line.partition("&&")[2]


def test_times_of_another_zone_are_said_to_be_of_it(tmp_path: Path, in_berlin: None) -> None:
    for zone, named in (
        ("UTC", True),
        ("Europe/Berlin", False),
        ("Europe/Paris", False),
        ("Asia/Tokyo", True),
    ):
        jobs = jobs_of(SCHEDULE_SYNC="0 4 * * *", SCHEDULE_TIMEZONE=zone)
        text = crontab(jobs, echo, tmp_path, zone_name=zone, now=NOON)
        assert (f"\nCRON_TZ={zone}\n" in text) == named, zone


def test_settings_that_cron_does_not_know_are_named_without_their_values(tmp_path: Path) -> None:
    text = crontab(
        jobs_of(SCHEDULE_SYNC="0 4 * * *"),
        echo,
        tmp_path,
        zone_name="UTC",
        now=NOON,
        unseen={"B_KEY", "A_URL"},
    )
    assert "# Put into .env what cron cannot know: A_URL, B_KEY\n" in text


@pytest.mark.parametrize("name", ["line\nend", "back\\%slash"])
def test_a_folder_that_no_crontab_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageProblem, match="a crontab cannot hold"):
        crontab(jobs_of(SCHEDULE_SYNC="0 4 * * *"), echo, tmp_path / name, zone_name="UTC", now=NOON)
