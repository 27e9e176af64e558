"""Workers of a shared crawl are killed, Valkey loses its data, PostgreSQL and Typesense restart: nothing is
lost, little is fetched twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server, embedded_server
from tests.conftest import kill_server
from tests.crawling import Place
from tests.postgresql import Postgresql
from tests.queue.conftest import socket_folder  # noqa: F401  (a fixture)
from tests.queue.valkey import Valkey
from tests.soak import seed
from tests.truth import Documents, differences

SMALL = Options(projects=1_000, members={"plone": 30}, most_releases=4, missing=0)
LARGE = Options(projects=10_000, members={"plone": 300}, most_releases=6, missing=0)
CONCURRENCY = 16


class Workers:
    """So many processes; whoever dies, because of us or of a service that is gone, is replaced."""

    def __init__(self, place: Place, number: int) -> None:
        self.place = place
        self.running = [self.start() for _ in range(number)]
        self.kills = 0
        self.given_up: list[str] = []

    def start(self) -> subprocess.Popen[str]:
        return self.place.popen("crawl", "pypi", "-p", "plone", "-L", "WARNING", start_new_session=True)

    def kill(self, place: int) -> None:
        """Kill a worker if it still runs, and start another."""
        worker = self.running[place]
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            self.kills += 1
            worker.communicate()
            self.running[place] = self.start()

    def place_of(self, leader: str | None) -> int | None:
        """Which one leads, if it is one that runs."""
        ids = [f":{worker.pid}:" for worker in self.running]
        return next((n for n, pid in enumerate(ids) if leader is not None and pid in leader), None)

    def replace(self) -> bool:
        """Start another for each that gave up; whether all have ended well."""
        for place, worker in enumerate(self.running):
            if worker.poll() not in {None, 0}:
                output, errors = worker.communicate()
                assert worker.returncode == 1, output + errors
                self.given_up.append(errors.strip().rpartition("\n")[2])
                assert len(self.given_up) < 50, self.given_up
                self.running[place] = self.start()
        return all(worker.poll() == 0 for worker in self.running)

    def close(self) -> None:
        for worker in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


class Services:
    """What the workers share, each of its own so that it can be taken away."""

    def __init__(self, folder: Path, sockets: Path, database: Postgresql) -> None:
        self.valkey = Valkey(sockets, keeps=True)
        self.database = database
        self._folder = folder / "typesense"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Services:
        self.valkey.start()
        self.server = self._search()
        return self

    def __exit__(self, *_: object) -> None:
        self.valkey.kill()
        self._stack.close()
        kill_server(self._folder)

    def leader(self) -> str | None:
        with self.valkey.client() as client:
            (scope,) = client.zrange("pypi:scopes", 0, -1) or [""]
            leader: str | None = client.get(f"pypi:{scope}:leader")
            return leader

    def restart_queue(self) -> None:
        self.valkey.kill()
        time.sleep(1)
        self.valkey.start()

    def lose_queue(self) -> None:
        self.valkey.lose()
        time.sleep(1)
        self.valkey.start()

    def restart_store(self) -> None:
        self.database.stop()
        time.sleep(1)
        self.database.start()

    def restart_search(self) -> None:
        kill_server(self._folder)
        self._stack.close()
        assert self._search() == self.server

    def _search(self) -> Server:
        return self._stack.enter_context(embedded_server(self._folder, linger=60))


def fetched(replica: Handle) -> Counter[str]:
    """How often the JSON of each project was asked for."""
    paths = replica.statistics(paths=True)["paths"]
    return Counter(
        {path: count for path, count in paths.items() if path.count("/") == 3 and path.startswith("/pypi/")}
    )


async def chaos(place: Place, replica: Handle, services: Services, *, workers: int, deeds: list[str]) -> str:
    """A shared crawl under `deeds`, in random order at random moments; returns a line for people."""
    dice = random.Random(seed())
    names, began = replica.replica.names(), time.monotonic()
    crew = Workers(place, workers)
    leaders = 0

    def kill_any() -> None:
        crew.kill(dice.randrange(workers))

    def kill_leader() -> None:
        nonlocal leaders
        found = crew.place_of(services.leader())
        leaders += found is not None
        crew.kill(dice.randrange(workers) if found is None else found)

    ways: dict[str, Callable[[], None]] = {
        "kill": kill_any,
        "kill leader": kill_leader,
        "restart queue": services.restart_queue,
        "lose queue": services.lose_queue,
        "restart store": services.restart_store,
        "restart search": services.restart_search,
    }
    try:
        dice.shuffle(deeds)
        for number, deed in enumerate(deeds, start=1):
            while len(fetched(replica)) < len(names) * number / (len(deeds) + 1):
                await asyncio.sleep(0.1)
                assert not crew.replace(), "over before all was done to it"
            await asyncio.to_thread(ways[deed])
        deadline = time.monotonic() + 240
        while not crew.replace():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(crew.close)
    asked = fetched(replica)
    twice = sum(count - 1 for count in asked.values())
    assert len(asked) == len(names)
    assert differences(place.documents("plone"), await undisturbed(place)) == []
    with place.store() as store:
        assert store.failures() == []
        assert store.status("plone").dirty == 0
    # Whoever dies may have fetched what it had asked for, and as much that a batch was about to store; with
    # the queue it is forgotten what all hold.
    deaths = crew.kills + len(crew.given_up) + deeds.count("lose queue") * workers
    assert twice <= deaths * 2 * CONCURRENCY, (twice, deaths)
    done = ", ".join(f"{deeds.count(way)} x {way}" for way in ways if not way.startswith("kill"))
    return (
        f"{workers} workers, {len(names):,} projects, {crew.kills} kills ({leaders} of the leader), {done}; "
        f"{len(crew.given_up)} ended because a service was gone: 0 lost, {twice} fetched twice, "
        f"{time.monotonic() - began:.0f} s"
    )


async def undisturbed(place: Place) -> Documents:
    """What one worker alone makes of the same PyPI."""
    alone = Place(place.folder / "alone", place.pypi_url, place.server, {"PYPI_MAX_RPS": 0})
    done = await alone.crawl("pypi", profile="plone", collection="undisturbed")
    assert done.outcome.exit_code == 0
    return alone.documents("undisturbed")


@pytest.fixture
def services(tmp_path: Path, socket_folder: Path, postgresql: Postgresql) -> Iterator[Services]:  # noqa: F811
    with Services(tmp_path, socket_folder, postgresql) as services:
        yield services


@pytest.fixture
def url(postgresql: Postgresql) -> Iterator[str]:
    with postgresql.url_of_empty_store() as url:
        yield url


def at(tmp_path: Path, replica: Handle, services: Services, url: str) -> Place:
    """Where such workers run."""
    extra = {"REDIS_URL": services.valkey.url, "DATABASE_URL": url, "PYPI_MAX_RPS": 0}
    return Place(tmp_path / "data", replica.url, services.server, {**extra, "PYPI_CONCURRENCY": CONCURRENCY})


async def test_killed_workers_lose_nothing(tmp_path: Path, services: Services, url: str) -> None:
    with running_replica(SMALL) as replica:
        deeds = ["kill", "kill leader", "lose queue", "restart store"]
        place = at(tmp_path, replica, services, url)
        await chaos(place, replica, services, workers=2, deeds=deeds)


@pytest.mark.soak
async def test_forty_killed_workers_lose_nothing(tmp_path: Path, services: Services, url: str) -> None:
    deeds = 30 * ["kill"] + 10 * ["kill leader"] + 2 * ["restart queue"]
    deeds += ["lose queue", "restart store", "restart search"]
    with running_replica(LARGE) as replica:
        place = at(tmp_path, replica, services, url)
        line = await chaos(place, replica, services, workers=4, deeds=deeds)
        print(f"soak: {line}")
