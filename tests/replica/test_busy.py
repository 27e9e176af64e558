"""Random histories: always possible, all kinds of events, equal for equal dice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Dice, Handle, Options, Replica, busy
from pyf_scrapy.replica.busy import KINDS, publish

from .client import get

PLONE = "Framework :: Plone"


def world() -> Replica:
    return Replica(Options(projects=150, members={"plone": 20}))


def lived(events: int, seed: int = 1) -> Replica:
    replica, dice = world(), Dice(seed)
    for _ in range(events):
        replica.happen([busy(replica, dice, PLONE)])
    return replica


def test_same_dice_same_history() -> None:
    assert lived(300).journal == lived(300).journal
    assert lived(300).journal != lived(300, seed=2).journal


def test_everything_happens_and_most_are_releases() -> None:
    replica = lived(1500)
    counts = Counter(entry.event for entry in replica.journal)
    assert set(counts) == set(KINDS) - {"recreate"}
    assert counts["release"] > 600
    deleted = {entry.project.lower() for entry in replica.journal if entry.event == "delete-project"}
    assert any(entry.event == "create" and entry.project.lower() in deleted for entry in replica.journal)


def test_truths_agree_after_a_long_history() -> None:
    replica = lived(1500)
    names = replica.names()
    assert names == sorted(set(names))
    projects = {name: replica.project(name) for name in names}
    members = []
    for row in replica.rows():
        project = projects[str(canonicalize_name(row.name))]
        assert project is not None
        assert (project.name, project.serial, project.quarantined) == (row.name, row.serial, False)
        assert len({release.version for release in project.releases}) == len(project.releases)
        if any(f"{text} :: ".startswith(f"{PLONE} :: ") for text in project.classifiers):
            members.append(project.normalized_name)
    assert replica.members(PLONE) == members
    serials = [entry.serial for entry in replica.journal]
    assert serials == sorted(serials)
    assert serials[-1] == replica.serial


def test_packages_go_in_and_out_of_the_classifier() -> None:
    replica, dice = world(), Dice("in and out")
    before = set(replica.members(PLONE))
    for _ in range(60):
        replica.happen([busy(replica, dice, PLONE, kinds=["reclassify"])])
    after = set(replica.members(PLONE))
    assert before - after
    assert after - before


def test_only_the_kinds_that_are_wanted() -> None:
    replica, dice = world(), Dice(3)
    for _ in range(50):
        replica.happen([busy(replica, dice, kinds=("release", "yank"))])
    assert {entry.event for entry in replica.journal} == {"release", "yank"}
    with pytest.raises(ReplicaError, match="busy: nothing of unquarantine is possible"):
        busy(replica, dice, kinds=["unquarantine"])
    with pytest.raises(ReplicaError, match="unknown kind 'explode'; known: release, create"):
        busy(replica, dice, kinds=["explode"])


def test_random_events_over_http(replica: Handle) -> None:
    entries = replica.busy(Dice(5), 20, classifier=PLONE)
    assert entries == json.loads(get(replica.url, "/_replica/events").body)
    assert len(entries) == 20


async def test_publishing_by_itself() -> None:
    """Events come one after the other, as the seed says, at the times of the clock."""
    replica = world()
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    task = asyncio.create_task(publish(replica, 60_000, lambda: moment))
    async with asyncio.timeout(30):
        while len(replica.journal) < 30:
            await asyncio.sleep(0.001)
    task.cancel()
    other, dice = world(), Dice(7, "publish")
    for _ in replica.journal:
        other.happen([busy(other, dice)])
    assert replica.journal == other.journal
    published = [
        release.uploaded
        for name in replica.touched()
        if (project := replica.project(name))
        for release in project.releases
        if release.serial
    ]
    assert set(published) == {int(moment.timestamp()) * 1_000_000}
