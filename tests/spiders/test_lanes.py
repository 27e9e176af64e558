"""Traps between the lanes, each seen once: what one run did must not hide something from another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.store import Store
from tests.crawling import Place, true_documents

PLONE, DJANGO = "Framework :: Plone", "Framework :: Django"
OPTIONS = Options(
    projects=60,
    members={"plone": 8, "django": 6},
    only_members=True,
    most_releases=5,
    empty=0,
    missing=0,
)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


async def test_pages_that_cannot_be_read_do_not_keep_others_from_their_turn(
    place: Place, replica: Handle
) -> None:
    await place.crawl("pypi", profile="plone")
    members = replica.replica.members(PLONE)
    replica.faults([{"match": f"/simple/{name}/", "fault": "status-404"} for name in members[:2]])
    for _ in range(4):
        await place.crawl("project", profile="plone", refresh="1", share="1/4")
    with place.store() as store:
        verified = {name for name, known in store.standings(members).items() if known.verified_at}
        assert {row.stage for row in store.failures()} == {"refresh"}
    assert len(verified) >= 5
    replica.faults([])
    await place.crawl("project", profile="plone", refresh="1")
    with place.store() as store:
        assert store.failures() == []


async def test_a_refresh_fetches_what_a_304_would_hide(place: Place, replica: Handle) -> None:
    name = next(n for n in replica.replica.members(PLONE) if len(replica.replica.project(n).releases) > 2)  # type: ignore[union-attr]
    await place.crawl("project", names=name, collection="stack", releases="1")
    await place.crawl("project", refresh="1", collection="stack")
    assert len(place.documents("stack")) == 1
    await place.crawl("project", refresh="1", collection="stack", releases="all")
    assert len(place.documents("stack")) == len(replica.replica.project(name).releases)  # type: ignore[union-attr]


async def test_a_refresh_does_not_hide_a_stuck_project(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    replica.faults([{"match": name, "fault": "stale"}])
    await place.crawl("pypi", profile="plone")
    await place.crawl("project", profile="plone", refresh="1")
    with place.store() as store:
        assert (name, "stale") in {(row.normalized_name, row.stage) for row in store.failures()}


async def test_what_the_feeds_named_is_not_done_for_another_profile(place: Place, replica: Handle) -> None:
    for profile in ("plone", "django"):
        await place.crawl("pypi", profile=profile)
        await place.crawl("rss", profile=profile)
    name = replica.replica.members(DJANGO)[0]
    replica.event({"event": "release", "project": name})
    await place.crawl("rss", profile="plone")  # fetched, and of no profile of this run
    await place.crawl("rss", profile="django")
    assert set(place.documents("django")) == true_documents(replica.replica, DJANGO)


async def test_many_releases_of_one_project_are_one_fetch(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    await place.crawl("rss", profile="plone")
    name = replica.replica.members(PLONE)[0]
    for _ in range(12):
        replica.event({"event": "release", "project": name})
    replica.reset()
    await place.crawl("rss", profile="plone")
    assert replica.statistics()["requests"]["project"] == 1
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_facts_that_cannot_be_read_cost_their_package_only(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    with place.connection() as connection:
        connection.client.api_call.delete("/collections/plone-1", dict)
    broken = replica.replica.members(PLONE)[0]
    load = Store.load_package

    def damaged(store: Store, name: str) -> object:
        if name == broken:
            raise ValueError("a damaged row")
        return load(store, name)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "load_package", damaged)
        crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 3
    with place.store() as store:
        assert [row.normalized_name for row in store.failures()] == [broken]
    held = {id_.split("==")[0] for id_ in place.documents("plone")}
    assert held == set(replica.replica.members(PLONE)) - {broken}


async def test_a_failure_that_is_newer_than_the_index_stays_known(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    await place.crawl("rss", profile="plone")
    replica.event({"event": "create", "project": "plone-not-listed-yet", "version": "1.0"})
    replica.faults([{"match": "plone-not-listed-yet", "fault": "garbage"}])
    await place.crawl("rss", profile="plone")
    replica.faults([{"match": "/simple/", "fault": "stale", "serial_lag": 1}])
    await place.crawl("pypi", profile="plone")
    with place.store() as store:
        assert [row.normalized_name for row in store.failures()] == ["plone-not-listed-yet"]
