"""File locks: what fails here lets two runs write at once, or locks a user out after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pyf_scrapy
from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.locks import FileLock

HOLD = """
import sys, time, pathlib
from pyf_scrapy.store.locks import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
print(lock.acquire(blocking=False), flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "one.lock"


def test_it_excludes_and_is_given_back(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert first.held
    assert not second.acquire(blocking=False)
    began = time.monotonic()
    assert not second.acquire(timeout=0.15)
    assert time.monotonic() - began >= 0.15
    assert not second.held
    first.release()
    first.release()
    with second:
        assert not first.acquire(blocking=False)
    assert not second.held
    assert path.exists(), "whoever waits for a removed file would not exclude the next one"


def test_waiting_ends_when_it_is_given_back(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    timer = threading.Timer(0.2, lock.release)
    timer.start()
    assert FileLock(path).acquire(timeout=10)
    timer.join()


def test_the_kernel_frees_it(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        cwd=Path(pyf_scrapy.__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not FileLock(path).acquire(blocking=False)
        holder.send_signal(signal.SIGKILL)
        assert FileLock(path).acquire(timeout=10)


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
