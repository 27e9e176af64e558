"""The store on PostgreSQL, by crawls: what it does not forgive as SQLite does is found here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import typesense

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.batches import Batch, Entry
from pyf_scrapy.search.changes import Change
from pyf_scrapy.search.connection import Connection, TypesenseSettings
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.store import Indexed, Store, UnstorableError, schema
from tests.commands.world import run_in
from tests.crawling import Place
from tests.postgresql import Postgresql

from .databases import columns, execute
from .samples import check

T = TypeVar("T")

OPTIONS = Options(projects=60, members={"plone": 20}, only_members=True, most_releases=6, missing=0)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as replica:
        replica.services(pypistats_limits=False)
        yield replica


@pytest.fixture
def url(postgresql: Postgresql) -> str:
    return postgresql.new_url()


@pytest.fixture
def place(tmp_path: Path, replica: Handle, empty_index: Server, url: str) -> Place:
    services = {"GITHUB_API_URL": replica.github_url, "PYPISTATS_URL": replica.pypistats_url}
    limits = {"GITHUB_REQUEST_DELAY": 0, "PYPISTATS_RATE_LIMIT_DELAY": 0}
    return Place(tmp_path, replica.url, empty_index, {"DATABASE_URL": url, **services, **limits})


async def test_every_spider_and_status_and_verify_work_with_it(place: Place, replica: Handle) -> None:
    first = await place.crawl("pypi", profile="plone")
    assert first.outcome.exit_code == 0
    again = await place.crawl("pypi", profile="plone")
    assert (again.figures["fetched"], again.figures["passed_on"]) == (0, 0)
    first_one, second, third, *_ = replica.replica.members("Framework :: Plone")
    replica.event({"event": "release", "project": first_one}, {"event": "delete-project", "project": second})
    replica.event({"event": "quarantine", "project": third})
    crawls = [
        await place.crawl("rss", profile="plone"),
        await place.crawl("pypi", profile="plone"),
        await place.crawl("project", profile="plone", refresh="1"),
        await place.crawl("github", profile="plone"),
        await place.crawl("pypistats", profile="plone"),
        await place.crawl("health", profile="plone"),
    ]
    assert [crawled.outcome.exit_code for crawled in crawls] == [0] * len(crawls)
    with place.store() as store:
        assert store.failures() == []
        assert store.status("plone").dirty == 0
    assert {path.name for path in place.folder.glob("*.sqlite")} == {"renderings.sqlite"}
    assert run_in(place, "status", "--check") == ExitCode.OK
    # It runs an event loop of its own.
    verified = await asyncio.to_thread(run_in, place, "verify", "-p", "plone", "--offline")
    assert verified == ExitCode.OK


async def test_one_run_of_a_spider_on_all_machines(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a data folder of its own."""
    elsewhere = replace(place, folder=tmp_path / "elsewhere")
    with elsewhere.store() as store:
        store.start_run("pypi", {"profile": "plone"}, 1_800_000_000)
    with elsewhere.running("pypi"):
        crawled = await place.crawl("pypi", profile="plone")
        assert crawled.outcome.exit_code == 75
        assert run_in(place, "queue", "stats") == ExitCode.OK
        assert "pypi profile=plone" in " ".join(capsys.readouterr().out.split())
        assert run_in(place, "status", "--runs") == ExitCode.OK
        assert "running" in capsys.readouterr().out
        assert (await place.crawl("rss", profile="plone")).outcome.exit_code == 0
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0


async def test_what_was_sent_under_a_lost_lock_is_in_doubt(place: Place, postgresql: Postgresql) -> None:
    """Another machine may have taken over and noted newer documents as sent, before these came."""

    class Losing(Connection):
        def retried(self, operation: Callable[[typesense.Client], T]) -> T:
            done = super().retried(operation)
            if isinstance(operation, partial):  # documents were sent
                postgresql.end_locks()
            return done

    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
    documents = place.documents("plone")
    with place.store() as store, Losing(TypesenseSettings.from_settings(place.values)) as connection:
        name = next(store.indexed_names("plone"))
        before = store.indexed("plone", [name])[name].hashes
        delete_all = Change(before=before, shape=store.shape("plone"))
        entry = Entry.of(name, store.revisions([name])[name], delete_all)
        with pytest.raises(StoreError, match="the lock index-plone was lost"):
            await asyncio.to_thread(Batch(store, connection, "plone").send, [entry])
        assert store.indexed("plone", [name]) == {name: Indexed(None, dict.fromkeys(before, b""))}
    assert place.documents("plone").keys() == documents.keys() - before.keys()
    assert (await place.crawl("pypi", profile="plone")).figures["packages_indexed"] == 1
    assert place.documents("plone") == documents


def test_what_cannot_be_stored_costs_itself_only_what_else_fails_ends_the_crawl(url: str) -> None:
    with Store(url) as store:
        for name, value in (("a\x00b", 1), ("set", {1, 2}), ("self", object())):
            with pytest.raises(UnstorableError):
                store.remember(name, value)
        execute(url, "DROP TABLE notes")
        with pytest.raises(StoreError, match="does not exist") as caught:
            store.remember("budget", 1)
        assert type(caught.value) is StoreError


#: What takes away again what each version of the schema added.
ADDED = {
    2: ("DROP TABLE standings", "DROP TABLE indexes", "DROP TABLE feeds", "DROP TABLE dedup"),
    3: ("DROP TABLE repositories", "DROP TABLE links", "DROP TABLE downloads", "DROP TABLE notes"),
    4: ("DROP TABLE queue",),
    5: (
        "DROP INDEX projects_changed",
        "ALTER TABLE projects DROP COLUMN changed",
        "DROP TABLE scores",
        "DELETE FROM meta WHERE key IN ('store_id', 'changes')",
    ),
}


@pytest.mark.parametrize("old", range(1, schema.SCHEMA_VERSION))
def test_stores_of_older_versions_are_opened(url: str, old: int) -> None:
    with Store(url) as store:
        store.record_checks([check("a")])
    now = columns(url)
    for version in range(old + 1, schema.SCHEMA_VERSION + 1):
        execute(url, *ADDED[version])
    execute(url, f"UPDATE meta SET value = '{old}' WHERE key = 'schema_version'")  # noqa: S608
    with Store(url) as store:
        assert list(store.iter_serials()) == [("a", 10)]
    assert columns(url) == now


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Store("postgresql+psycopg://pyf:hush-hush@127.0.0.1:1/pyf", folder=tmp_path)
    assert "postgresql+psycopg://pyf:***@127.0.0.1:1/pyf" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
