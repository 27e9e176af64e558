"""Jobs posted to a real scrapyd, whose crawls are small programs: what it runs is ours, how is its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.schedule.jobs import Job
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.schedule.scrapyd import Scrapyd, login
from pyf_scrapy.schedule.state import State
from tests.schedule.harness import NOON, Clock, Running, at_work, jobs_of

USER, PASSWORD = "deployer", "lapwing9002"
HALF_HOUR = 1800
JOBS = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": 100.0})

CONFIGURATION = f"""\
[scrapyd]
bind_address = 127.0.0.1
http_port = %d
username = {USER}
password = {PASSWORD}
poll_interval = 0.05
max_proc = 1
runner = small_runner
[settings]
pyf_scrapy = none.needed
"""

#: Notes how it was called and when it is asked to end, which it does when asked as often as it has to be, or
#: when its scrapyd is gone, which leaves its jobs alone.
RUNNER = """\
import os, signal, sys, time
if sys.argv[1] == "list":
    print("pypi", "project", "health", sep="\\n")
    raise SystemExit
def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")
left = [int(os.path.exists("stubborn") and open("stubborn").read() or 1)]
def asked(*_):
    note("asked")
    left[0] -= 1
    if not left[0]:
        raise SystemExit
signal.signal(signal.SIGINT, asked)
note(" ".join(sys.argv[1:]))
server = os.getppid()
while os.getppid() == server:
    time.sleep(0.05)
