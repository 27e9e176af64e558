"""The Typesense server that starts by itself: one for a folder, shared by all processes that use it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyf_scrapy
from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.binary import server_binary

logger = logging.getLogger(__name__)

_STARTS = 3  # times that a server may vanish without a word before it is ready
_PATIENCE = 1800.0  # seconds; a large index on a slow disk is loaded for minutes
_NEWS = 10.0  # seconds between two lines that say what is waited for
_POLL = 0.05  # seconds
_SPAWN_TIMEOUT = 60.0  # seconds for a Python to start
_LONGEST_PATH = 3000  # bytes; the server appends its own names, 4096 is the kernel's bound
_LEAST_SPACE = 64_000_000  # bytes; an empty data folder has 9 MB


class Server(NamedTuple):
    """Where a Typesense server listens and the key that opens it."""

    host: str
    port: int
    protocol: str
    api_key: str


@contextmanager
def embedded_server(
    folder: Path,
    *,
    linger: float = 600.0,
    patience: float = _PATIENCE,
    news: Callable[[str], None] = logger.info,
) -> Iterator[Server]:
    """Give the Typesense server of `folder`, started when it does not run; blocks until its data are loaded.

    The server stays `linger` seconds after its last user (who started it decides how long). It is never
    killed while it loads: after `patience` seconds only the waiting ends. `news` is called with a line about
    every ten seconds while there is something to wait for. When the server is killed meanwhile, enter again:
    same data, same address. Raises SearchError.
    """
    folder = _prepared(folder)
    deadline = time.monotonic() + patience
    wait = _Wait(deadline, news)
    with _open(folder / "users.lock") as users:
        while not supervisor.try_lock(users, fcntl.LOCK_SH):
            wait.on("the Typesense server to stop, to start it again")
        os.utime(users.fileno())
        try:
            try:
                server = _running(folder, linger, wait)
            except OSError as error:  # the folder was deleted meanwhile
                raise _unusable(folder, error) from error
            yield server
        finally:
            with contextlib.suppress(OSError):
                os.utime(users.fileno())


def _prepared(folder: Path) -> Path:
    """Create the folder for its owner only. Raises SearchError when it cannot serve."""
    try:
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = folder.resolve(strict=True)
        folder.chmod(0o700)
        if len(os.fsencode(folder)) > _LONGEST_PATH:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        space = os.statvfs(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    if space.f_bavail * space.f_frsize < _LEAST_SPACE:
        raise SearchError(f"no space left for the Typesense server's data in {folder}")
    return folder


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("a+b")
    except OSError as error:
        raise _unusable(path.parent, error) from error


def _unusable(folder: Path, error: OSError) -> SearchError:
    reason = error.strerror or type(error).__name__
    name = str(folder) if len(str(folder)) < 200 else f"{str(folder)[:200]}..."
    return SearchError(f"the Typesense server cannot keep its data in {name} ({reason}); set PYF_DATA_DIR")


class _Wait:
    """Patience with an end, and a line now and then."""

    def __init__(self, deadline: float, news: Callable[[str], None]) -> None:
        self._started = time.monotonic()
        self._deadline = deadline
        self._news = news
        self._next = self._started + _NEWS

    def on(self, what: str) -> None:
        """Sleep a moment. Raises SearchError when there was enough of it."""
        now = time.monotonic()
        waited = round(now - self._started)
        if now > self._deadline:
            raise SearchError(f"gave up after {waited} s waiting for {what}; it goes on, try again later")
        if now > self._next:
            self._next += _NEWS
            self._news(f"waiting for {what} ({waited} s)")
        time.sleep(_POLL)


def _running(folder: Path, linger: float, wait: _Wait) -> Server:
    """Return the server once it is ready, starting it when nobody else does."""
    starts = 0
    while True:
        if not supervisor.is_supervised(folder):
            error = supervisor.read_state(folder).get("error") if starts else None
            if error or starts == _STARTS:
                raise SearchError(
                    f"{error or 'Typesense was killed while it started'}; see {folder}/typesense.log"
                )
            starts += 1
            _start(folder, linger)
        state = supervisor.read_state(folder)
        if _has_data(folder, state) and supervisor.is_ready(state):
            return Server(supervisor.HOST, state["api_port"], "http", state["api_key"])
        wait.on("the Typesense server to load its data")


def _has_data(folder: Path, state: dict[str, Any]) -> bool:
    """Return whether the server's data were not deleted under it; its supervisor ends it then."""
    with contextlib.suppress(OSError):
        return (folder / "data").stat().st_ino == state.get("data")
    return False


def _start(folder: Path, linger: float) -> None:
    """Start the supervisor, unless another process does it at the same time."""
    program = server_binary()
    with _open(folder / "start.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for a moment only: the supervisor goes into the background
        if supervisor.is_supervised(folder):
            return
        root = Path(pyf_scrapy.__file__).parent.parent  # a checkout, or the zip file of an egg
        command = [sys.executable, "-P", "-m", supervisor.__name__, str(folder), str(linger), str(program)]
        try:
            ended = subprocess.run(
                command,
                env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},  # no tokens, no TYPESENSE_*
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,
                cwd="/",
                timeout=_SPAWN_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SearchError(f"the Typesense server's supervisor cannot be started ({error})") from error
    if ended.returncode:
        words = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise SearchError(f"the Typesense server's supervisor failed: {words[:300]}")
