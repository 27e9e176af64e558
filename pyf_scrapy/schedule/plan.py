"""What is due: pure, from the jobs, what is remembered of their runs, and the time (epoch seconds)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

import msgspec

from pyf_scrapy.exceptions import AlreadyRunningError
from pyf_scrapy.schedule.jobs import Job

#: Seconds after which a job is tried again whose spider runs already, started by somebody else.
BUSY_PAUSE = 300.0
#: Seconds after which a job is tried again that could not be started; others take its place meanwhile.
REFUSED_PAUSE = 300.0
#: Seconds until a job that runs all the time is started again; doubled when it ended soon, up to the most.
RESTART_PAUSE = 5.0
MOST_RESTART_PAUSE = 300.0
#: Seconds that a clock may be put back without being noticed: what is remembered stays as it is.
CLOCK_SLACK = 60.0


#: Epoch seconds, as far as calendars reach safely.
Moment = Annotated[float, msgspec.Meta(ge=0, le=32_503_680_000)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a job; moments are epoch seconds.

    `since`: when it was seen first. `started` and `ended` are of the last run that ended by itself or by its
    limit: one that was broken off is due again. `exit_code` is None where nobody told it. `running_since` is
    of a run under way. `soon` counts the last runs in a row that ended soon after their start.
    """

    since: Moment
    started: Moment | None = None
    ended: Moment | None = None
    exit_code: int | None = None
    message: str = ""
    running_since: Moment | None = None
    not_before: Moment = 0.0
    soon: Annotated[int, msgspec.Meta(ge=0)] = 0


def due_at(job: Job, record: Record) -> float:
    """When the job is to run next, or since when it waits; infinity when it is off.

    However many times went by since its last run, this is one run.
    """
    if job.follows:
        return max(record.since, record.not_before)
    if job.crontab is None:
        return math.inf
    if record.started is not None:
        at = job.crontab.next_after(record.started, job.zone)
    elif job.at_once:
        at = record.since
    else:
        at = job.crontab.next_after(record.since, job.zone)
    return max(at, record.not_before)


def startable(
    jobs: Sequence[Job],
    records: Mapping[str, Record],
    *,
    running: Collection[str],
    busy: Collection[str],
    now: float,
    begun: float,
    parallel: int,
) -> list[Job]:
    """The jobs to start now, in order.

    `running` are the names of jobs that run, `busy` the spiders (of these and of others): no spider runs
    twice. At most `parallel` jobs run at a time, and patient ones leave one of these places free, if there
    are two; the feeds need no place. Who waits longest is first. All that was missed before the
    schedule was `begun` waits equally long; then the order of the jobs decides.
    """
    placed = {job.name: job for job in jobs if job.name in running and _needs_place(job)}
    free = parallel - len(placed)
    free_for_patient = max(1, parallel - 1) - sum(job.patient for job in placed.values())
    taken = set(busy)
    chosen = []
    for job in sorted(jobs, key=lambda job: max(due_at(job, records[job.name]), begun)):
        if due_at(job, records[job.name]) > now or job.spider in taken or job.name in running:
            continue
        if _needs_place(job):
            if free < 1 or (job.patient and free_for_patient < 1):
                continue
            free -= 1
            free_for_patient -= job.patient
        taken.add(job.spider)
        chosen.append(job)
    return chosen


def _needs_place(job: Job) -> bool:
    return job.name != "feeds"


def ended(job: Job, record: Record, *, started: float, now: float, code: int | None, message: str) -> Record:
    """The record after a run that ended by itself or by its limit.

    When its spider was already running, the run is still to come.
    """
    if code == AlreadyRunningError.exit_code:
        return msgspec.structs.replace(record, running_since=None, not_before=now + BUSY_PAUSE)
    soon, not_before = 0, 0.0
    if job.follows:
        soon = record.soon + 1 if now - started < MOST_RESTART_PAUSE else 0
        not_before = now + min(RESTART_PAUSE * 2 ** min(soon, 10), MOST_RESTART_PAUSE)
    return msgspec.structs.replace(
        record,
        started=started,
        ended=now,
        exit_code=code,
        message=message,
        running_since=None,
        not_before=not_before,
        soon=soon,
    )


def corrected(record: Record, now: float) -> Record:
    """The record without moments to come: when a clock was put back, they would stop the job until then."""
    latest = now + CLOCK_SLACK

    def past(moment: float | None) -> float | None:
        return moment if moment is None or moment <= latest else now

    return msgspec.structs.replace(
        record,
        since=past(record.since),
        started=past(record.started),
        ended=past(record.ended),
        running_since=past(record.running_since),
        not_before=record.not_before if record.not_before <= latest + MOST_RESTART_PAUSE else now,
    )


def wake_at(jobs: Sequence[Job], records: Mapping[str, Record], now: float) -> float:
    """When something is due next that is not due yet; infinity when nothing is."""
    times = (due_at(job, records[job.name]) for job in jobs)
    return min((at for at in times if at > now), default=math.inf)


def stop_step(over: float, grace: float, mercy: float) -> int:
    """How hard a run is to be stopped, `over` seconds after it should have ended.

    0 not at all, 1 asked to end, 2 asked again (`grace` seconds later, which ends a crawl without waiting for
    what is under way), 3 killed (`mercy` seconds after that).
    """
    if over < 0:
        return 0
    if over < grace:
        return 1
    return 2 if over < grace + mercy else 3
