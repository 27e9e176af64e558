"""The parent process of the embedded Typesense: starts it, watches over it, stops it after its last user.

Runs as `python -P -m pyf_scrapy.search.supervisor FOLDER LINGER PROGRAM` (see `embedded`), needs nothing but
the standard library and outlives the command that started it. What the processes of one folder share:

    users.lock       every user holds it shared; the kernel drops it when a user is killed: never stale
    supervisor.lock  held by the supervisor *and* by its server (inherited); free = the data may be opened
    state.json       ports and random key (kept over restarts), process ids, the error of a failed start
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

HOST = "127.0.0.1"

_ATTEMPTS = 3  # a port may be taken between the choice and the server's bind
_TICK = 0.2  # seconds between two looks
_LOCK_PATIENCE = 2.0  # seconds; others hold the lock for microseconds to see whether it is taken
_PORT_PATIENCE = 3.0  # seconds that known ports may be taken; moving a data folder to others costs 12 seconds
_STOP_PATIENCE = 60.0  # seconds for a clean end; a killed server replays its log instead
_LOADING_LINGER = 3600.0  # seconds that a loading server nobody waits for may go on
_LOG_LIMIT = 4_000_000  # bytes, times two (typesense.log.1)
_ANSWER_LIMIT = 10_000  # bytes
_PORTS = range(15_000, 32_000)  # below the range the kernel gives to outgoing connections


def read_state(folder: Path) -> dict[str, Any]:
    """Return the content of state.json, empty when it is missing or broken."""
    try:
        state = json.loads((folder / "state.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace state.json in one step; only its owner may read it. Raises OSError."""
    temporary = folder / "state.json.part"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(state, file)
    temporary.replace(folder / "state.json")


def is_ready(state: dict[str, Any], *, timeout: float = 5.0) -> bool:
    """Return whether the server of `state` answers, knows our key (another's does not) and has its data."""
    return (
        _ask(state, "/debug", timeout).get("state") == 1 and _ask(state, "/health", timeout).get("ok") is True
    )


def _ask(state: dict[str, Any], path: str, timeout: float) -> dict[str, Any]:
    """Return the JSON object at `path`, empty when there is none. Takes no notice of proxy settings."""
    try:
        connection = http.client.HTTPConnection(HOST, int(state["api_port"]), timeout=timeout)
        try:
            connection.request("GET", path, headers={"X-TYPESENSE-API-KEY": str(state["api_key"])})
            answer = json.loads(connection.getresponse().read(_ANSWER_LIMIT))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return {}
    return answer if isinstance(answer, dict) else {}


def try_lock(file: BinaryIO, operation: int) -> bool:
    """Take the lock (fcntl.LOCK_SH or LOCK_EX) if it is free now."""
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_supervised(folder: Path) -> bool:
    """Return whether a supervisor or its server lives."""
    with (folder / "supervisor.lock").open("a+b") as file:
        return not try_lock(file, fcntl.LOCK_SH)


