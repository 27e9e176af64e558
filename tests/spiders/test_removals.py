"""What PyPI removed leaves the index, and nothing else does: not in an outage, not by a cache's mistake."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.store import REMOVED, VANISHED
from tests.crawling import Place, true_documents

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=60, members={"plone": 24}, only_members=True, most_releases=4, empty=0)
LATER = 41 * 60  # seconds; when an index cannot be the cached one any more


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def status(place: Place, name: str) -> str:
    with place.store() as store:
        row = store.project(name)
        assert row is not None
        return row.status


def kinds(place: Place, name: str) -> list[str]:
    with place.store() as store:
        return [event.kind for event in store.events() if event.normalized_name == name]


def is_true(place: Place, replica: Handle) -> bool:
    return set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_a_removed_project_leaves_at_once_and_becomes_a_tombstone(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "delete-project", "project": name})
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["vanished"]) == (0, 1)
    assert is_true(place, replica)
    assert status(place, name) == VANISHED
    with place.store() as store:
        assert store.load_package(name) is not None, "its facts stay"
    again = await place.crawl("pypi", profile="plone")
    assert (again.figures["fetched"], again.figures["removed"]) == (0, 0), "the second index came too early"
    now = time.time()
    monkeypatch.setattr("pyf_scrapy.spiders.index.time.time", lambda: now + LATER)
    buried = await place.crawl("pypi", profile="plone")
    assert (buried.figures["removed"], status(place, name)) == (1, REMOVED)
    assert kinds(place, name)[-2:] == ["vanished", "removed"]


async def test_a_quarantined_project_leaves_at_once_and_comes_back(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "quarantine", "project": name})
    await place.crawl("pypi", profile="plone")
    assert not [id_ for id_ in place.documents("plone") if id_.startswith(f"{name}==")]
    replica.event({"event": "unquarantine", "project": name})
    await place.crawl("pypi", profile="plone")
    assert set(place.documents("plone")) == set(before)
    assert "returned" in kinds(place, name)
    assert "recreated" not in kinds(place, name)


async def test_a_recreated_name_is_flagged(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "delete-project", "project": name})
    await place.crawl("pypi", profile="plone")
    replica.event({"event": "create", "project": name, "version": "66.6", "classifiers": [PLONE]})
    await place.crawl("pypi", profile="plone")
    assert is_true(place, replica)
    assert "recreated" in kinds(place, name)
    assert place.documents("plone")[f"{name}==66.6"]["recreated_timestamp"] > 0


async def test_a_name_recreated_between_two_runs_is_flagged(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "delete-project", "project": name})
    replica.event({"event": "create", "project": name, "version": "66.6", "classifiers": [PLONE]})
    await place.crawl("pypi", profile="plone")
    assert is_true(place, replica)
    assert "recreated" in kinds(place, name)


@pytest.mark.parametrize("seen_gone", [True, False])
@pytest.mark.parametrize("seen_outside", [True, False])
async def test_a_version_of_another_project_keeps_nothing_of_the_one_before(
    place: Place, replica: Handle, seen_gone: bool, seen_outside: bool
) -> None:
    """Else users read the old project's README and links under the new one's name."""
    topic = "Topic :: Utilities"
    replica.event({"event": "create", "project": "plone.mine", "version": "0.1", "classifiers": [PLONE]})
    replica.event({"event": "release", "project": "plone.mine", "version": "0.2"})
    await place.crawl("pypi", profile="plone")
    replica.event({"event": "delete-project", "project": "plone.mine"})
    if seen_gone:
        await place.crawl("pypi", profile="plone")
    replica.event({"event": "create", "project": "plone-mine", "version": "0.1", "classifiers": [topic]})
    if seen_outside:
        await place.crawl("pypi", profile="plone")
    replica.event(
        {"event": "reclassify", "project": "plone-mine", "version": "0.2.0", "classifiers": [PLONE, topic]}
    )
    await place.crawl("pypi", profile="plone")
    document = place.documents("plone")["plone-mine==0.1"]
    assert document["classifiers"] == [topic]
    assert document["package_url"].endswith("/plone-mine/")


async def test_a_404_alone_removes_nothing(place: Place, replica: Handle) -> None:
    """One lane that lies, with the index or the page against it, is a cache's mistake."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    replica.faults([{"match": name, "fault": "status-404"}])
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.figures["gone"] == 1
    assert place.documents("plone") == before
    replica.faults([])
    await place.crawl("pypi", profile="plone")
    assert is_true(place, replica)


async def test_an_index_that_lacks_a_living_project_removes_nothing(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "quarantine", "project": name})
    # The index lacks it, but its JSON does not say that it is gone.
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "status-503"}])
    crawled = await place.crawl("pypi", profile="plone", settings={"PYPI_MAX_RETRIES": 0})
    assert crawled.outcome.exit_code == 3
    assert place.documents("plone") == before


async def test_too_many_removals_at_once_are_refused(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    for name in replica.replica.members(PLONE)[:12]:
        replica.event({"event": "delete-project", "project": name})
    for number in range(12):  # the index stays as large as it was
        replica.event({"event": "create", "project": f"filler-{number}", "version": "1.0"})
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 1
    assert set(place.documents("plone")) == set(before)
    accepted = await place.crawl("pypi", profile="plone", accept_removals="1")
    assert (accepted.outcome.exit_code, accepted.figures["vanished"]) == (0, 12)
    assert is_true(place, replica)


async def test_an_index_that_is_much_smaller_is_refused(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    for name in replica.replica.names()[:15]:
        replica.event({"event": "delete-project", "project": name})
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["index_refused"]) == (1, 1)
    assert place.documents("plone") == before
    accepted = await place.crawl("pypi", profile="plone", accept_removals="1")
    assert accepted.outcome.exit_code == 0
    assert is_true(place, replica)
