"""Jobs as processes: `scrapy crawl` in a session of its own, whose log lines are passed on."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, cast

import msgspec

from pyf_scrapy.schedule.backend import BackendError, Ended, Look
from pyf_scrapy.schedule.jobs import Job

#: A crawl is told to log in this form, so that its lines get their level and date from us.
LOG_FORMAT = "%(levelname)s %(message)s"

_LINE = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)")
_LONGEST_LINE = 10_000  # bytes
_LONGEST_SUMMARY = 1_000_000  # bytes
_CLOSE_PATIENCE = 0.5  # seconds for output that is still to come when a process has ended
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

#: Figures of a summary that are logged, and how they are called.
_TOLD = {
    "fetched": "fetched",
    "packages_indexed": "indexed",
    "removed": "removed",
    "failed": "failed",
    "documents_rejected": "documents rejected",
}


class Processes:
    """Runs each job as a process that dies with this one: what it has stored stays, and its lock is freed.

    `command` makes the command line of a job; it is run in `folder` with `environ`. `wake` is called when a
    run has ended.
    """

    outlives: ClassVar[bool] = False

    def __init__(
        self,
        command: Callable[[Job], Sequence[str]],
        folder: Path,
        environ: Mapping[str, str],
        wake: Callable[[], None],
    ) -> None:
        self._command = command
        self._folder = folder
        self._environ = dict(environ)
        self._wake = wake
        self._runs: dict[str, _Run] = {}

    async def look(self) -> Look:
        ended = [name for name, run in self._runs.items() if run.is_over]
        over = tuple(self._runs.pop(name).result() for name in ended)
        running = {name: run.started for name, run in self._runs.items()}
        busy = frozenset(run.job.spider for run in self._runs.values())
        return Look(running, busy=busy, ended=over)

    async def start(self, job: Job, now: float) -> str:
        run = _Run(job, now, self._wake)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: run,
                *self._command(job),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environ,
                start_new_session=True,
                preexec_fn=_dying_with_us(),
            )
        except OSError as error:
            raise BackendError(f"cannot be started: {error.strerror or error}") from error
        self._runs[job.name] = run
        return f"process {run.pid}"

    async def stop(self, name: str, step: int) -> None:
        run = self._runs.get(name)
        if run is not None:
            run.signal(step)

    async def close(self) -> None:
        """Kill what still runs: nothing does after an orderly stop."""
        for run in self._runs.values():
            run.signal(3)


def _dying_with_us() -> Callable[[], None]:
    """What the child does before it becomes a crawl: see to it that it dies with this process.

    An orphan would hold the lock of its spider, and a limit that nobody watches is none.
    """
    own_id = os.getpid()
    library = ctypes.CDLL(None)  # loaded here, because only little is safe between fork and exec

    def prepare() -> None:
        if sys.platform == "linux":
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != own_id:  # died before the line above
            os._exit(1)

    return prepare


class _Run(asyncio.SubprocessProtocol):
    """One process: its log lines are logged, its summary is kept."""

    def __init__(self, job: Job, started: float, wake: Callable[[], None]) -> None:
        self.job = job
        self.started = started
        self.is_over = False
        self.pid = 0
        self._wake = wake
        self._log = logging.getLogger(f"schedule.{job.name}")
        self._level = logging.WARNING
        self._line = b""
        self._summary = b""
        self._transport: asyncio.SubprocessTransport | None = None
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._summary = (self._summary + data)[:_LONGEST_SUMMARY]
            return
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > _LONGEST_LINE:
            lines.append(self._line)
            self._line = b""
        for line in lines:
            self._pass_on(line)

    def process_exited(self) -> None:
        # What it started and left behind would keep the pipes open, and the machine busy.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        assert self._transport is not None, "it was made before it ended"
        self._closing = asyncio.get_running_loop().call_later(_CLOSE_PATIENCE, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        if self._transport is not None:
            self._transport.close()
        if self._line:
            self._pass_on(self._line)
        self.is_over = True
        self._wake()

    def signal(self, step: int) -> None:
        """Ask it to end (a second time it ends at once), or kill it with all that it started."""
        assert self._transport is not None, "it was made before it is stopped"
        with suppress(ProcessLookupError):
            if step < 3:
                # SIGTERM means to Scrapy what SIGINT does, and to a Python that only starts no traceback.
                self._transport.send_signal(signal.SIGTERM)
            elif self._transport.get_returncode() is None:
                os.killpg(self.pid, signal.SIGKILL)

    def result(self) -> Ended:
        """What the run came to."""
        assert self._transport is not None, "it was made before it ended"
        code = self._transport.get_returncode()
        if code is not None and code < 0:
            return Ended(self.job.name, self.started, 128 - code, f"Killed by signal {-code}.")
        return Ended(self.job.name, self.started, code, summarised(self._summary))

    def _pass_on(self, raw: bytes) -> None:
        line = raw[:_LONGEST_LINE].decode(errors="replace").rstrip()
        if found := _LINE.fullmatch(line):
            self._level = logging.getLevelNamesMapping()[found[1]]
            line = found[2]
        if line:  # what does not begin with a level belongs to the line before
            self._log.log(self._level, "%s", line)


def summarised(output: bytes) -> str:
    """The summary of a crawl (what `--json` prints) as a line: what it came to, and its main figures."""
    try:
        summary = msgspec.json.decode(output, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    counted = {text: summary.get(name) for name, text in _TOLD.items()}
    figures = [f"{count:,} {text}" for text, count in counted.items() if isinstance(count, int) and count]
    return " ".join(filter(None, (str(summary.get("message", "")), ", ".join(figures))))
