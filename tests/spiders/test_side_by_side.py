"""Feeds, sync and refresh at once on one data folder: none is locked out, and no older fact stays indexed."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.soak import seed
from tests.truth import comparable, differences, expected

PLONE = "Framework :: Plone"
PROFILES = "plone,django"
OPTIONS = Options(
    projects=40, members={"plone": 8, "django": 4}, only_members=True, most_releases=4, missing=0
)
JOBS = {
    "rss": ["rss", "-a", "follow=1"],
    "pypi": ["pypi"],
    "refresh": ["project", "-a", "refresh=1"],
}


def feeds_read(replica: Handle) -> int:
    """How many requests for feeds were answered: nobody but the reader makes them."""
    return int(replica.statistics()["requests"].get("feed", 0))


async def settled(place: Place, replica: Handle) -> None:
    """One last run of each lane, alone; then the index must hold the truth."""
    synced = await place.crawl("pypi", profile=PROFILES)
    refreshed = await place.crawl("project", profile=PROFILES, refresh="1")
    assert (synced.outcome.exit_code, refreshed.outcome.exit_code) == (0, 0)
    now, profiles = datetime.now(UTC).date(), load_profiles()
    for key in PROFILES.split(","):
        held, truth = comparable(place.documents(key)), expected(replica.replica, profiles[key], now)
        assert differences(held, truth) == []


async def test_three_lanes_at_once_leave_the_truth(
    tmp_path: Path, empty_index: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """In one process, with events between their requests: ten random interleavings."""
    dice, pick = Dice(seed(), "side by side"), random.Random(seed())
    with running_replica(OPTIONS, latency=0.003) as replica, caplog.at_level("WARNING"):
        place = Place(tmp_path / "data", replica.url, empty_index)
        for _ in range(10):

            async def lane(spider: str, delay: float, **arguments: Any) -> int:
                await asyncio.sleep(delay)
                return (await place.crawl(spider, profile=PROFILES, **arguments)).outcome.exit_code

            async def happen(delay: float) -> None:
                await asyncio.sleep(delay)
                await asyncio.to_thread(replica.busy, dice, 2, classifier=PLONE)

            replica.busy(dice, 2, classifier=PLONE)
            codes = await asyncio.gather(
                lane("pypi", pick.uniform(0, 0.1)),
                lane("rss", pick.uniform(0, 0.1)),
                lane("project", pick.uniform(0, 0.1), refresh="1"),
                *(happen(pick.uniform(0, 0.3)) for _ in range(3)),
            )
            assert 1 not in codes, caplog.text
        assert "locked" not in caplog.text
        await settled(place, replica)


@pytest.mark.soak
async def test_three_processes_at_once_leave_the_truth(tmp_path: Path, empty_index: Server) -> None:
    """As cron and a feed reader start them: fifty random interleavings of real processes."""
    dice, pick = Dice(seed(), "processes"), random.Random(seed())
    rounds = 50
    with running_replica(OPTIONS, latency=0.005) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        said = ""
        for _ in range(rounds):
            running, read = {}, feeds_read(replica)
            for job in pick.sample(sorted(JOBS), len(JOBS)):
                running[job] = place.popen("crawl", *JOBS[job], "-p", PROFILES, "-L", "WARNING")
                await asyncio.sleep(pick.uniform(0, 0.5))
                await asyncio.to_thread(replica.busy, dice, 2, classifier=PLONE)
            for _ in range(4):
                await asyncio.sleep(pick.uniform(0, 1))
                await asyncio.to_thread(replica.busy, dice, 2, classifier=PLONE)
            for job in ("pypi", "refresh"):
                output, errors = await asyncio.to_thread(running[job].communicate, timeout=120)
                said += output + errors
                assert running[job].returncode in (0, 3), said[-3000:]
            # On a busy machine it may not have begun yet.
            while await asyncio.to_thread(feeds_read, replica) == read:
                assert running["rss"].poll() is None, said[-3000:]
                await asyncio.sleep(0.1)
            running["rss"].send_signal(signal.SIGINT)
            output, errors = await asyncio.to_thread(running["rss"].communicate, timeout=60)
            said += output + errors
            # It polls until it is interrupted: that is its end, not a failure. 3: a package is left to do.
            assert running["rss"].returncode in (0, 3), (output + errors)[-3000:]
        assert "locked" not in said
        assert "Traceback" not in said
        await settled(place, replica)
    print(f"soak: {rounds} interleavings of rss, pypi, refresh, seed {seed()}: never locked, true at the end")
