"""kill -9 at random moments: the next run completes, and the index is that of an undisturbed run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.busy import KINDS
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.embedded import Server
from tests.conftest import drop_all, kill_server
from tests.crawling import EmbeddedPlace, Place
from tests.soak import seed
from tests.truth import comparable, differences, expected

OPTIONS = Options(
    projects=400, members={"plone": 60, "django": 20}, only_members=True, most_releases=20, missing=0
)
SMALLER = Options(
    projects=150, members={"plone": 40, "django": 15}, only_members=True, most_releases=20, missing=0
)
PROFILES = ("plone", "django")
SEED = seed()

#: Events that a crawl without a refresh must notice.
WITH_SERIAL = tuple(sorted(set(KINDS) - {"archive", "unarchive", "organization", "advisory"}))


async def test_the_index_after_kills_is_that_of_an_undisturbed_run(
    tmp_path: Path, empty_index: Server
) -> None:
    dice, kills = random.Random(SEED), 3
    with running_replica(OPTIONS) as replica:
        killed = Place(tmp_path / "killed", replica.url, empty_index, {"PYPI_MAX_RPS": 80})
        answers = [_kill_in_the_middle(killed, replica, dice) for _ in range(kills)]
        assert sum(answer > 0 for answer in answers) >= kills - 1, answers
        assert (await killed.crawl("pypi", profile=",".join(PROFILES))).outcome.exit_code == 0
        after_kills = {alias: killed.documents(alias) for alias in PROFILES}
        with killed.store() as store:
            assert store.failures() == []
            assert [store.status(alias).dirty for alias in PROFILES] == [0, 0]
        with killed.connection() as connection:
            drop_all(connection)

        undisturbed = Place(tmp_path / "undisturbed", replica.url, empty_index)
        await undisturbed.crawl("pypi", profile=",".join(PROFILES))
        for alias in PROFILES:
            documents = undisturbed.documents(alias)
            assert set(after_kills[alias]) == set(documents)
            assert after_kills[alias] == documents


def _kill_in_the_middle(place: Place, replica: Handle, dice: random.Random) -> int:
    """Start a crawl, kill it at a random moment after its first request, then let PyPI change.

    Returns how many requests it had made.
    """
    replica.reset()
    process = place.popen("crawl", "pypi", "-a", f"profile={','.join(PROFILES)}")
    while not replica.statistics()["total"] and process.poll() is None:
        time.sleep(0.02)
    time.sleep(dice.uniform(0, 0.7))
    assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    requests: int = replica.statistics()["total"]
    # What a killed crawl sent and noted must not outlive the release that it was about.
    name = dice.choice(replica.replica.members("Framework :: Plone"))
    project = replica.replica.project(name)
    assert project is not None
    if len(project.releases) > 1:
        replica.event({"event": "delete-release", "project": name, "version": project.releases[0].version})
    else:
        replica.event({"event": "release", "project": name})
    return requests


@pytest.mark.soak
async def test_nothing_is_lost_or_doubled_by_200_kills(tmp_path: Path) -> None:
    """Crawler and search server, together or apart, at random moments of their work; now and then the
    server's folder is deleted. The run that follows must hold the truth; some kills follow one another
    without it."""
    dice, kills = random.Random(SEED), 200
    now, profiles = datetime.now(UTC).date(), load_profiles()
    lost = compared = in_the_middle = 0
    with running_replica(SMALLER) as replica:
        place = EmbeddedPlace(tmp_path / "data", replica.url, extra={"PYPI_MAX_RPS": 30})
        try:
            for number in range(1, kills + 1):
                in_the_middle += _kill_some(place, replica, dice)
                if dice.random() < 0.05:
                    kill_server(place.folder / "typesense")
                    shutil.rmtree(place.folder / "typesense")
                    lost += 1
                if number < kills and dice.random() < 0.25:
                    continue
                to_the_end = ("-p", ",".join(PROFILES), "-L", "ERROR", "-s", "PYPI_MAX_RPS=200")
                done = await asyncio.to_thread(place.run, "crawl", "pypi", *to_the_end, timeout=300)
                assert done.returncode == 0, f"after kill {number}\n{done.stdout}{done.stderr}"
                for alias in PROFILES:
                    held = comparable(place.documents(alias))
                    truth = comparable(expected(replica.replica, profiles[alias], now))
                    without_status = {id_: _blind(document) for id_, document in truth.items()}
                    differ = differences(held, without_status)
                    if differ:  # which of the two is wrong, store or index?
                        verified = place.run("verify", "-p", alias, "--offline")
                        differ.append(f"after kill {number}: {verified.stdout}{verified.stderr}")
                    assert differ == [], "\n".join(differ)
                compared += 1
        finally:
            kill_server(place.folder / "typesense")
    assert in_the_middle > 0.8 * kills, "most kills hit a crawl that had ended: they prove nothing"
    print(
        f"soak: {kills} kills of crawler and search server, seed {SEED}, {in_the_middle} of them in the "
        f"middle of a crawl, the server's folder deleted {lost} times: after each of {compared} next runs "
        "0 documents lost, 0 too many"
    )


def _blind(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what no serial tells: nobody refreshed."""
    return {name: value for name, value in document.items() if name != "project_status"}


def _kill_some(place: Place, replica: Handle, dice: random.Random) -> bool:
    """Let PyPI change, start a crawl and kill it, its search server, or both at a random moment.

    Returns whether the crawl was under way.
    """
    events = Dice(SEED, "kills", dice.randrange(10**9))
    replica.busy(events, 15, classifier="Framework :: Plone", kinds=WITH_SERIAL)
    replica.reset()
    full = ("-a", "full=1") if dice.random() < 0.3 else ()
    process = place.popen("crawl", "pypi", "-p", ",".join(PROFILES), "-L", "ERROR", *full)
    if dice.random() < 0.9:  # else also what comes before the first request
        while not replica.statistics()["total"] and process.poll() is None:
            time.sleep(0.01)
    time.sleep(dice.uniform(0, 3.0 if full else 1.2))
    under_way = process.poll() is None
    whom = dice.choice(("crawler", "server", "both", "both"))
    if whom != "server":
        process.kill()
    if whom != "crawler":
        _kill_typesense(place.folder / "typesense", supervisor_too=dice.random() < 0.5)
    if whom == "server":
        time.sleep(dice.uniform(0, 1))
        process.kill()
    process.communicate()
    return under_way


def _kill_typesense(folder: Path, *, supervisor_too: bool) -> None:
    """kill -9 of the server, or also of the process that watches over it."""
    state = supervisor.read_state(folder)
    for role in ("supervisor", "pid") if supervisor_too else ("pid",):
        if isinstance(state.get(role), int) and _is_of(state[role], folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(state[role], signal.SIGKILL)


def _is_of(process: int, folder: Path) -> bool:
    """Whether the process was started for the folder: an old number may be another's by now."""
    try:
        return os.fsencode(folder) in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
