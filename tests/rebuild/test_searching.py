"""People search while a collection is made anew, and see nothing of it."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.administration import list_aliases, set_alias
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.keys import create_search_key, delete_key, list_keys
from tests.crawling import Place
from tests.rebuild.test_recreate import PLONE, made_anew
from tests.soak import seed

LARGER = Options(projects=400, members={"plone": 300}, only_members=True, most_releases=12, missing=0)
IN_ONE = 10  # searches of a request
WRITTEN = 5  # packages that get releases meanwhile


def search_key(place: Place) -> str:
    """The value of a key that may search and do nothing else."""
    with place.connection() as connection:
        made = create_search_key(connection.client, ["packages"], "people", now=int(time.time()))
    assert made.value is not None
    return made.value


class People:
    """Search for packages by the alias `packages`, and know what must be found."""

    def __init__(self, place: Place, key: str) -> None:
        self.key = key
        self.url = f"http://{place.server.host}:{place.server.port}/multi_search"
        self.documents: dict[str, set[str]] = {}
        for id_, document in place.documents("packages").items():
            self.documents.setdefault(document["name"], set()).add(id_)
        self.still = sorted(self.documents)[WRITTEN:]
        self.total = sum(map(len, self.documents.values()))
        self.answers = 0
        self.wrong: list[str] = []

    async def search(self, client: httpx.AsyncClient, dice: random.Random) -> None:
        """One request with many searches: of packages that nobody writes, and one of everything."""
        chosen = dice.sample(self.still, IN_ONE - 1)
        searches = [{"q": "*", "filter_by": f"name:=`{name}`", "per_page": 100} for name in chosen]
        searches.append({"q": "*", "per_page": 1})
        answer = await client.post(
            self.url,
            json={"searches": searches},
            params={"collection": "packages", "query_by": "name", "include_fields": "id"},
            headers={"X-TYPESENSE-API-KEY": self.key},
        )
        results = answer.json().get("results", []) if answer.status_code == 200 else []
        if len(results) != IN_ONE:
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
            return
        for name, result in zip(chosen, results[:-1], strict=True):
            found = {hit["document"]["id"] for hit in result.get("hits", [])}
            if found != self.documents[name]:
                self.wrong.append(f"{name}: {found ^ self.documents[name]} {result.get('error', '')}")
        if results[-1].get("found", 0) < self.total:
            self.wrong.append(f"everything: {results[-1]}")
        self.answers += IN_ONE

    async def until(self, stop: asyncio.Event, least: int) -> None:
        """Search from four sides until `stop` is set and there were at least so many answers."""

        async def one(number: int) -> None:
            dice = random.Random(seed() + number)
            async with httpx.AsyncClient(timeout=60) as client:
                while not self.wrong and not (stop.is_set() and self.answers >= least):
                    await self.search(client, dice)

        await asyncio.gather(*map(one, range(4)))


async def searched(place: Place, replica: Handle, *, times: int, least: int) -> tuple[People, int]:
    """Make the collection anew so many times, under searches and writes; how many releases were written."""
    await place.crawl("pypi", profile="plone")
    with place.connection() as connection:
        set_alias(connection.client, "packages", "plone-1")
    people = People(place, search_key(place))
    written = sorted(people.documents)[:WRITTEN]
    stop, writes = asyncio.Event(), 0

    async def write() -> None:
        nonlocal writes
        while not stop.is_set():
            for name in written:
                await asyncio.to_thread(replica.event, {"event": "release", "project": name})
                writes += 1
            crawled: Any = await place.crawl("pypi", profile="plone")
            assert crawled.outcome.exit_code == 0, crawled.outcome

    async def make_anew() -> None:
        try:
            for _ in range(times):
                # In a thread with a loop of its own, as it is a process of its own for a user.
                await asyncio.to_thread(lambda: asyncio.run(made_anew(place, delete_old=True)))
                while people.answers < least * (times - 1) // times and not people.wrong:
                    await asyncio.sleep(0.05)
        finally:
            stop.set()

    await asyncio.gather(people.until(stop, least), write(), make_anew())
    await place.crawl("pypi", profile="plone")
    with place.connection() as connection:
        for key in list_keys(connection.client):
            delete_key(connection.client, key)
        aliases = list_aliases(connection.client)
    assert aliases == dict.fromkeys(("packages", "plone"), f"plone-{times + 1}")
    assert {d.partition("==")[0] for d in place.documents("packages")} == set(replica.replica.members(PLONE))
    return people, writes


async def test_nobody_who_searches_sees_a_collection_being_made_anew(place: Place, replica: Handle) -> None:
    people, writes = await searched(place, replica, times=1, least=1_000)
    assert people.wrong == []
    assert people.answers >= 1_000
    assert writes


@pytest.mark.soak
async def test_nobody_of_a_hundred_thousand_sees_it(tmp_path: Path, empty_index: Server) -> None:
    with running_replica(LARGER) as replica:
        place = Place(tmp_path / "data", replica.url, empty_index)
        people, writes = await searched(place, replica, times=3, least=100_000)
    print(
        f"soak: {people.answers:,} searches by the alias during 3 recreations of {people.total:,} documents "
        f"and {writes} releases: {len(people.wrong)} failed, empty or mixed"
    )
    assert people.wrong == []
