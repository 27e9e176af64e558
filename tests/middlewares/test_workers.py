"""Several `scrapy crawl` with different data folders and one Redis, at a server that allows so much a second.

Each worker has a store of its own, so that each has all projects to ask for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.queue.valkey import Valkey

PROFILES = ("plone", "django", "flask", "fastapi")
#: What is asked for is small and concerns no profile, because this is about starts.
QUIET = Options(projects=20_000, only_members=True, most_releases=2)


@contextmanager
def workers(
    count: int, folder: Path, replica: Handle, server: Server, valkey: Valkey, rps: int
) -> Iterator[list[subprocess.Popen[str]]]:
    """So many crawls side by side; those that have not ended are killed."""
    extra = {"REDIS_URL": valkey.url, "PYPI_MAX_RPS": rps}
    processes = [
        Place(folder / profile, replica.url, server, extra).popen("crawl", "pypi", "-p", profile)
        for profile in PROFILES[:count]
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def answered_and_refused(replica: Handle) -> tuple[int, int]:
    statistics = replica.statistics()
    refused = statistics["statuses"].get("429", 0)
    return statistics["total"] - refused, refused


def test_two_commands_keep_one_ceiling(tmp_path: Path, empty_index: Server, valkey: Valkey) -> None:
    """Each alone would be within what is allowed, but not both."""
    with running_replica(Options(projects=60, only_members=True, most_releases=3)) as replica:
        replica.faults([{"match": "/pypi/*", "fault": "status-429", "above": 90}])
        with workers(2, tmp_path, replica, empty_index, valkey, rps=60) as processes:
            outputs = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        answered, refused = answered_and_refused(replica)
        print(answered)
        assert answered >= 2 * 60
        assert refused == 0


@pytest.mark.soak
@pytest.mark.parametrize("count", [2, 4])
def test_workers_use_what_is_allowed_and_no_more(
    tmp_path: Path, empty_index: Server, valkey: Valkey, count: int
) -> None:
    """For a minute 200 requests a second, and the ceiling is as high."""
    allowed, seconds = 200, 60.0
    with running_replica(QUIET) as replica:
        replica.faults([{"match": "/pypi/*", "fault": "status-429", "above": allowed}])
        with workers(count, tmp_path, replica, empty_index, valkey, rps=allowed) as processes:
            with valkey.client() as client:
                while client.zcard(f"pyf:users:{{{urlsplit(replica.url).netloc}}}") < count:
                    assert all(process.poll() is None for process in processes)
                    time.sleep(0.05)
            # A leader waits for workers of a new Redis to tell of themselves before it gives out names.
            while answered_and_refused(replica)[0] < 50:
                assert all(process.poll() is None for process in processes)
                time.sleep(0.05)
            time.sleep(1)
            begun, cpu, before = time.monotonic(), _cpu(processes), answered_and_refused(replica)
            time.sleep(seconds)
            after, spent = answered_and_refused(replica), _cpu(processes) - cpu
            took = time.monotonic() - begun
            for process in processes:
                process.send_signal(signal.SIGINT)
            outputs = [process.communicate(timeout=60) for process in processes]
    answered, refused = after[0] - before[0], after[1] - before[1]
    used = answered / took / allowed
    print(
        f"\nsoak: {count} workers, {allowed} requests a second allowed: {answered:,} answered in "
        f"{took:.0f} s, {used:.1%} of the allowance, {refused} refused ({before[1]} in the first second), "
        f"{spent / answered * 1000:.1f} ms CPU a request"
    )
    assert all("Interrupted" in output for output, _ in outputs), outputs
    assert refused == 0
    assert used >= 0.9


def _cpu(processes: list[subprocess.Popen[str]]) -> float:
    """Seconds of CPU that they have used; of those that run."""
    fields = [
        Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split() for process in processes
    ]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")
