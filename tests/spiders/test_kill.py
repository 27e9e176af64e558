"""kill -9 at random moments: the next run completes, and the index is that of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.conftest import drop_all
from tests.crawling import Place

OPTIONS = Options(projects=400, members={"plone": 60, "django": 20}, only_members=True, most_releases=20)
PROFILES = ("plone", "django")
SEED = 20261121


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
async def test_the_index_after_kills_is_that_of_an_undisturbed_run(
    tmp_path: Path, empty_index: Server, kills: int
) -> None:
    dice = random.Random(SEED)
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
