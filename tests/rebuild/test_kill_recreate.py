"""kill -9 while a collection is made anew: every alias always points to a complete collection."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import running_replica
from pyf_scrapy.search.administration import list_aliases, list_collections, set_alias
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.soak import seed

OPTIONS = Options(projects=300, members={"plone": 250}, only_members=True, most_releases=12, missing=0)


async def killed(tmp_path: Path, server: Server, kills: int, options: Options) -> str:
    """Kill so many runs at random moments; look at every alias after each. Returns a line for people."""
    dice, fell = random.Random(seed()), 0
    with running_replica(options) as replica:
        place = Place(tmp_path / "data", replica.url, server)
        await place.crawl("pypi", profile="plone")
        with place.connection() as connection:
            set_alias(connection.client, "packages", "plone-1")
        documents = place.documents("plone")
        replica.reset()
        took = whole_run(place)
        at_work = 0
        for _ in range(kills):
            moment = dice.uniform(0, took)
            fell += killed_after(place, moment)
            at_work += is_half_built(place)
            for alias in ("packages", "plone"):
                assert place.documents(alias) == documents, f"{alias} after {moment:.2f} s"
        whole_run(place)
        assert not replica.statistics()["requests"], "the store has it all"
        with place.connection() as connection:
            aliases = list_aliases(connection.client)
            left = {state.name for state in list_collections(connection.client)}
        assert len(set(aliases.values())) == 1, aliases
        assert len(left) <= kills + 3, "half-built ones are removed"
        with place.store() as store:
            assert store.rebuild("plone") is None
            assert store.status("plone").dirty == 0
        assert place.documents("packages") == documents
    return f"{kills} kills, {fell} before the end, {at_work} with a half-built collection: always complete"


def whole_run(place: Place) -> float:
    """Seconds that one takes."""
    began = time.monotonic()
    done = place.run("collections", "recreate", "-p", "plone", "--delete-old", "--yes")
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def killed_after(place: Place, seconds: float) -> bool:
    """Whether the run was killed before its end."""
    with place.popen("collections", "recreate", "-p", "plone", start_new_session=True) as process:
        time.sleep(seconds)
        ended = process.poll() is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return not ended


def is_half_built(place: Place) -> bool:
    """Whether the killed run has left one."""
    with place.store() as store:
        return store.rebuild("plone") is not None


async def test_a_killed_recreation_leaves_every_alias_complete(tmp_path: Path, empty_index: Server) -> None:
    options = Options(projects=60, members={"plone": 40}, only_members=True, most_releases=8, missing=0)
    await killed(tmp_path, empty_index, 2, options)


@pytest.mark.soak
async def test_twenty_killed_recreations_leave_every_alias_complete(
    tmp_path: Path, empty_index: Server
) -> None:
    print(f"soak: {await killed(tmp_path, empty_index, 20, OPTIONS)}")