"""


class Server:
    """A scrapyd that can be stopped and started again at its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "scrapyd.conf").write_text(CONFIGURATION % self.port)
        (folder / "small_runner.py").write_text(RUNNER)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scrapyd", "--nodaemon", "--pidfile="],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/daemonstatus.json", trust_env=False).status_code == 401:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    @property
    def notes(self) -> list[str]:
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def listed(self) -> dict[str, list[str]]:
        answer = httpx.get(
            f"{self.url}/listjobs.json",
            params={"project": "pyf_scrapy"},
            auth=(USER, PASSWORD),
            trust_env=False,
        ).json()
        return {state: [job["id"] for job in answer[state]] for state in ("pending", "running", "finished")}

    def occupy(self) -> None:
        """Post the job `other`, which takes the only place."""
        httpx.post(
            f"{self.url}/schedule.json",
            data={"project": "pyf_scrapy", "spider": "pypi", "jobid": "other"},
            auth=(USER, PASSWORD),
            trust_env=False,
        )

    def cancel(self, job: str, signal: str = "KILL") -> None:
        httpx.post(
            f"{self.url}/cancel.json",
            data={"project": "pyf_scrapy", "job": job, "signal": signal},
            auth=(USER, PASSWORD),
            trust_env=False,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("scrapyd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _fresh(server: Server, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No job of another test runs or waits."""
    caplog.set_level(logging.INFO, "schedule")
    yield
    deadline = time.monotonic() + 30
    while (listed := server.listed()) and (listed["running"] or listed["pending"]):
        assert time.monotonic() < deadline
        for job in (*listed["pending"], *listed["running"]):
            server.cancel(job)
        time.sleep(0.02)
    for name in ("notes", "stubborn"):
        (server.folder / name).unlink(missing_ok=True)


@asynccontextmanager
async def posting(
    folder: Path, server: Server, clock: Clock, *, password: str = PASSWORD, jobs: list[Job] | None = None
) -> AsyncIterator[Running]:
    backend = Scrapyd(server.url, (USER, password), jobs or JOBS, ["PYPI_MAX_RPS=2"])
    async with at_work(folder, jobs or JOBS, backend, clock, asyncio.Event()) as running:
        yield running


async def test_a_job_is_posted_once_ended_by_its_limit_and_what_was_missed_made_up_for_once(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with posting(tmp_path, server, clock) as running:
        await running.until(lambda: server.notes)
        assert server.listed()["running"] == [f"sync-{NOON:.0f}"]
        assert server.notes[0].startswith("crawl pypi")
        assert {"profile=plone", "PYPI_MAX_RPS=2"} <= set(server.notes[0].split())
        await running.until(lambda: running.scheduler.running)
        clock.elapsed += 99
        clock.now += 2 * HALF_HOUR + 60
        await running.turns()
        assert len(server.notes) == 1
        clock.elapsed += 1
        await running.until(lambda: "asked" in server.notes)
        await running.until(lambda: len(server.notes) == 3)
        await running.until(lambda: running.records["sync"].started == NOON)
        await running.turns()
        assert server.listed()["running"] == [f"sync-{NOON + 2 * HALF_HOUR + 60:.0f}"]
    assert "sync: over its limit of 0:01:40" in caplog.text
    assert "sync: ended" in caplog.text
    assert not server.listed()["pending"]


async def test_a_job_that_does_not_end_is_asked_again_and_killed(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (server.folder / "stubborn").write_text("9")
    clock = Clock()
    async with posting(tmp_path, server, clock) as running:
        await running.until(lambda: server.notes)
        await running.until(lambda: running.scheduler.running)
        for seconds, happened in (
            (100, lambda: server.notes.count("asked") == 1),
            (60, lambda: server.notes.count("asked") == 2),
            (10, lambda: "sync: ended" in caplog.text),
        ):
            clock.elapsed += seconds
            await running.until(happened)
        assert not server.listed()["running"]


async def test_what_runs_outlives_the_schedule_and_is_known_again(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (server.folder / "stubborn").write_text("9")
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_LIMITS={"sync": HALF_HOUR + 100.0})
    async with posting(tmp_path, server, Clock(), jobs=jobs) as running:
        await running.until(lambda: server.notes)
        await running.until(lambda: running.scheduler.running)
        await running.end()
    assert "asked" not in server.notes
    clock = Clock(HALF_HOUR)
    async with posting(tmp_path, server, clock, jobs=jobs) as running:
        await running.until(lambda: running.scheduler.running)
        assert len(server.notes) == 1
        clock.advance(99)
        await running.turns()
        assert "asked" not in server.notes
        clock.advance(1)  # its limit did not begin anew
        await running.until(lambda: "asked" in server.notes)
        await running.end()
    server.cancel(f"sync-{NOON:.0f}")
    while server.listed()["running"]:
        await asyncio.sleep(0.02)
    assert State(tmp_path).read()["sync"].started is None
    async with posting(tmp_path, server, Clock(2 * HALF_HOUR), jobs=jobs) as running:
        await running.until(lambda: len(server.notes) == 3)
        await running.until(lambda: running.records["sync"].started == NOON)
    assert caplog.text.count("sync: started") == 2


async def test_to_wait_in_scrapyd_does_not_count_for_the_limit_of_a_job(
    server: Server, tmp_path: Path
) -> None:
    clock = Clock()
    jobs = jobs_of(
        SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_REFRESH="*/30 * * * *", SCHEDULE_LIMITS={"refresh": 100.0}
    )
    State(tmp_path).write({"sync": Record(since=0, started=NOON), "refresh": Record(since=0)})
    server.occupy()
    async with posting(tmp_path, server, clock, jobs=jobs) as running:
        await running.until(lambda: server.listed()["pending"])
        clock.advance(1000)
        await running.turns()
        server.cancel("other")
        await running.until(lambda: "refresh" in running.scheduler.running)
        await running.end()
    clock = Clock(1099)
    async with posting(tmp_path, server, clock, jobs=jobs) as running:
        await running.until(lambda: "refresh" in running.scheduler.running)
        await running.turns()
        assert "asked" not in server.notes
        clock.advance(1)
        await running.until(lambda: "asked" in server.notes)


async def test_a_job_that_is_found_far_over_its_limit_is_asked_before_it_is_killed(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with posting(tmp_path, server, Clock()) as running:
        await running.until(lambda: server.notes)
        await running.end()
    async with posting(tmp_path, server, Clock(HALF_HOUR)) as running:
        await running.until(lambda: "asked" in server.notes)
        await running.until(lambda: "sync: over its limit of 0:01:40" in caplog.text)
        assert "killed" not in caplog.text


async def test_a_job_that_scrapyd_refuses_keeps_none_of_the_others_from_running(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An older egg may lack a spider: that job would come first every time, and keep a place."""
    clock = Clock()
    jobs = jobs_of(SCHEDULE_FEEDS="follow", SCHEDULE_GITHUB="30 3 * * *", SCHEDULE_HEALTH="15 0 * * *")
    State(tmp_path).write({name: Record(since=0) for name in ("github", "health")})
    async with posting(tmp_path, server, clock, jobs=jobs) as running:
        await running.until(lambda: server.notes)
        assert server.notes[0].startswith("crawl health")
        for _ in range(3):
            clock.advance(300)
            await running.turns()
        assert running.records["github"].started is None
    for job, spider in (("feeds", "rss"), ("github", "github")):
        (told,) = (line for line in caplog.messages if line.startswith(f"{job}: "))
        assert f"schedule.json: spider '{spider}' not found" in told
        assert told.endswith("; tried again each 0:05:00")


async def test_a_job_that_waits_is_not_posted_again(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    jobs = jobs_of(SCHEDULE_SYNC="*/30 * * * *", SCHEDULE_REFRESH="*/30 * * * *")
    State(tmp_path).write({"refresh": Record(since=0)})
    async with posting(tmp_path, server, clock, jobs=jobs) as running:
        await running.until(lambda: server.notes and len(server.listed()["pending"]) == 1)
        clock.now += HALF_HOUR
        await running.turns()
        assert len(server.listed()["pending"]) == 1
        (waiting,) = server.listed()["pending"]
        server.cancel(waiting, "INT")
        # Gone without a run: it counts as ended, and its next time comes.
        await running.until(lambda: running.records[waiting.partition("-")[0]].ended == clock.now)


async def test_a_scrapyd_that_is_gone_is_told_of_once_and_asked_again(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    server.stop()
    try:
        async with posting(tmp_path, server, clock) as running:
            await running.until(lambda: f"scrapyd at {server.url}: listjobs.json: " in caplog.text)
            await running.turns()
            assert caplog.text.count("tried again all the time") == 1
            server.start()
            await running.until(lambda: server.notes)
            assert "no more trouble" in caplog.text
    finally:
        server.stop()
        server.start()


async def test_a_wrong_password_is_named_and_never_shown(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with posting(tmp_path, server, Clock(), password="oriole5512") as running:
        await running.until(lambda: "it wants another SCRAPYD_USERNAME" in caplog.text)
    assert "oriole" not in caplog.text


async def test_no_answer_is_waited_for_at_the_end(tmp_path: Path) -> None:
    """docker stop kills after ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend = Scrapyd(f"http://127.0.0.1:{silent.getsockname()[1]}", None, JOBS)
        async with at_work(tmp_path, JOBS, backend, Clock(), asyncio.Event()) as running:
            await running.turns()
            await running.end()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "status 200, and not scrapyd's JSON"),
        (
            b'HTTP/1.0 200 OK\r\n\r\n{"status": "error", "message": "a\\nb: no project\\n"}',
            "json: b: no project",
        ),
        (b'HTTP/1.0 200 OK\r\n\r\n{"status": "odd"}', "status odd"),
        (b"HTTP/1.0 500 No\r\n\r\n", "status 500, and not scrapyd's JSON"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b" " * 10_000_100, "the answer is too large"),
        (b"nonsense", "listjobs.json: "),
    ],
)
async def test_an_answer_that_is_not_scrapyds_is_trouble_not_a_crash(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: bytes, told: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    other = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    async with other, at_work(tmp_path, JOBS, Scrapyd(url, None, JOBS), Clock(), asyncio.Event()) as running:
        await running.until(lambda: told in caplog.text)
        assert not running.task.done()


def test_user_and_password_go_together() -> None:
    assert login({"SCRAPYD_USERNAME": None, "SCRAPYD_PASSWORD": None}) is None
    assert login({"SCRAPYD_USERNAME": "a", "SCRAPYD_PASSWORD": "b"}) == ("a", "b")
    with pytest.raises(UsageProblem, match="set both or none"):
        login({"SCRAPYD_USERNAME": "a", "SCRAPYD_PASSWORD": None})
