"""A scheduler whose clocks a test moves by hand, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyf_scrapy.schedule.backend import Backend
from pyf_scrapy.schedule.jobs import Job, planned
from pyf_scrapy.schedule.processes import Processes
from pyf_scrapy.schedule.scheduler import Scheduler, Timing
from pyf_scrapy.schedule.state import State
from pyf_scrapy.settings_table import SETTINGS

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()
OFF = {setting.name: "" for setting in SETTINGS if setting.type == "cron"}
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}

#: How a crawl behaves towards the scheduler: it logs that it is ready, and ends when asked to, as often as it
#: wants to be asked.
OBEDIENT = """
import os, signal, sys, time
left = [int(sys.argv[1])]
def asked(*_):
    left[0] -= 1
    os.write(2, b"INFO asked\\n")
    if not left[0]:
        os.write(1, b'{"exit_code": 0, "message": "Done.", "fetched": 1200, "failed": 0}')
        sys.exit(0)
signal.signal(signal.SIGTERM, asked)
os.write(2, b"INFO ready\\n")
while True:
    time.sleep(60)
"""


def script(text: str, *arguments: str) -> list[str]:
    """The command line of a small Python program."""
    return [sys.executable, "-S", "-E", "-c", text, *arguments]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only nobody has asked about its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def jobs_of(**values: Any) -> list[Job]:
    """The jobs with only these settings, all others off."""
    return planned({**DEFAULTS, **OFF, **values}, {"profile": "plone"}, NOON)


class Clock:
    """Both clocks of a Timing, `later` seconds after noon."""

    def __init__(self, later: float = 0.0) -> None:
        self.now = NOON + later
        self.elapsed = 0.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.elapsed += seconds

    def timing(self) -> Timing:
        return Timing(grace=60, mercy=10, tick=0.01, now=lambda: self.now, elapsed=lambda: self.elapsed)


@dataclass
class Running:
    """A scheduler at work."""

    scheduler: Scheduler
    clock: Clock
    task: asyncio.Task[None]

    @property
    def records(self) -> dict[str, Any]:
        return self.scheduler.state.read()

    async def until(self, happened: Callable[[], object], within: float = 30.0) -> None:
        """Wait for something that must happen."""
        deadline = time.monotonic() + within
        while not happened():
            if self.task.done():
                self.task.result()
            assert time.monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0.01)

    async def turns(self) -> None:
        """Let the scheduler look a few times."""
        await asyncio.sleep(0.08)

    async def end(self) -> None:
        """Stop it and wait for its end."""
        self.scheduler.stop()
        await asyncio.wait_for(self.task, 30)


@asynccontextmanager
async def scheduling(
    folder: Path,
    jobs: Sequence[Job],
    command: Callable[[Job], Sequence[str]],
    *,
    clock: Clock | None = None,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Running]:
    """A scheduler of processes at work until the block ends."""
    woken = asyncio.Event()
    backend = Processes(command, cwd or folder, environ or dict(os.environ), woken.set)
    async with at_work(folder, jobs, backend, clock or Clock(), woken) as running:
        yield running


@asynccontextmanager
async def at_work(
    folder: Path, jobs: Sequence[Job], backend: Backend, clock: Clock, woken: asyncio.Event
) -> AsyncIterator[Running]:
    """A scheduler with some backend at work until the block ends."""
    scheduler = Scheduler(jobs, State(folder), backend, parallel=2, woken=woken, timing=clock.timing())
    task = asyncio.create_task(scheduler.run())
    try:
        yield Running(scheduler, clock, task)
    finally:
        scheduler.stop()
        scheduler.stop()
        clock.advance(3600)
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 30)
