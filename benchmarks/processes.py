"""Starts what is measured and reads its costs: CPU seconds with those of its children, time, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from benchmarks.figures import BenchmarkError, Figures
from benchmarks.traffic import Second
from benchmarks.world import WorldOptions
from pyf_scrapy.environment import variables

CHECKOUT = Path(__file__).parents[1]

_TIMEOUT = 3 * 3600.0  # seconds


@dataclass(frozen=True)
class Ended:
    """A process that has ended well: user and system seconds of it and the children it waited for, seconds of
    the clock, the largest resident memory of the process itself in MB."""

    output: str
    cpu: float
    wall: float
    peak_mb: float

    def figures(self, documents: float) -> Figures:
        """The costs by name, for a result."""
        return {"documents": documents, "cpu_s": self.cpu, "wall_s": self.wall, "peak_mb": self.peak_mb}


def clean_environment(values: Mapping[str, object] | None = None) -> dict[str, str]:
    """The caller's environment without settings of the project, and with these."""
    known = variables()
    inherited = {name: value for name, value in os.environ.items() if name not in known}
    return {**inherited, "PYF_ENV_FILE": "", **{name: str(value) for name, value in (values or {}).items()}}


class Running:
    """A process of its own that `wait` measures."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when it has ended
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._begun = time.perf_counter()
        self._name = " ".join(arguments[:3])
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            env=dict(environment if environment is not None else clean_environment()),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
        )
        self._peak_kb = 0
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _look(self) -> None:
        """VmHWM begins anew with exec, unlike ru_maxrss, which remembers the process that forked."""
        status = Path(f"/proc/{self._process.pid}/status")
        while True:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                return
            peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
            if not peaks:  # it has ended
                return
            self._peak_kb = max(self._peak_kb, *peaks)
            time.sleep(0.05)

    def wait(self) -> Ended:
        """Blocks until it has ended. Raises BenchmarkError when it failed."""
        killer = threading.Timer(_TIMEOUT, self._process.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(self._process.pid, 0)
        except BaseException:
            self.stop()
            raise
        finally:
            killer.cancel()
        wall = time.perf_counter() - self._begun
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._watch.join()
        output, errors = _content(self._output), _content(self._errors)
        if self._process.returncode:
            raise BenchmarkError(f"{self._name} ended with {self._process.returncode}: {errors[-2000:]}")
        return Ended(output, usage.ru_utime + usage.ru_stime, wall, self._peak_kb / 1000)

    def cpu(self) -> float:
        """User and system seconds so far of one that runs."""
        return cpu_of(self._process.pid)

    def stop(self) -> None:
        """Ends it at once, if it runs."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()


def cpu_of(pid: int) -> float:
    """User and system seconds of a running process so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _content(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


class Server:
    """The benchmark's server in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, command: str) -> Figures:
        """`statistics`, `reset`, `retag`, `change/N`, `latency/SECONDS` or `watch/N`: what was asked since a
        reset, by kind, and `cpu`."""
        return dict(json.loads(self._get(command)))

    def traffic(self) -> list[Second]:
        """What was asked in each second since the first request after `watch/N`."""
        return msgspec.json.decode(self._get("traffic"), type=list[Second])

    def _get(self, command: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_bench/{command}", timeout=600) as response:  # noqa: S310
            return bytes(response.read())


@contextmanager
def serving(world: WorldOptions, *, latency: float = 0.0) -> Iterator[Server]:
    """Runs a server until the block ends."""
    command = [sys.executable, "-m", "benchmarks.server", msgspec.json.encode(world).decode()]
    with subprocess.Popen(
        [*command, "--latency", str(latency)],
        cwd=CHECKOUT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise BenchmarkError("the server did not start")
            yield Server(url)
        finally:
            process.stdin.close()
            process.wait()
