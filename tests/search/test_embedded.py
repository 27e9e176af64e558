"""The server that starts by itself: one for a folder, closed to others, gone after its last user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.search import binary, embedded, supervisor
from pyf_scrapy.search.embedded import Server, embedded_server

pytestmark = pytest.mark.skipif(
    not binary.supported(), reason="the embedded Typesense runs on Linux x86-64 only"
)

Gone = Callable[..., bool]
USER = """
import sys, pathlib
from pyf_scrapy.search.embedded import embedded_server
with embedded_server(pathlib.Path(sys.argv[1]), linger=0.5) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def store(server: Server, name: str) -> None:
    """Create a collection and a document in it; returns when the server has acknowledged both."""
    with http(server) as client:
        fields = [{"name": "title", "type": "string"}]
        client.post("/collections", json={"name": name, "fields": fields}).raise_for_status()
        client.post(f"/collections/{name}/documents", json={"id": "1", "title": name}).raise_for_status()


def stored(server: Server, name: str) -> bool:
    with http(server) as client:
        return client.get(f"/collections/{name}/documents/1").status_code == 200


def http(server: Server) -> httpx.Client:
    return httpx.Client(
        base_url=f"{server.protocol}://{server.host}:{server.port}",
        headers={"X-TYPESENSE-API-KEY": server.api_key},
        trust_env=False,
        timeout=30,
    )


