"""The server as a whole: what it counts, how it starts and ends, how fast it is."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from scrapy.exceptions import UsageError
from scrapy.settings import Settings

from pyf_scrapy.commands.replica import Command
from pyf_scrapy.replica import Handle, Options, Replica, running_replica, serve

from .client import SIMPLE_JSON, get

ROOT = Path(__file__).parents[2]


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`scrapy replica` in a process of its own, and the line it prints first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scrapy", "replica", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_statistics(replica: Handle) -> None:
    name = replica.replica.names()[0]
    get(replica.url, "/simple/", accept=SIMPLE_JSON, user_agent="one")
    get(replica.url, "/simple/", user_agent="two")
    get(replica.url, f"/pypi/{name}/json", user_agent="two")
    get(replica.url, f"/pypi/{name.upper()}/json", user_agent="two")
    get(replica.url, "/nowhere", user_agent="two")
    report = replica.statistics(paths=True)
    assert report["requests"] == {"index": 1, "index-html": 1, "project": 2, "other": 1}
    assert report["total"] == 5
    assert report["statuses"] == {"200": 3, "301": 1, "404": 1}
    assert report["unnormalized"] == 1
    assert report["user_agents"] == {"one": 1, "two": 4}
    assert report["paths"]["/simple/"] == 2
    assert report["bytes"] > 10_000
    assert report["most_concurrent"] == 1
    replica.reset()
    assert replica.statistics()["total"] == 0


def test_many_requests_at_once(replica: Handle) -> None:
    """Concurrency is counted, so that tests can hold a crawl to its limits."""
    replica.faults([{"match": "*", "fault": "slow", "delay": 2}])
    names = replica.replica.names()[:20]
    threads = [threading.Thread(target=get, args=(replica.url, f"/simple/{name}/")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replica.statistics()["most_concurrent"] == 20


def test_latency_is_added() -> None:
    with running_replica(Options(projects=5), latency=0.2) as handle:
        begun = time.monotonic()
        get(handle.url, "/simple/")
        assert time.monotonic() - begun >= 0.2


def test_answers_that_nobody_awaits_end_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """Left behind they would be logged at any later time, in whatever test or command runs then."""
    with running_replica(Options(projects=5)) as handle:
        handle.faults([{"match": "/simple/", "fault": "slow", "delay": 60}])
        with pytest.raises(TimeoutError):
            get(handle.url, "/simple/", timeout=0.2)
    gc.collect()
    records = [record for record in caplog.records if record.name == "asyncio"]
    assert not [record for record in records if record.levelno > logging.DEBUG]


async def test_serves_in_the_loop_of_a_test() -> None:
    async with (
        serve(Replica(Options(projects=20))) as url,
        aiohttp.request("GET", f"{url}/simple/", headers={"Accept": SIMPLE_JSON}) as response,
    ):
        answer = json.loads(await response.read())
    assert len(answer["projects"]) == 20


async def test_rate() -> None:
    """A replica slower than the crawler would spoil benchmarks. The bound is far below what is usual."""
    replica = Replica(Options(projects=400))
    names = iter(replica.names())
    async with serve(replica) as url, aiohttp.ClientSession() as session:

        async def work() -> None:
            for name in names:
                async with session.get(f"{url}/pypi/{name}/json") as response:
                    await response.read()

        begun = time.process_time()
        await asyncio.gather(*(work() for _ in range(16)))
    assert 400 / (time.process_time() - begun) > 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_its_address_and_ends_at_once(number: signal.Signals) -> None:
    with command("--projects", "300", "--seed", "5", "--now", "2026-11-01") as (process, line):
        found = re.fullmatch(
            r"Replica of PyPI with 300 projects \(seed 5\) at (http://127\.0\.0\.1:\d+)\n", line
        )
        assert found
        assert process.stdout is not None
        assert process.stdout.readline() == (
            f"GitHub at {found[1]}/github, pypistats at {found[1]}/pypistats, ClickPy at {found[1]}/clickpy\n"
        )
        assert len(json.loads(get(found[1], "/simple/", accept=SIMPLE_JSON).body)["projects"]) == 300
        begun = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
        assert time.monotonic() - begun < 5


def test_command_with_a_cdn_and_events_of_its_own() -> None:
    arguments = ("--projects", "60", "--publish", "6000", "--cdn", "--stale-nodes", "3", "--cdn-speed", "0")
    with command(*arguments) as (process, line):
        url = line.split()[-1]
        first = get(url, "/rss/updates.xml").body
        deadline = time.monotonic() + 30
        while len(json.loads(get(url, "/_replica/events").body)) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        events = json.loads(get(url, "/_replica/events").body)
        assert len(events) >= 10
        answers = [get(url, "/rss/updates.xml") for _ in range(20)]
        assert "HIT" in {answer.headers["X-Cache"] for answer in answers}
        assert first in {answer.body for answer in answers}
        assert json.loads(get(url, "/_replica/cdn").body)["stale_nodes"] == 3
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


def test_command_at_an_address_of_another_machine() -> None:
    with command("--host", "203.0.113.1", "--projects", "5") as (process, line):
        assert line == ""
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert re.fullmatch(r"replica: cannot serve at 203\.0\.113\.1 port 0: .+\n", errors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["surplus"], "unknown argument: surplus"),
        (["--members", "plone"], "--members plone: write FAMILY=NUMBER"),
        (["--members", "plome=3"], "unknown family 'plome'"),
        (["--members", "plone=30", "--projects", "10"], "members: 30 members"),
        (["--now", "tomorrow"], "--now tomorrow: write a date"),
        (["--latency", "-1"], "--latency -1.0: is negative"),
        (["--faults", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--publish", "-1"], "--publish -1.0: is not between 0 and 60000"),
        (["--lost-purges", "0.1"], "--lost-purges, --stale-nodes and --cdn-speed need --cdn"),
        (["--cdn", "--lost-purges", "2"], "cdn: lost_purges=2.0 is not a share"),
        (["--service", "sped=1"], "services: unknown option 'sped'"),
        (["--service", "speed=fast"], "services: Expected `float`"),
        (["--monorepos", "2"], "monorepos: 2.0 is not a share"),
        (["--cdn", "--stale-nodes", "4"], "cdn: stale_nodes=4 is not between 0 and 3 nodes"),
    ],
)
def test_command_refuses_bad_input_in_one_line(arguments: list[str], message: str) -> None:
    replica_command, parser = command_line()
    options, leftovers = parser.parse_known_args(arguments)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        replica_command.run(leftovers, options)
    assert "\n" not in str(caught.value)


def test_command_writes_no_file_of_scrapys_profiler(capsys: pytest.CaptureFixture[str]) -> None:
    """`--profile plone` is what somebody types who wants packages of Plone."""
    _, parser = command_line()
    with pytest.raises(SystemExit) as ended:
        parser.parse_known_args(["--profile", "plone"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("scrapy replica: --profile is Scrapy's profiler; ")


def command_line() -> tuple[Command, ArgumentParser]:
    """The command, and its parser as scrapy.cmdline makes it."""
    replica_command = Command()
    replica_command.settings = Settings()
    parser = ArgumentParser(conflict_handler="resolve")
    replica_command.add_options(parser)
    return replica_command, parser
