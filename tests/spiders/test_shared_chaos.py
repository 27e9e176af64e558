"""Workers of a shared crawl are killed, Valkey loses its data: nothing is lost, little is fetched twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.queue.conftest import socket_folder, valkey  # noqa: F401  (fixtures)
from tests.queue.valkey import Valkey
from tests.soak import seed
from tests.truth import comparable, differences, expected

SMALL = Options(projects=1_000, members={"plone": 30}, most_releases=4, missing=0)
LARGE = Options(projects=10_000, members={"plone": 300}, most_releases=6, missing=0)
CONCURRENCY = 16


class Workers:
    """So many processes; who dies is replaced."""

    def __init__(self, place: Place, number: int) -> None:
        self.place = place
        self.running = [self.start() for _ in range(number)]
        self.kills = 0

    def start(self) -> subprocess.Popen[str]:
        return self.place.popen("crawl", "pypi", "-p", "plone", "-L", "WARNING", start_new_session=True)

    def kill(self, dice: random.Random) -> None:
        """Kill one of those that still run, and start another."""
        place = dice.randrange(len(self.running))
        worker = self.running[place]
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            self.kills += 1
            worker.communicate()
            self.running[place] = self.start()

    def ended(self) -> list[int]:
        """Exit codes when all have ended by themselves."""
        codes = []
        for worker in self.running:
            output, errors = worker.communicate(timeout=240)
            codes.append(worker.returncode)
            assert worker.returncode == 0, output + errors
        return codes

    def close(self) -> None:
        for worker in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


def fetched(replica: Handle) -> Counter[str]:
    """How often the JSON of each project was asked for."""
    paths = replica.statistics(paths=True)["paths"]
    return Counter(
        {path: count for path, count in paths.items() if path.count("/") == 3 and path.startswith("/pypi/")}
    )


async def chaos(
    place: Place, replica: Handle, server: Valkey, *, workers: int, kills: int, losses: int
) -> str:
    """A shared crawl under kills; returns a line for people."""
    dice = random.Random(seed())
    place.extra |= {"REDIS_URL": server.url, "PYPI_MAX_RPS": 0, "PYPI_CONCURRENCY": CONCURRENCY}
    names, began = replica.replica.names(), time.monotonic()
    crew = Workers(place, workers)
    try:
        deeds = ["kill"] * kills + ["lose"] * losses
        dice.shuffle(deeds)
        for number, deed in enumerate(deeds, start=1):
            while len(fetched(replica)) < len(names) * number / (len(deeds) + 1):
                await asyncio.sleep(0.1)
                if all(worker.poll() is not None for worker in crew.running):
                    break
            if deed == "kill":
                await asyncio.to_thread(crew.kill, dice)
            else:
                server.kill()
                await asyncio.sleep(1)
                server.start()
        await asyncio.to_thread(crew.ended)
    finally:
        await asyncio.to_thread(crew.close)
    asked = fetched(replica)
    twice = sum(count - 1 for count in asked.values())
    assert len(asked) == len(names)
    truth = expected(replica.replica, load_profiles()["plone"], datetime.now(UTC).date())
    assert differences(comparable(place.documents("plone")), comparable(truth)) == []
    with place.store() as store:
        assert store.failures() == []
        assert store.status("plone").dirty == 0
    assert twice <= (crew.kills + losses) * 2 * CONCURRENCY * (1 if not losses else workers), twice
    return (
        f"{workers} workers, {len(names):,} projects, {crew.kills} kills, {losses} times all of Valkey lost: "
        f"0 lost, {twice} fetched twice, {time.monotonic() - began:.0f} s"
    )


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


async def test_killed_workers_lose_nothing(
    place: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    await chaos(place, replica, valkey, workers=2, kills=2, losses=1)


@pytest.mark.soak
async def test_forty_killed_workers_lose_nothing(
    tmp_path: Path,
    empty_index: Server,
    valkey: Valkey,  # noqa: F811
) -> None:
    with running_replica(LARGE) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        line = await chaos(place, replica, valkey, workers=4, kills=40, losses=3)
        print(f"soak: {line}")
