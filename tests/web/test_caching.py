"""What is dear to compute: without these each visitor pays for it, or the site stands still meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.status import overview
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.caching import FAILED, Kept
from pyf_scrapy.web.catalogue import Catalogue
from pyf_scrapy.web.site import Site
from tests.web.world import running

#: More than there are threads for requests.
MANY = 60


class Gate:
    """A search server that answers when it is told to, or never."""

    def __init__(self, search: Callable[..., Any], *, broken: bool = False) -> None:
        self._search = search
        self.broken = broken
        self.asked = threading.Event()
        self.open = threading.Event()
        self.calls = 0

    def __call__(self, operation: Callable[..., Any]) -> Any:
        self.calls += 1
        self.asked.set()
        if self.broken:
            raise SearchError("Typesense at http://10.1.2.3 cannot be reached")
        assert self.open.wait(30)
        return self._search(operation)


@asynccontextmanager
async def asking(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A program that asks an application of this site, many things at once."""
    transport = httpx.ASGITransport(create_app(site), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
        yield client


class TestKept:
    def test_it_is_made_anew_when_its_time_is_over(self) -> None:
        now, made = 0.0, itertools.count(1)
        kept = Kept(lambda: next(made), 60, clock=lambda: now)
        assert [kept(), kept()] == [1, 1]
        now = 60.0
        assert kept() == 2

    def test_a_failure_is_not_repeated_for_each_who_asks(self) -> None:
        now, made = 0.0, itertools.count(1)

        def fail() -> None:
            raise SearchError(f"try {next(made)}")

        kept = Kept(fail, 60, clock=lambda: now)
        for _ in range(3):
            with pytest.raises(SearchError, match="try 1"):
                kept()
        now = FAILED
        with pytest.raises(SearchError, match="try 2"):
            kept()

    async def test_all_who_come_meanwhile_get_the_same_result_without_a_thread(self) -> None:
        go_on, made = threading.Event(), itertools.count(1)
        kept = Kept(lambda: go_on.wait(30) and next(made), 0)
        before = threading.active_count()
        waiting = [asyncio.ensure_future(kept.ready()) for _ in range(MANY)]
        await asyncio.sleep(0)
        assert threading.active_count() == before + 1
        waiting.pop().cancel()
        go_on.set()
        assert await asyncio.gather(*waiting) == [1] * (MANY - 1)
        assert await kept.ready() == 2


@pytest.mark.parametrize(
    "path", ["/api/v1/profiles/plone/packages", "/api/v1/profiles", "/feeds/plone/new.atom"]
)
async def test_the_site_answers_while_a_collection_is_read_for_the_first_time(site: Site, path: str) -> None:
    """It takes seconds, and who waits for it must not hold the threads that others need."""
    gate = Gate(site.search)
    async with asking(replace(site, search=gate)) as client:  # type: ignore[arg-type]
        waiting = [asyncio.ensure_future(client.get(path)) for _ in range(MANY)]
        await asyncio.to_thread(gate.asked.wait, 30)
        for other in ("/healthz", "/simple/plone/", "/static/x/site.css"):
            assert (await client.get(other)).status_code == 200
        assert not any(one.done() for one in waiting)
        gate.open.set()
        answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {200}
    assert gate.calls == (2 if path == "/api/v1/profiles" else 1), "each collection was read once"


def test_the_first_visitor_finds_the_collections_read(site: Site) -> None:
    gate = Gate(site.search)
    with running(replace(site, search=gate)) as url:  # type: ignore[arg-type]
        assert gate.asked.wait(30), "nobody has asked for anything"
        assert httpx.get(f"{url}/healthz").text == "ok\n"
        gate.open.set()
        assert httpx.get(f"{url}/api/v1/profiles").status_code == 200
    assert gate.calls == 2, "each collection was read once"


def test_it_can_be_ended_while_it_reads_the_collections(site: Site) -> None:
    gate = Gate(site.search)
    with running(replace(site, search=gate)):  # type: ignore[arg-type]
        assert gate.asked.wait(30)
    gate.open.set()


def test_it_starts_when_the_collections_cannot_be_read(site: Site) -> None:
    gate = Gate(site.search, broken=True)
    with running(replace(site, search=gate)) as url:  # type: ignore[arg-type]
        assert gate.asked.wait(30)
        assert httpx.get(f"{url}/healthz").text == "ok\n"


async def test_a_collection_that_cannot_be_read_is_not_tried_for_each_visitor(site: Site) -> None:
    gate = Gate(site.search, broken=True)
    async with asking(replace(site, search=gate)) as client:  # type: ignore[arg-type]
        answers = [await client.get("/api/v1/profiles/plone/packages") for _ in range(3)]
        assert (await client.get("/healthz")).text == "ok\n"
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].headers["retry-after"] == "10"
    assert gate.calls == 1


def test_a_later_look_that_fails_is_not_repeated_either(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, looks = Catalogue(site, patience=0), 0
    packages = catalogue.packages("plone")

    def broken(collection: str) -> dict[str, bytes]:
        nonlocal looks
        looks += 1
        raise SearchError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(site.store), "index_states", lambda _, collection: broken(collection))
        for _ in range(3):
            with pytest.raises(SearchError, match="gone"):
                catalogue.packages("plone")
        assert looks == 1
    monkeypatch.setattr(catalogue._collection("plone"), "_due", 0.0)
    assert catalogue.packages("plone") is packages


async def test_the_state_of_the_index_is_waited_for_without_a_thread(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, begun, go_on = itertools.count(), threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> Any:
        next(looked)
        begun.set()
        assert go_on.wait(30)
        return overview(*args, **options)

    monkeypatch.setattr("pyf_scrapy.web.state.overview", slow)
    async with asking(site) as client:
        paths = ("/status", "/api/v1/status")
        waiting = [asyncio.ensure_future(client.get(path)) for path in paths for _ in range(MANY)]
        await asyncio.to_thread(begun.wait, 30)
        assert (await client.get("/simple/plone/")).status_code == 200
        go_on.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert next(looked) == 1
