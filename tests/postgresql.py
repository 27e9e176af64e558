"""A PostgreSQL server of a test's own, by the programs of the system."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Debian keeps the programs of the server out of PATH.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name: str) -> str | None:
    """The path of a program of the server, None where PostgreSQL is not installed."""
    return shutil.which(name, path=os.pathsep.join([*map(str, _FOLDERS), os.environ["PATH"]]))


@contextmanager
def running_postgresql() -> Iterator[str]:
    """A server on a socket, without password and without care for its data; yields the store's URL.

    PostgreSQL refuses to run as root: then it runs as the user `postgres`, whom its package made.
    """
    initdb, postgres = program("initdb"), program("postgres")
    assert initdb is not None
    assert postgres is not None
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        make = [initdb, "-D", "data", "-U", "pyf", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(make, cwd=folder, user=user, capture_output=True, timeout=60, check=False)
        assert made.returncode == 0, made.stderr
        options = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off"}
        serve = [postgres, "-D", "data", *(f"--{name}={value}" for name, value in options.items())]
        log = Path(folder, "log")
        with (
            log.open("wb") as output,
            subprocess.Popen(serve, cwd=folder, user=user, stdout=output, stderr=output) as server,
        ):
            try:
                deadline = time.monotonic() + 30
                while "ready to accept connections" not in log.read_text():
                    assert server.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.01)
                yield f"postgresql+psycopg://pyf@/postgres?host={folder}"
            finally:
                server.send_signal(signal.SIGINT)  # it does not wait for clients, as with SIGTERM
