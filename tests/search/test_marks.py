"""Marks: a search server put back from an older copy must be noticed, and nothing else must look like one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
import typesense
from scrapy import signals
from scrapy.crawler import AsyncCrawlerRunner

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search import marks
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.marks import Marking
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.rss import RssSpider
from pyf_scrapy.spiders.store_spider import StoreSpider
from pyf_scrapy.store import Store
from tests.conftest import kill_server
from tests.crawling import Place

from .corpus import client_of

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=30, members={"plone": 5}, only_members=True, most_releases=3, empty=0, missing=0)
QUIET = (0, 0, 0)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def alone(tmp_path: Path, replica: Handle) -> Iterator[Place]:
    """A place whose search server starts by itself."""
    own = {"TYPESENSE_HOST": None, "TYPESENSE_API_KEY": None, "TYPESENSE_LINGER": 5}
    yield Place(tmp_path / "data", replica.url, Server("", 8108, "http", ""), own)
    kill_server(tmp_path / "data" / "typesense")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/store.sqlite") as store:
        yield store


@pytest.fixture
def client(empty_index: Server) -> Iterator[typesense.Client]:
    client = client_of(empty_index)
    for preset in client.api_call.get("/presets", dict)["presets"]:
        client.api_call.delete(f"/presets/{preset['name']}", dict)
    yield client
    client.api_call.close()


async def did(place: Place) -> tuple[int, int, int]:
    """What a run fetched, passed on and sent."""
    figures = (await place.crawl("pypi", profile="plone")).figures
    return figures["fetched"], figures["passed_on"], figures["documents_sent"]


async def test_an_older_copy_of_the_search_server_is_filled_again_from_the_store(
    alone: Place, replica: Handle
) -> None:
    """Its ids are those that were sent, so that a yanked release would be shown as a good one for ever."""
    folder = alone.folder / "typesense"
    copy = folder.with_name("copy")
    await did(alone)
    kill_server(folder)
    shutil.copytree(folder, copy)
    name = replica.replica.members(PLONE)[0]
    version = replica.replica.project(name).releases[0].version  # type: ignore[union-attr]
    replica.event({"event": "yank", "project": name, "version": version})
    await did(alone)
    held = alone.documents("plone")
    assert held[f"{name}=={version}"]["yanked"]
    assert await did(alone) == QUIET

    kill_server(folder)
    shutil.rmtree(folder)
    copy.rename(folder)
    assert not alone.documents("plone")[f"{name}=={version}"]["yanked"]
    assert await did(alone) == (0, len(replica.replica.members(PLONE)), len(held))
    assert alone.documents("plone") == held
    kill_server(folder)
    assert await did(alone) == QUIET


@pytest.mark.parametrize("is_put_back_later", [True, False], ids=["after the run", "during the run"])
async def test_a_copy_that_was_made_during_a_run_is_an_older_one(
    alone: Place, replica: Handle, is_put_back_later: bool
) -> None:
    """A first crawl takes days, and each night a copy is made of the machine."""
    folder = alone.folder / "typesense"
    copy = folder.with_name("copy")
    await did(alone)
    name = replica.replica.members(PLONE)[2 if is_put_back_later else 3]
    version = replica.replica.project(name).releases[0].version  # type: ignore[union-attr]
    replica.event({"event": "yank", "project": name, "version": version})
    crawler = AsyncCrawlerRunner(alone.settings()).create_crawler("pypi")

    def put_back() -> None:
        kill_server(folder)
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)

    def opened(spider: StoreSpider) -> None:
        kill_server(folder)
        shutil.copytree(folder, copy)

    def indexed(item: PackageItem, spider: StoreSpider) -> None:
        if is_put_back_later:
            spider.end(SearchError("its disk is broken"), reason="search_failed")
        else:
            put_back()

    crawler.signals.connect(opened, signal=signals.spider_opened)
    crawler.signals.connect(indexed, signal=signals.item_scraped)
    await crawler.crawl_async(profile="plone")
    if is_put_back_later:
        put_back()
    assert not alone.documents("plone")[f"{name}=={version}"]["yanked"]
    await did(alone)
    assert alone.documents("plone")[f"{name}=={version}"]["yanked"]


async def test_a_server_that_lost_its_mark_is_filled_again(
    place: Place, client: typesense.Client, replica: Handle
) -> None:
    await did(place)
    assert await did(place) == QUIET
    client.api_call.delete("/presets/pyf-mark-plone", dict)
    assert (await did(place))[1] == len(replica.replica.members(PLONE))


async def test_lanes_side_by_side_do_not_doubt_each_other(place: Place, replica: Handle) -> None:
    await did(place)
    settings = place.settings()
    targets = RssSpider.check_arguments({"profile": "plone"}, settings)
    other = Session("rss", settings, targets, now=date(2026, 1, 1))
    try:
        await other.open()
        replica.event({"event": "release", "project": replica.replica.members(PLONE)[1]})
        fetched, passed_on, sent = await did(place)
        assert (fetched, passed_on) == (1, 0)
        assert sent
        other.mark_sent(["plone"])
        assert await did(place) == QUIET
        other.mark_sent(["plone"])
    finally:
        await other.close()
    assert await did(place) == QUIET


def test_a_mark_is_doubted_when_it_is_another_or_gone(store: Store, client: typesense.Client) -> None:
    first = Marking(store, client, "plone")
    assert not first.is_doubtful
    first.renew()
    old = client.api_call.get("/presets", dict)["presets"][0]
    second = Marking(store, client, "plone")
    assert not second.is_doubtful
    second.renew()
    assert not Marking(store, client, "plone").is_doubtful
    assert not Marking(store, client, "django").is_doubtful
    client.api_call.put("/presets/pyf-mark-plone", dict, body={"value": old["value"]})
    assert Marking(store, client, "plone").is_doubtful
    client.api_call.delete("/presets/pyf-mark-plone", dict)
    assert Marking(store, client, "plone").is_doubtful
    assert client.api_call.get("/collections", list) == []


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_late", [True, False], ids=["after the write", "before the write"])
def test_a_kill_between_the_two_writes_is_no_doubt(
    store: Store, client: typesense.Client, monkeypatch: pytest.MonkeyPatch, is_first: bool, is_late: bool
) -> None:
    if not is_first:
        Marking(store, client, "plone").renew()
    write = marks._write

    def killed(client: typesense.Client, name: str, mark: str) -> bool:
        if is_late:
            write(client, name, mark)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(marks, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            Marking(store, client, "plone").renew()
    again = Marking(store, client, "plone")
    assert not again.is_doubtful
    again.renew()
    assert not Marking(store, client, "plone").is_doubtful


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("refused", ["GET", "PUT"])
def test_a_key_without_the_right_has_no_mark_and_no_doubt(store: Store, status: int, refused: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == refused:
            return httpx.Response(status, json={"message": "no"})
        return httpx.Response(200, json={"presets": []})

    transport = httpx.MockTransport(answer)
    client = client_of(Server("127.0.0.1", 1, "http", "key"), httpx.Client(transport=transport))
    for _ in range(3):
        mark = Marking(store, client, "plone")
        assert not mark.is_doubtful
        mark.renew()
    assert store.marks("plone") == ()