class Supervisor:
    """One server's life. `lock` is the open, locked supervisor.lock; `linger` is in seconds."""

    def __init__(self, folder: Path, linger: float, program: Path, lock: BinaryIO) -> None:
        self.folder = folder
        self.linger = linger
        self.program = program
        self.lock = lock
        self.stopping = False
        self._own_id = os.getpid()
        self._libc = ctypes.CDLL(None)  # loaded here, because only little is safe between fork and exec
        self._lock_id = os.fstat(lock.fileno()).st_ino
        self._data_id = 0
        self._state: dict[str, Any] = {}

    def run(self) -> int:
        """Start the server and stay until it may end. Returns the exit code; a failure is in state.json."""
        known = read_state(self.folder)
        self._state = {name: known[name] for name in ("api_port", "peering_port", "api_key") if name in known}
        for _ in range(_ATTEMPTS):
            log_start = self._log_size()
            try:
                server = self._start()
            except OSError as error:
                reason = error.strerror or type(error).__name__
                return self._fail(f"the Typesense server cannot be run on this system ({reason})")
            if self._serve(server):
                return 0
        return self._fail(f"Typesense ended with code {server.returncode}: {self._last_words(log_start)}")

    def stop(self) -> None:
        """Ask for a clean end (called from a signal handler)."""
        self.stopping = True

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the server on its known ports, or on fresh ones with a fresh key when another took them."""
        deadline = time.monotonic() + _PORT_PATIENCE
        ports = [self._state.get("api_port"), self._state.get("peering_port")]
        while all(ports) and not all(map(_is_free, ports)) and time.monotonic() < deadline:
            time.sleep(_TICK)
        if not all(ports) or not all(map(_is_free, ports)):
            # The key goes too: whoever sits on the port now may have been asked with it.
            ports = [_free_port(), _free_port()]
            self._state = {
                "api_port": ports[0],
                "peering_port": ports[1],
                "api_key": secrets.token_urlsafe(32),
            }
        data = self.folder / "data"
        data.mkdir(exist_ok=True, mode=0o700)
        self._data_id = data.stat().st_ino
        with (self.folder / "typesense.log").open("ab") as log:
            server = subprocess.Popen(
                [
                    self.program,
                    "--data-dir=data",  # relative: it drops blanks from paths and would write elsewhere
                    f"--api-address={HOST}",
                    f"--api-port={ports[0]}",
                    f"--peering-address={HOST}",
                    f"--peering-port={ports[1]}",
                    "--enable-cors=false",
                ],
                env={"TYPESENSE_API_KEY": self._state["api_key"]},  # not an argument: everyone may read those
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self.lock.fileno()],
                preexec_fn=self._die_with_parent,
                cwd=self.folder,
            )
        self._state |= {"supervisor": self._own_id, "pid": server.pid, "data": self._data_id}
        write_state(self.folder, self._state)
        return server

    def _die_with_parent(self) -> None:
        """Run in the child before exec: an orphan would hold the data that the next supervisor needs."""
        self._libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; acknowledged documents are in its log
        if os.getppid() != self._own_id:  # died before the line above
            os._exit(1)

    def _serve(self, server: subprocess.Popen[bytes]) -> bool:
        """Wait until the server ends or may be stopped, and stop it; False = it ended before it was ready."""
        ready = False
        with (self.folder / "users.lock").open("a+b") as users:
            last_use, seen = time.monotonic(), 0
            while server.poll() is None:
                if self.stopping:
                    break
                if not (
                    self._is_ours("supervisor.lock", self._lock_id) and self._is_ours("data", self._data_id)
                ):
                    server.kill()  # what it would save was deleted
                    break
                ready = ready or is_ready(self._state)
                self._bound_log()
                free = try_lock(users, fcntl.LOCK_EX)
                touched = os.fstat(
                    users.fileno()
                ).st_mtime_ns  # users leave a date: a short one may fall between
                if not free or touched != seen:
                    last_use, seen = time.monotonic(), touched
                if free:
                    if time.monotonic() - last_use >= (self.linger if ready else _LOADING_LINGER):
                        break  # keeps the lock: newcomers wait until this server is gone
                    fcntl.flock(users, fcntl.LOCK_UN)
                time.sleep(_TICK)
            else:
                return ready
            _end(server)
        return True

    def _is_ours(self, name: str, identity: int) -> bool:
        """Return whether the file or folder is still the one that was opened, not deleted or made anew."""
        try:
            return (self.folder / name).stat().st_ino == identity
        except OSError:
            return False

    def _log_size(self) -> int:
        log = self.folder / "typesense.log"
        return log.stat().st_size if log.exists() else 0

    def _bound_log(self) -> None:
        """Copy and cut the log: the server appends to the open file and could not follow a renamed one."""
        log = self.folder / "typesense.log"
        if self._log_size() > _LOG_LIMIT:
            with contextlib.suppress(OSError):  # a full disk needs the second line all the more
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)

    def _last_words(self, start: int) -> str:
        """Return the last error in the log since `start`, else its last line."""
        with (self.folder / "typesense.log").open("rb") as log:
            log.seek(max(start, self._log_size() - _ANSWER_LIMIT))
            lines = log.read(_ANSWER_LIMIT).decode(errors="replace").split("\n")
        said = [line.rpartition("] ")[2].strip() for line in lines if line.startswith(("E", "F"))]
        said = said or [line.strip() for line in lines if line.strip()] or ["no message"]
        return said[-1][:300]

    def _fail(self, error: str) -> int:
        if self._is_ours("supervisor.lock", self._lock_id):
            write_state(self.folder, self._state | {"error": error})
        return 1


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop the server: asked first, killed when it does not answer."""
    server.terminate()
    try:
        server.wait(_STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _is_free(port: Any) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Typesense does: old connections may linger
        try:
            probe.bind((HOST, int(port)))
            probe.listen()
        except (OSError, OverflowError, ValueError, TypeError):
            return False
    return True


def _free_port() -> int:
    """Return a port that is free now."""
    while True:
        port = secrets.choice(_PORTS)
        if _is_free(port):
            return port


def main(arguments: list[str]) -> int:
    """Take the lock, go into the background (the caller waits for this first process only) and supervise."""
    folder, linger, program = Path(arguments[0]), float(arguments[1]), Path(arguments[2])
    with (folder / "supervisor.lock").open("a+b") as lock:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while not try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                return 0  # another one is there, which is as good
            time.sleep(0.01)
        if os.fork():
            return 0
        supervisor = Supervisor(folder, linger, program, lock)
        signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
        log = os.open(folder / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # of this run
        for stream in (1, 2):
            os.dup2(log, stream)
        return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
