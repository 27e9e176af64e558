"""The schedule as a crontab, for who has cron anyway."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.schedule.jobs import FOLLOW_INTERVAL, Job

_MINUTELY = "* * * * *"
_GRACE = 110  # seconds until `timeout` kills what it has asked to end
_MONTH = 30 * 24 * 60 * 60  # seconds


def crontab(
    jobs: Sequence[Job],
    command: Callable[[Job], Sequence[str]],
    folder: Path,
    *,
    zone_name: str,
    now: float,
    unseen: Iterable[str] = (),
) -> str:
    """The text of a crontab that does what the schedule does, as far as cron can.

    `command` makes the command line of a job, to be run in `folder`. `now` is epoch seconds; `unseen` are
    names of settings in the environment, which cron does not have. Raises UsageProblem when the folder's name
    cannot stand in a crontab.
    """
    return "\n".join(_lines(jobs, command, folder, zone_name, now, sorted(unseen))) + "\n"


def _lines(
    jobs: Sequence[Job],
    command: Callable[[Job], Sequence[str]],
    folder: Path,
    zone_name: str,
    now: float,
    unseen: Sequence[str],
) -> Iterator[str]:
    yield "# What `scrapy schedule` does, by cron: but cron does not make up for what was missed."
    yield "# A run whose spider still runs ends at once with exit code 75."
    yield '# Cron mails what a run prints, unless a line MAILTO="" stands before these.'
    if unseen:
        yield f"# Put into .env what cron cannot know: {', '.join(unseen)}"
    if not _is_local(jobs[0].zone, now):
        yield f"# Times are those of {zone_name}; Debian's cron ignores this line, and takes them as local."
        yield f"CRON_TZ={zone_name}"
    for job in jobs:
        arguments = {name: value for name, value in job.arguments.items() if name != "follow"}
        crawl = shlex.join(command(Job(job.name, job.spider, arguments)))
        if limit := job.limit_once:
            # In the foreground, or the signal may come twice, which breaks off what is under way.
            crawl = f"timeout --foreground -k {_GRACE} {limit:.0f} {crawl}"
        line = f"cd {shlex.quote(str(folder))} && {crawl}"
        if not line.isprintable() or r"\%" in line:
            raise UsageProblem(f"{str(folder)!r} has characters in its name that a crontab cannot hold")
        line = line.replace("%", r"\%")  # else a line end to cron
        yield ""
        if job.follows:
            yield f"# {job.name}, each minute, as cron keeps no process alive (-a follow={FOLLOW_INTERVAL})"
            yield f"{_MINUTELY} {line}"
        elif job.crontab is None:
            yield f"# {job.name} is off: {line}"
        else:
            yield f"# {job.name}"
            yield f"{job.crontab.text} {line}"


def _is_local(zone: tzinfo, now: float) -> bool:
    """Whether its clocks agree with this machine's, now and in each of the next twelve months."""
    moments = (now + month * _MONTH for month in range(13))
    return all(
        datetime.fromtimestamp(moment, zone).utcoffset()
        == timedelta(seconds=time.localtime(moment).tm_gmtoff)
        for moment in moments
    )
