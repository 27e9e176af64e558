"""What a user changes about a collection while a follower runs must not be undone by it for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.batches import Batch, Entry
from pyf_scrapy.search.changes import change
from pyf_scrapy.search.schema import schema
from pyf_scrapy.store import Check
from tests.crawling import Place, true_documents

PLONE = "Framework :: Plone"
OPTIONS = Options(
    projects=40,
    members={"plone": 6},
    only_members=True,
    most_releases=5,
    empty=0,
    missing=0,
)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@asynccontextmanager
async def following(place: Place, replica: Handle) -> AsyncIterator[None]:
    """A follower that was opened before, and that ends with the first package that it indexes."""
    await place.crawl("rss", profile="plone")  # what the feeds show already
    replica.reset()
    ends = {"CLOSESPIDER_ITEMCOUNT": 1, "CLOSESPIDER_TIMEOUT": 120}
    follower = asyncio.create_task(place.crawl("rss", profile="plone", follow="1", settings=ends))
    async with asyncio.timeout(150):
        while (await asyncio.to_thread(replica.statistics))["requests"].get("feed", 0) < 2:
            await asyncio.sleep(0.05)
        yield
        ended = await follower
    assert ended.outcome.reason == "closespider_itemcount"


def dirty(place: Place) -> list[str]:
    with place.store() as store:
        row = store.collection("plone")
        assert row is not None
        return list(store.dirty("plone", Profile.from_definition(row.definition)))


async def settled(place: Place, replica: Handle, **settings: Any) -> None:
    """After the next `pypi` the index has what PyPI has."""
    assert (await place.crawl("pypi", profile="plone", settings=settings)).outcome.exit_code == 0
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    verified = await asyncio.to_thread(place.run, "verify", "-p", "plone", "--offline")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_a_follower_keeps_the_releases_that_were_asked_for_meanwhile(
    place: Place, replica: Handle
) -> None:
    await place.crawl("pypi", profile="plone", releases="latest")
    name = replica.replica.members(PLONE)[0]
    async with following(place, replica):
        await place.crawl("pypi", profile="plone", releases="all")
        replica.event({"event": "release", "project": name})
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    assert dirty(place) == []
    await settled(place, replica)


async def test_a_follower_deletes_the_releases_that_nobody_wants_any_more(
    place: Place, replica: Handle
) -> None:
    await place.crawl("pypi", profile="plone", releases="all")
    members = replica.replica.members(PLONE)
    async with following(place, replica):
        await place.crawl("pypi", profile="plone", releases="latest")
        replica.event({"event": "release", "project": members[0]})
    assert len(place.documents("plone")) == len(members)
    assert dirty(place) == []


async def test_a_follower_keeps_the_texts_that_were_asked_for_meanwhile(
    place: Place, replica: Handle
) -> None:
    """Its first package was rendered for less: it is left to the next run; those after it are not."""
    await place.crawl("pypi", profile="plone")
    first, second = replica.replica.members(PLONE)[:2]
    async with following(place, replica):
        await place.crawl("pypi", profile="plone", settings={"DESCRIPTIONS": "all"})
        every = place.documents("plone")
        replica.event({"event": "release", "project": first})
        while dirty(place) != [first]:
            await asyncio.sleep(0.05)
        replica.event({"event": "release", "project": second})
    assert dirty(place) == [first]
    kept = place.documents("plone")
    for id_, document in every.items():
        assert kept[id_].get("description") == document.get("description")
    await settled(place, replica, DESCRIPTIONS="all")


@pytest.mark.parametrize(
    "other", [{"releases": 1}, {"descriptions": "all"}, {"made": 0}, {"server": "another"}]
)
def test_what_was_made_for_another_collection_is_not_sent(place: Place, other: dict[str, Any]) -> None:
    """Between making documents and sending them another run may open the collection anew."""
    profile = load_profiles()["plone"]
    with place.store() as store, place.connection() as connection:
        for name in ("plone-1", "plone-2"):
            connection.client.api_call.post("/collections", dict, body=schema(name))

        def opened(
            releases: int | None = None, descriptions: str = "latest", made: int = 1, **given: Any
        ) -> None:
            where: dict[str, Any] = {"physical": "plone-1", "created_at": 1, "server": connection.identity}
            definition = profile.definition() | {"descriptions": descriptions, "format": made}
            store.open_collection("plone", definition, releases, **(where | given))

        opened()
        [revision] = store.record_checks([Check("x", "x", 1, (PLONE,))])
        assert revision is not None
        batch = Batch(store, connection, "plone")
        made = change([], {"x==1": b"12345678"}, store.shape("plone"))
        opened(**other)
        [result] = batch.send([Entry.of("x", revision, made)])
        assert result.superseded
        opened()
        [result] = batch.send([Entry.of("x", revision, made)])
        assert not result.superseded


def test_what_was_made_before_the_collection_was_made_anew_goes_to_the_new_one(place: Place) -> None:
    """Else a follower would send nothing any more until it is started again."""
    profile = load_profiles()["plone"]
    with place.store() as store, place.connection() as connection:
        for name in ("plone-1", "plone-2"):
            connection.client.api_call.post("/collections", dict, body=schema(name))
        server = connection.identity
        store.open_collection("plone", profile.definition(), None, "plone-1", 1, server)
        [revision] = store.record_checks([Check("x", "x", 1, (PLONE,))])
        assert revision is not None
        made = change([{"id": "x==1", "name": "x"}], {}, store.shape("plone"))
        store.open_collection("plone", profile.definition(), None, "plone-2", 2, server)
        [result] = Batch(store, connection, "plone").send([Entry.of("x", revision, made)])
        assert list(result.rejected) == ["x==1"], "the server looked at it"
        assert not result.superseded
        client = connection.client
        assert client.api_call.get("/collections/plone-1", dict)["num_documents"] == 0