def ended(pid: int, within: float = 10.0) -> bool:
    """Return whether the process ends in time; a zombie has ended, its heir has not looked yet."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def listening() -> set[tuple[str, int]]:
    """Return the (address, port) pairs that anything listens on, as /proc writes the address."""
    pairs = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                address, port = local.split(":")
                pairs.add((address, int(port, 16)))
    return pairs


@contextlib.contextmanager
def users(folder: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that use the server until their input ends."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", USER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.communicate(timeout=30)


def test_many_commands_share_one_closed_server_that_leaves_nothing_behind(home: Path, gone: Gone) -> None:
    with users(home, 4) as processes:
        ports = {process.stdout.readline().strip() for process in processes if process.stdout}
        state = supervisor.read_state(home)
        assert ports == {str(state["api_port"])}

        assert stat.S_IMODE((home / "state.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        key = state["api_key"].encode()
        assert len(key) >= 32
        for pid in (state["pid"], state["supervisor"]):
            assert key not in Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{state['supervisor']}/environ").read_bytes().split(b"\0")
        assert {line.split(b"=")[0] for line in environment if line} == {
            b"PYTHONPATH",
            b"PYTHONDONTWRITEBYTECODE",
        }
        ours = {state["api_port"], state["peering_port"]}
        assert {pair for pair in listening() if pair[1] in ours} == {("0100007F", port) for port in ours}

        processes[0].kill()
        processes[0].wait()
        with embedded_server(home) as server:
            answer = httpx.get(f"http://127.0.0.1:{server.port}/debug", trust_env=False)
            assert answer.status_code == 401
            assert "access-control-allow-origin" not in answer.headers
        processes[1].send_signal(signal.SIGKILL)
        time.sleep(1.0)  # longer than linger: the others still use it
        assert supervisor.is_ready(state)
    assert gone(home)
    assert ended(state["pid"])
    assert ended(state["supervisor"])


def test_deleted_data_and_a_deleted_folder_are_noticed(home: Path) -> None:
    with embedded_server(home) as server:
        store(server, "lost")
        before = supervisor.read_state(home)
        shutil.rmtree(home / "data")
        with embedded_server(home) as fresh:
            assert not stored(fresh, "lost")
            store(fresh, "again")
        assert ended(before["pid"])

        state = supervisor.read_state(home)
        home.rename(home.with_name("elsewhere"))
        shutil.rmtree(home.with_name("elsewhere"))
        assert ended(state["supervisor"])
    assert ended(state["pid"])
    assert not home.exists()


def locked(folder: Path) -> Any:
    file = (folder / "supervisor.lock").open("a+b")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def test_a_taken_port_is_left_to_its_owner_who_never_gets_the_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PORT_PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as other, locked(home) as lock:
        known = {
            "api_port": other.getsockname()[1],
            "peering_port": 1,
            "api_key": "known",
            "error": "of an earlier start",
        }
        supervisor.write_state(home, known)
        assert supervisor.Supervisor(home, 0.0, binary.server_binary(), lock).run() == 0  # nobody uses it
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    state = supervisor.read_state(home)
    assert state["api_port"] != known["api_port"]
    assert state["api_key"] != "known"
    assert "error" not in state
    assert ended(state["pid"])


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho 'E2026 1 db.cpp:1] the data are broken'\nexit 3\n", "code 3: the data are broken"),
        ("not a program", "cannot be run on this system"),
        ("#!/bin/sh\nexit 1\n", "code 1: no message"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr(embedded, "server_binary", lambda: script(home.with_name("program"), text))
    with pytest.raises(SearchError, match=said) as raised, embedded_server(home):
        pass
    assert "\n" not in str(raised.value)
    with locked(home) as lock:
        assert supervisor.Supervisor(home, 0.0, home.with_name("program"), lock).run() == 1
    assert said in supervisor.read_state(home)["error"]


def test_a_loading_server_is_waited_for_and_never_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = script(home.with_name("program"), "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(embedded, "server_binary", lambda: program)
    monkeypatch.setattr(embedded, "_NEWS", 0.2)
    news: list[str] = []
    with (
        pytest.raises(SearchError, match=r"gave up after \d+ s"),
        embedded_server(home, linger=0.0, patience=3.0, news=news.append),
    ):
        pass
    assert news
    assert "waiting for the Typesense server to load" in news[0]
    time.sleep(0.5)  # longer than linger
    state = supervisor.read_state(home)
    end = time.monotonic() + 20
    while "pid" not in state and time.monotonic() < end:
        time.sleep(0.05)
        state = supervisor.read_state(home)
    assert Path(f"/proc/{state['pid']}").exists()
    os.kill(state["supervisor"], signal.SIGTERM)
    assert ended(state["supervisor"])
    assert ended(state["pid"])


def test_a_user_waits_while_the_server_stops(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (home / "users.lock").open("a+b") as stopping:
        fcntl.flock(stopping, fcntl.LOCK_EX)
        with pytest.raises(SearchError, match="to stop"), embedded_server(home, patience=0.2):
            pass


def test_a_folder_that_cannot_serve_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    long = tmp_path.joinpath(*["x" * 250] * 13)
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), long):
        with pytest.raises(SearchError, match="cannot keep its data in") as raised, embedded_server(folder):
            pass
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 400
    monkeypatch.setattr(embedded, "_LEAST_SPACE", 1 << 70)
    with pytest.raises(SearchError, match="no space left"), embedded_server(tmp_path / "full"):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"api_port": "x"', b'{"api_port": 99999999, "api_key": 1}']
)
def test_a_broken_state_file_is_no_server(home: Path, content: bytes) -> None:
    (home / "state.json").write_bytes(content)
    assert not supervisor.is_ready(supervisor.read_state(home))


def test_the_log_is_bounded(home: Path) -> None:
    log = home / "typesense.log"
    log.write_bytes(b"x" * 5_000_000)
    with locked(home) as lock:
        supervisor.Supervisor(home, 0.0, Path("none"), lock)._bound_log()
    assert log.stat().st_size == 0
    assert (home / "typesense.log.1").stat().st_size == 5_000_000


def test_the_supervisor_starts_fast_without_the_project(tmp_path: Path) -> None:
    """Its parent may be a zipped egg, its environment is empty: it must need the standard library only."""
    root = Path(supervisor.__file__).parents[2]
    egg = Path(shutil.make_archive(str(tmp_path / "egg"), "zip", root, "pyf_scrapy"))
    code = "import json, pyf_scrapy.search.supervisor as s; print(json.dumps([s.__file__, *sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(egg)!r}); {code}"],
        capture_output=True,
        check=True,
    )
    file, *modules = json.loads(done.stdout)
    assert file.startswith(str(egg))
    assert {name.split(".")[0] for name in modules} <= {*sys.stdlib_module_names, "__main__", "pyf_scrapy"}


def test_a_second_supervisor_leaves_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LOCK_PATIENCE", 0.05)
    with locked(home):
        assert supervisor.main([str(home), "1", "none"]) == 0
    assert not (home / "state.json").exists()
