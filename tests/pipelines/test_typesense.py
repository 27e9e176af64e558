"""An item is done when the index has it: what is refused, overtaken or unreachable must not look done."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.batches import Batch, Batcher, Entry, Result
from pyf_scrapy.search.changes import change
from pyf_scrapy.search.embedded import Server, embedded_server
from pyf_scrapy.search.schema import schema
from tests.crawling import Place, true_documents

PLONE = "Framework :: Plone"
SMALL = Options(projects=40, members={"plone": 8}, only_members=True, most_releases=6)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


async def test_rejected_documents_are_named_counted_and_sent_again(place: Place, replica: Handle) -> None:
    refusing = schema("plone-1")
    for field in refusing["fields"]:
        if field["name"] == "summary":
            field["type"] = "int64"
    with place.connection() as connection:
        connection.client.api_call.post("/collections", dict, body=refusing)
        connection.client.api_call.put("/aliases/plone", dict, body={"collection_name": "plone-1"})
    crawled = await place.crawl("pypi", profile="plone")
    documents = true_documents(replica.replica, PLONE)
    assert crawled.outcome.exit_code == 1
    assert crawled.figures["documents_rejected"] == len(documents)
    assert crawled.figures["packages_indexed"] == 0
    with place.store() as store:
        failures = store.failures()
        assert {failure.stage for failure in failures} == {"index"}
        assert {failure.normalized_name for failure in failures} == set(replica.replica.members(PLONE))
        assert "summary" in failures[0].reason
    with place.connection() as connection:
        connection.client.api_call.delete("/collections/plone-1", dict)
    healed = await place.crawl("pypi", profile="plone")
    assert healed.outcome.exit_code == 0
    assert set(place.documents("plone")) == documents
    with place.store() as store:
        assert store.failures() == []


async def test_a_search_server_that_dies_is_one_line_and_the_next_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "external"
    with running_replica(SMALL, latency=0.02) as replica:
        with embedded_server(folder, linger=60) as server:
            place = Place(tmp_path / "data", replica.url, server, {"TYPESENSE_TIMEOUT": 5})
            state = supervisor.read_state(folder)
            killing = asyncio.create_task(_kill_after(replica, 15, state["supervisor"]))
            with caplog.at_level(logging.ERROR):
                crawled = await place.crawl("pypi", profile="plone")
            await killing
        assert (crawled.outcome.exit_code, crawled.outcome.reason) == (1, "search_down")
        assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == ["ERROR"]
        with embedded_server(folder, linger=0.2) as server:
            place = Place(tmp_path / "data", replica.url, server)
            assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
            assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def _kill_after(replica: Handle, requests: int, pid: int) -> None:
    while (await asyncio.to_thread(replica.statistics))["total"] < requests:
        await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


async def test_the_embedded_server_may_be_killed_in_the_middle(tmp_path: Path, replica: Handle) -> None:
    place = Place(
        tmp_path / "data",
        replica.url,
        Server("", 8108, "http", ""),
        {"TYPESENSE_HOST": None, "TYPESENSE_API_KEY": None, "TYPESENSE_LINGER": 0.2},
    )
    await place.crawl("pypi", profile="plone", limit="5")
    with embedded_server(tmp_path / "data" / "typesense", linger=0.2):
        state = supervisor.read_state(tmp_path / "data" / "typesense")
        os.kill(state["pid"], signal.SIGKILL)
        crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 0
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_a_server_that_was_started_anew_is_not_filled_again(
    tmp_path: Path, replica: Handle, gone: Callable[..., bool]
) -> None:
    place = Place(
        tmp_path / "data",
        replica.url,
        Server("", 8108, "http", ""),
        {"TYPESENSE_HOST": None, "TYPESENSE_API_KEY": None, "TYPESENSE_LINGER": 0.2},
    )
    await place.crawl("pypi", profile="plone")
    assert gone(tmp_path / "data" / "typesense", 30.0)
    again = await place.crawl("pypi", profile="plone")
    assert (again.figures["passed_on"], again.figures["documents_sent"]) == (0, 0)


def test_older_facts_never_reach_the_index(place: Place) -> None:
    """Two spiders side by side: the one that was overtaken keeps its documents to itself."""
    with place.store() as store, place.connection() as connection:
        connection.client.api_call.post("/collections", dict, body=schema("plone-1"))
        batch = Batch(store, connection, "plone")
        [result] = batch.send([Entry.of("x", 7, change([{"id": "x==1"}], {}))])
        assert result.superseded
        assert result.stored == 0
        assert store.indexed("plone", ["x"]) == {}


async def test_a_batch_is_sent_when_it_is_full_and_when_it_has_waited() -> None:
    sent: list[int] = []

    def send(entries: Any) -> list[Result]:
        sent.append(len(entries))
        return [Result(stored=len(entry.lines)) for entry in entries]

    batcher = Batcher(send, documents=3, size=10**6, linger=0.01)
    assert (await batcher.add("one", 1, change([{"id": "a"}, {"id": "b"}], {}))).stored == 2
    await batcher.close()
    assert sent == [1]


async def test_what_comes_while_a_batch_is_under_way_goes_together_as_soon_as_it_is_answered() -> None:
    """Batches in a row cost the search server more than one, and it must not idle while something waits."""
    sent: list[int] = []
    is_answered = threading.Event()

    def send(entries: Any) -> list[Result]:
        sent.append(len(entries))
        is_answered.wait(20)
        return [Result(stored=len(entry.lines)) for entry in entries]

    batcher = Batcher(send, documents=100, size=10**6, linger=0.01)
    adding = []
    for name in ("one", "two", "three"):
        adding.append(asyncio.create_task(batcher.add(name, 1, change([{"id": "a"}], {}))))
        await asyncio.sleep(0.05)  # longer than the linger
    is_answered.set()
    await asyncio.gather(*adding)
    assert sent == [1, 2]
    await batcher.close()


async def test_whoever_waits_for_a_batch_learns_that_it_failed() -> None:
    def send(entries: Any) -> list[Result]:
        raise SearchError("the server is gone")

    batcher = Batcher(send, documents=1, size=10**6, linger=60)
    with pytest.raises(SearchError, match="gone"):
        await batcher.add("one", 1, change([{"id": "a"}], {}))
    await batcher.close()
