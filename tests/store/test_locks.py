"""Locks: what fails here lets two runs write at once, or locks a user out after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pyf_scrapy
from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store import Store
from pyf_scrapy.store.locks import FileLock

HOLD = """
import sys, time
from pyf_scrapy.store import Store
with Store(sys.argv[1]) as store:
    lock = store.lock("one")
    print(lock.acquire(blocking=False), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "one.lock"


def test_it_excludes_and_is_given_back(store: Store) -> None:
    first, second = store.lock("one"), store.lock("one")
    assert not first.in_use()
    assert first.acquire()
    assert first.held
    assert not second.held
    assert first.in_use()
    assert second.in_use()
    assert not store.lock("another").in_use()
    assert not second.acquire(blocking=False)
    began = time.monotonic()
    assert not second.acquire(timeout=0.15)
    assert time.monotonic() - began >= 0.15
    assert not second.held
    first.ensure_held()
    first.release()
    first.release()
    with second:
        assert not first.acquire(blocking=False)
    assert not second.held
    assert not second.in_use()


def test_waiting_ends_when_it_is_given_back(store: Store) -> None:
    lock = store.lock("one")
    lock.acquire()
    timer = threading.Timer(0.2, lock.release)
    timer.start()
    second = store.lock("one")
    assert second.acquire(timeout=10)
    timer.join()
    second.release()


def test_one_of_many_threads_has_it(url: str) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        with Store(url) as store:
            for _ in range(10):
                with store.lock("one"):
                    inside.append(number)
                    assert inside == [number]
                    inside.clear()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_it_is_freed_when_its_holder_is_killed(store: Store, url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, url],
        cwd=Path(pyf_scrapy.__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    lock = store.lock("one")
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not lock.acquire(blocking=False)
        assert lock.in_use()
        holder.send_signal(signal.SIGKILL)
        assert lock.acquire(timeout=10)
    lock.release()


def test_the_file_stays(path: Path) -> None:
    """Whoever waits for a removed file would not exclude the next one."""
    assert not FileLock(path).in_use()
    assert not path.exists(), "to look makes nothing"
    with FileLock(path):
        pass
    assert path.exists()


def test_a_program_started_meanwhile_does_not_keep_it(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        assert FileLock(path).acquire(blocking=False)
        child.kill()


def test_a_forked_child_does_not_keep_it(path: Path) -> None:
    """Renderer workers are forked from a process that holds locks, and may outlive it for a moment."""
    lock = FileLock(path)
    lock.acquire()
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        assert not FileLock(path).acquire(blocking=False), "the child must not free it either"
        lock.release()
        assert FileLock(path).acquire(blocking=False)
    finally:
        os.write(go[1], b"x")
        os.waitpid(child, 0)
        for end in (*ready, *go):
            os.close(end)


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^lock file .*file/one.lock: File exists$"):
        FileLock(tmp_path / "file" / "one.lock").acquire()
