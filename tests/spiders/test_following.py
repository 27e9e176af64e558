"""From "the feed shows it" to "search finds it", in real time: polling beside sync and refresh."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.parsers.rss import parse_feed
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.rss import FEEDS
from tests.crawling import Place
from tests.soak import seed

FAMILIES = {"plone": "Framework :: Plone", "django": "Framework :: Django", "flask": "Framework :: Flask"}
PROFILES = ",".join(FAMILIES)
OPTIONS = Options(
    projects=1500, members={"plone": 200, "django": 140, "flask": 76}, only_members=True, most_releases=8
)
MINUTES = float(os.environ.get("PYF_SOAK_MINUTES", "30"))
POLL = 30  # seconds
RPS = 5  # the ceiling that pypi.org gets
RELEASES_A_MINUTE = 4.1  # 5,900 a day; the members are those that a refresh of 20,000 reaches in 30 minutes
MEMBERS_SHARE = 0.3  # of the releases; far more than on PyPI, so that there is something to measure
BURST = 120  # releases within 90 seconds, once


class Watch:
    """Which documents are awaited since when, and how long those found took: since their release, and since
    a feed had it for whoever asked at the right moment."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.awaited: dict[tuple[str, str], float] = {}
        self.shown: dict[str, float] = {}
        self.took: list[float] = []
        self.took_since_shown: list[float] = []
        self.steady: Counter[str] | None = None  # answers before the burst, by status

    async def look(self) -> None:
        """Ask the search server about everything awaited, twice a second."""
        with self.place.connection() as connection:
            while True:
                for key in list(self.awaited):
                    alias, id_ = key
                    found = await asyncio.to_thread(
                        connection.client.collections[alias].documents.search,
                        {"q": "*", "query_by": "name", "filter_by": f"id:=`{id_}`", "include_fields": "id"},
                    )
                    if found["found"]:
                        now = time.monotonic()
                        self.took.append(now - self.awaited.pop(key))
                        # What nobody has seen yet was found before anybody could tell that it is late.
                        self.took_since_shown.append(now - self.shown.get(id_, now))
                await asyncio.sleep(0.5)

    def sees(self, feed: bytes) -> None:
        """Note what a feed shows."""
        for entry in parse_feed(feed):
            self.shown.setdefault(f"{entry.normalized_name}=={entry.version}", time.monotonic())


async def others(replica: Handle, watch: Watch, statuses: Counter[str]) -> None:
    """The rest of the world, which reads the feeds all the time and so keeps the CDN's nodes fresh."""
    async with aiohttp.ClientSession() as client:
        while True:
            for feed in FEEDS:
                async with client.get(replica.url + feed) as answer:
                    body = await answer.read()
                    statuses[str(answer.status)] += 1
                    watch.sees(body)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def running(place: Place, *arguments: str) -> AsyncIterator[None]:
    """A crawl in a process of its own, ended as a user ends it."""
    process = place.popen("crawl", *arguments, "-p", PROFILES, "-L", "WARNING")
    try:
        yield
        assert process.poll() is None, process.communicate()
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate, timeout=60)


async def publish(replica: Handle, watch: Watch, foreign: Counter[str], end: float) -> None:
    """Releases at PyPI's pace, of members and others, with one burst."""
    pick, dice = random.Random(seed()), Dice(seed(), "following")
    members = {alias: replica.replica.members(classifier) for alias, classifier in FAMILIES.items()}
    burst_at = time.monotonic() + (end - time.monotonic()) / 2

    async def one() -> None:
        if pick.random() >= MEMBERS_SHARE:
            await asyncio.to_thread(replica.busy, dice, 1, kinds=("release", "create", "yank"))
            return
        alias = pick.choice(list(FAMILIES))
        name = pick.choice(members[alias])
        try:
            (entry,) = await asyncio.to_thread(replica.event, {"event": "release", "project": name})
        except ReplicaError:
            return  # its versions have an epoch
        watch.awaited[alias, f"{name}=={entry['version']}"] = time.monotonic()

    while time.monotonic() < end:
        await one()
        await asyncio.sleep(pick.expovariate(RELEASES_A_MINUTE / 60))
        if time.monotonic() > burst_at:
            burst_at = end
            watch.steady = Counter(replica.statistics()["statuses"])
            watch.steady.subtract(foreign)
            for _ in range(BURST):
                await one()
                await asyncio.sleep(90 / BURST)


async def repeat(place: Place, every: float, *arguments: str) -> None:
    """A job of cron's; what is still running when it is due again is waited for."""
    while True:
        started = time.monotonic()
        done = await asyncio.to_thread(
            place.run, "crawl", *arguments, "-p", PROFILES, "-L", "ERROR", timeout=600
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        await asyncio.sleep(max(0.0, every - (time.monotonic() - started)))


@pytest.mark.soak
async def test_a_release_is_searchable_in_seconds(tmp_path: Path, empty_index: Server) -> None:
    with running_replica(OPTIONS, latency=0.05) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        await place.crawl("pypi", profile=PROFILES)
        await place.crawl("project", profile=PROFILES, refresh="1")
        await place.crawl("rss", profile=PROFILES)
        place.extra |= {"PYPI_MAX_RPS": RPS, "STALE_PATIENCE": 300}
        replica.cdn({"lost_purges": 0.002, "speed": 1})
        replica.reset()
        watch, foreign = Watch(place), Counter[str]()
        seconds, began = MINUTES * 60, time.time()
        names = [n for classifier in FAMILIES.values() for n in replica.replica.members(classifier)]
        async with asyncio.TaskGroup() as group, running(place, "rss", "-a", f"follow={POLL}"):
            jobs = [
                group.create_task(watch.look()),
                group.create_task(others(replica, watch, foreign)),
                group.create_task(repeat(place, seconds / 3, "pypi")),
                # A day's refresh in the time that there is: each member once.
                group.create_task(
                    repeat(place, seconds / 24, "project", "-a", "refresh=1", "-a", "share=1/20")
                ),
            ]
            await asyncio.sleep(5)
            await publish(replica, watch, foreign, time.monotonic() + seconds)
            await asyncio.sleep(2 * POLL)
            for job in jobs:
                job.cancel()
        statuses = Counter(replica.statistics()["statuses"])
        statuses.subtract(foreign)
        assert watch.steady is not None, "there was no burst"
        share = watch.steady["304"] / watch.steady.total()
        with place.store() as store:
            verified = [standing.verified_at or 0 for standing in store.standings(names).values()]
        p50, p99 = median(watch.took_since_shown), quantiles(watch.took_since_shown, n=100)[98]
        unverified = sum(at < began for at in verified)
        print(
            f"soak: {MINUTES:g} min, poll {POLL} s, {RPS} requests/s, seed {seed()}: {len(watch.took)} "
            f"releases found, since a feed shows it p50 {p50:.1f} s, p99 {p99:.1f} s, since its release p50 "
            f"{median(watch.took):.1f} s, {len(watch.awaited)} missed, {share:.0%} of "
            f"{watch.steady.total()} answers before the burst 304 ({statuses['304'] / statuses.total():.0%} "
            f"of all {statuses.total()}), {unverified} members not verified"
        )
        assert not watch.awaited
        assert p50 <= 20
        assert p99 <= 45
        assert share >= 0.6
        assert not unverified
