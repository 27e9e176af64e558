"""Whatever PyPI, its caches and our runs did to each other: soon after it ends the index shows the truth.

Whole crawls with Scrapy, the replica over HTTP and a real Typesense, compared document by document. The same
rules are tried on many more histories without them in tests/sync.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.soak import seed
from tests.truth import comparable, differences, expected

SEED = seed()
OPTIONS = Options(
    projects=24, seed=SEED, members={"plone": 5, "django": 3}, only_members=True, most_releases=4, missing=0
)
PROFILES = "plone,django"
PLONE = "Framework :: Plone"

#: What goes wrong, and for which requests.
FAULTS = ("status-404", "status-500", "status-503", "cut", "garbage", "html", "stale", "disconnect")
PATHS = ("/pypi/*/json", "/simple/*", "/simple/", "/rss/*", "*")

IMPATIENT = {"PYPI_MAX_RETRIES": 0, "BACKOFF_MAX_DELAY": 0.01, "STALE_PATIENCE": 0.0}


class History:
    """One world that goes on: in each turn PyPI changes while runs of all kinds meet faults."""

    def __init__(self, place: Place, replica: Handle, number: int) -> None:
        self.place = place
        self.replica = replica
        self.random = random.Random(f"{SEED}/{number}")
        self.dice = Dice(SEED, "histories", number)
        self.log: list[str] = []

    async def disturbed(self) -> None:
        """Events, faults, a CDN with lost purges, and runs that meet them."""
        pick = self.random
        if pick.random() < 0.3:
            self.replica.cdn({"lost_purges": 0.3, "stale_nodes": pick.choice((0, 0, 1)), "speed": 0})
        for _ in range(pick.randint(1, 2)):
            self.replica.busy(self.dice, pick.randint(1, 3), classifier=PLONE)
            if pick.random() < 0.7:
                fault = {"match": pick.choice(PATHS), "fault": pick.choice(FAULTS)}
                self.replica.faults([fault | {"times": pick.randint(1, 3), "per": "rule"}])
                self.log.append(str(fault))
            self.replica.advance(pick.choice((1, 60, 2000, 90_000)))
            await self.run(pick.choice(("pypi", "rss", "refresh", "part")))
        self.replica.faults([])
        self.replica.cdn(None)
        self.replica.busy(self.dice, pick.randint(0, 2), classifier=PLONE)

    async def run(self, kind: str) -> int:
        spider, arguments = {
            "pypi": ("pypi", {}),
            "part": ("pypi", {"limit": "2"}),
            "rss": ("rss", {}),
            "refresh": ("project", {"refresh": "1"}),
        }[kind]
        crawled = await self.place.crawl(spider, profile=PROFILES, settings=IMPATIENT, **arguments)
        self.log.append(f"{kind}: {crawled.outcome.exit_code}")
        return crawled.outcome.exit_code


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("histories", [25, pytest.param(250, marks=pytest.mark.soak)])
async def test_every_history_ends_at_the_truth(
    tmp_path: Path, empty_index: Server, part: int, histories: int
) -> None:
    now = datetime.now(UTC).date()
    profiles = load_profiles()
    with running_replica(OPTIONS) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        for turn in range(histories):
            history = History(place, replica, part * histories + turn)
            await history.disturbed()
            # Two runs after the faults: one for what has a serial, one for what has none.
            assert (await history.run("pypi"), await history.run("refresh")) == (0, 0), history.log
            for key in PROFILES.split(","):
                truth = expected(replica.replica, profiles[key], now)
                differ = differences(comparable(place.documents(key)), truth)
                assert differ == [], (turn, key, history.log, replica.replica.journal[-8:])
    print(f"soak: {histories} histories end to end, seed {SEED}, part {part}: all end at the truth")
