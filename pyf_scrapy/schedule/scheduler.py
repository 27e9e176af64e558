"""The scheduler: starts what is due, stops what takes too long, remembers what ran."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from pyf_scrapy.exceptions import AlreadyRunningError, StoreError
from pyf_scrapy.schedule import plan
from pyf_scrapy.schedule.backend import Backend, BackendError, Ended, Look, UnreachableError
from pyf_scrapy.schedule.jobs import Job
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.schedule.state import State

logger = logging.getLogger("schedule")

_LATE = 60.0  # seconds; a start later than that is said to be late
_FINE = (0, 3)  # exit codes of a crawl that did its work


@dataclass(frozen=True)
class Timing:
    """The scheduler's times in seconds, and its clocks: `now` is epoch seconds, `elapsed` never goes back.

    `grace`: from the first word to a run to the second, which breaks off what is under way. `mercy`: from
    that to its end by force. `tick`: the longest time between two looks.
    """

    grace: float = 90.0
    mercy: float = 20.0
    tick: float = 10.0
    now: Callable[[], float] = time.time
    elapsed: Callable[[], float] = time.monotonic


@dataclass
class _Run:
    """A run under way: when it began (by `elapsed`), and how hard it was asked to stop."""

    since: float
    asked: int = 0


class Scheduler:
    """`run` until `stop` is called. One scheduler may use a data folder at a time.

    `parallel` is how many jobs may run at a time besides the feeds; `woken` is set by whoever has news.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        state: State,
        backend: Backend,
        *,
        parallel: int,
        woken: asyncio.Event,
        timing: Timing | None = None,
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.state = state
        self.backend = backend
        self.parallel = parallel
        self.timing = timing or Timing()
        self.records: dict[str, Record] = {}
        self._woken = woken
        self._runs: dict[str, _Run] = {}
        self._waiting: frozenset[str] = frozenset()
        self._begun = 0.0
        self._stopping_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._troubles: set[str] = set()
        self._job_troubles: dict[str, str] = {}
        self._saved: dict[str, Record] = {}
        self._unsaved = ""

    @property
    def running(self) -> frozenset[str]:
        """The names of the jobs that run."""
        return frozenset(self._runs)

    def stop(self) -> None:
        """End: runs are asked to stop, and waited for. A second call breaks off what they have under way."""
        now = self.timing.elapsed()
        if self._stopping_since is not None:
            self._stopping_since = min(self._stopping_since, now - self.timing.grace)
        else:
            self._stopping_since = now
            if self._runs and not self.backend.outlives:
                logger.info("stopping; waiting for %s", ", ".join(self._runs))
        self._woken.set()
        if self.backend.outlives and self._task is not None:
            self._task.cancel()  # an answer that is waited for may take its time

    async def run(self) -> None:
        """Schedule until stopped. Raises AlreadyRunningError, StoreError when nothing can be remembered."""
        self.state.take()
        try:
            self._recall()
            self._task = asyncio.current_task()
            on = (name for name, job in self.jobs.items() if not job.is_off)
            logger.info("scheduled: %s", ", ".join(on))
            while not await self.turn():
                await self._wait()
        except asyncio.CancelledError:
            if self._stopping_since is None:
                raise
            self._save_changes()
        finally:
            self._task = None
            await self.backend.close()
            self.state.lock.release()

    async def turn(self) -> bool:
        """Look once, and do what is to do. Returns whether all is done that is to be done before the end."""
        self._woken.clear()
        self._correct()
        try:
            look = await self.backend.look()
            self._note(look)
            for name in list(self._runs):
                await self._stop_if_over(name)
            if self._stopping_since is None:
                await self._start_due(look)
        except BackendError as error:
            self._complain(str(error))
        else:
            if self._stopping_since is None:
                self._complain("")
        self._save_changes()
        return self._stopping_since is not None and (self.backend.outlives or not self._runs)

    async def _wait(self) -> None:
        now = self.timing.now()
        seconds = min(self.timing.tick, plan.wake_at([*self.jobs.values()], self.records, now) - now)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    def _recall(self) -> None:
        """Remember what ran. Raises StoreError."""
        self._begun = self.timing.now()
        known = self.state.read()
        for name in self.jobs:
            record = known.get(name, Record(since=self._begun))
            if not self.backend.outlives:
                record = msgspec.structs.replace(record, running_since=None)
            self.records[name] = record
        self._save()

    def _correct(self) -> None:
        now = self.timing.now()
        corrected = {name: plan.corrected(record, now) for name, record in self.records.items()}
        if corrected != self.records:
            logger.warning("the clock was put back; what is remembered of later counts as of now")
            self.records = corrected
            self._begun = min(self._begun, now)

    def _note(self, look: Look) -> None:
        """Take over what runs and what has ended."""
        for name, started in look.running.items():
            if name not in self._runs:
                self._meet(name, started)
        self._waiting = look.waiting
        for end in look.ended:
            self._finish(end)
        for name, record in self.records.items():
            if record.running_since is not None and name not in look.running and name not in look.waiting:
                self._finish(Ended(name, record.running_since))

    def _meet(self, name: str, started: float) -> None:
        """A run that was not seen before: its limit counts from its begin, which a restart does not change,
        and not from when it began to wait. One that is far over it is asked before it is killed, too.
        """
        now, limit = self.timing.now(), self.jobs[name].limit
        begun = now if name in self._waiting else max(started, self.records[name].running_since or 0.0)
        begun = min(begun, now)
        self._runs[name] = _Run(self.timing.elapsed() - min(now - begun, limit or math.inf))
        self._change(name, running_since=begun)

    def _finish(self, end: Ended) -> None:
        run = self._runs.pop(end.name, None)
        job, now = self.jobs[end.name], self.timing.now()
        seconds = self.timing.elapsed() - run.since if run else 0.0
        told = f" after {timedelta(seconds=round(seconds))}" if run else ""
        if end.exit_code is not None:
            told = f" with {end.exit_code}{told}"
        told += f": {end.message}" if end.message else ""
        is_broken_off = self._stopping_since is not None and not self.backend.outlives
        if is_broken_off and (job.follows or end.exit_code not in _FINE):
            self._change(end.name, running_since=None)
            logger.info("%s: stopped%s", end.name, told)
            return
        self.records[end.name] = plan.ended(
            job,
            self.records[end.name],
            started=end.started,
            now=now,
            code=end.exit_code,
            message=end.message,
        )
        if end.exit_code == AlreadyRunningError.exit_code:
            logger.info("%s: already runs elsewhere; tried again in %.0f s", end.name, plan.BUSY_PAUSE)
        else:
            fine = end.exit_code is None or end.exit_code in _FINE or (run is not None and run.asked > 0)
            logger.log(logging.INFO if fine else logging.WARNING, "%s: ended%s", end.name, told)

    async def _stop_if_over(self, name: str) -> None:
        """Ask a run to stop that is over its limit, or that has to end with the scheduler; ever harder."""
        job, run = self.jobs[name], self._runs[name]
        now = self.timing.elapsed()
        over = now - run.since - job.limit if job.limit else -1.0
        if self._stopping_since is not None and not self.backend.outlives:
            over = max(over, now - self._stopping_since)
        step = plan.stop_step(over, self.timing.grace, self.timing.mercy)
        if step <= run.asked:
            return
        try:
            await self.backend.stop(name, step)
        except UnreachableError:
            raise
        except BackendError as error:
            self._complain_of(name, f"{error}; tried again all the time")
            return
        self._job_troubles.pop(name, None)
        run.asked = step
        if step == 1 and self._stopping_since is None:
            limit = timedelta(seconds=job.limit)
            if job.follows:
                logger.info("%s: runs for %s, is started anew", name, limit)
            else:
                logger.warning("%s: over its limit of %s; asked to stop, what is done is kept", name, limit)
        elif step > 1:
            logger.warning("%s: still there; %s", name, "killed" if step == 3 else "asked again")

    async def _start_due(self, look: Look) -> None:
        due = plan.startable(
            [*self.jobs.values()],
            self.records,
            running=self.running | look.waiting,
            busy=look.busy,
            now=self.timing.now(),
            begun=self._begun,
            parallel=self.parallel,
        )
        for job in due:
            await self._start(job)

    async def _start(self, job: Job) -> None:
        record, now = self.records[job.name], self.timing.now()
        at = plan.due_at(job, record)
        try:
            what = await self.backend.start(job, now)
        except UnreachableError:
            raise
        except BackendError as error:
            if self.backend.outlives:
                pause = plan.REFUSED_PAUSE
                self._complain_of(job.name, f"{error}; tried again each {timedelta(seconds=pause)}")
                self.records[job.name] = msgspec.structs.replace(record, not_before=now + pause)
                return
            logger.error("%s: %s", job.name, error)
            self.records[job.name] = plan.ended(job, record, started=now, now=now, code=1, message=str(error))
            return
        self._job_troubles.pop(job.name, None)
        self._change(job.name, running_since=now)
        if not self.backend.outlives:
            self._runs[job.name] = _Run(self.timing.elapsed())
        late = ""
        if now - at > _LATE:
            late = f", due since {datetime.fromtimestamp(at, job.zone):%Y-%m-%d %H:%M %Z}"
        logger.info("%s: started (%s%s)", job.name, what, late)

    def _change(self, name: str, *, running_since: float | None) -> None:
        self.records[name] = msgspec.structs.replace(self.records[name], running_since=running_since)

    def _complain_of(self, name: str, trouble: str) -> None:
        """Say once what is wrong with a job; that it goes well again is told by what it does then."""
        if self._job_troubles.get(name) != trouble:
            logger.warning("%s: %s", name, trouble)
            self._job_troubles[name] = trouble

    def _complain(self, trouble: str) -> None:
        """Say once what is wrong, and once that nothing is any more."""
        if not trouble:
            if self._troubles:
                logger.info("no more trouble")
            self._troubles.clear()
        elif trouble not in self._troubles:
            logger.warning("%s; tried again all the time", trouble)
            self._troubles.add(trouble)

    def _save(self) -> None:
        """Raises StoreError."""
        kept = {
            name: record
            for name, record in self.records.items()
            # A job that was off all the time is seen first when it is on.
            if not self.jobs[name].is_off or record.started is not None
        }
        if kept != self._saved:
            self.state.write(kept)
            self._saved = kept

    def _save_changes(self) -> None:
        try:
            self._save()
        except StoreError as error:
            if str(error) != self._unsaved:
                self._unsaved = str(error)
                logger.error("%s; after a restart it is not known what ran", error)
