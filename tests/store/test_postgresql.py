"""The store on PostgreSQL, by crawls: what it does not forgive as SQLite does is found here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.store import Store, UnstorableError
from tests.commands.world import run_in
from tests.crawling import Place
from tests.postgresql import program, running_postgresql

pytestmark = pytest.mark.skipif(program("initdb") is None, reason="PostgreSQL is not installed")

OPTIONS = Options(projects=60, members={"plone": 20}, only_members=True, most_releases=6, missing=0)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as replica:
        replica.services(pypistats_limits=False)
        yield replica


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with running_postgresql() as url:
        yield url


@pytest.fixture
def place(tmp_path: Path, replica: Handle, empty_index: Server, database: str) -> Place:
    services = {"GITHUB_API_URL": replica.github_url, "PYPISTATS_URL": replica.pypistats_url}
    limits = {"GITHUB_REQUEST_DELAY": 0, "PYPISTATS_RATE_LIMIT_DELAY": 0}
    return Place(tmp_path, replica.url, empty_index, {"DATABASE_URL": database, **services, **limits})


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
    assert not list(place.folder.glob("*.sqlite"))
    assert run_in(place, "status", "--check") == ExitCode.OK
    # It runs an event loop of its own.
    verified = await asyncio.to_thread(run_in, place, "verify", "-p", "plone", "--offline")
    assert verified == ExitCode.OK


def execute(url: URL, statement: str) -> None:
    """As somebody else, who leaves again."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_what_cannot_be_stored_costs_itself_only_what_else_fails_ends_the_crawl(
    database: str, tmp_path: Path
) -> None:
    url = make_url(database).update_query_dict({"options": "-csearch_path=other"})
    execute(url, "CREATE SCHEMA other")
    with Store(url.render_as_string(), folder=tmp_path) as store:
        with pytest.raises(UnstorableError):
            store.remember("a\x00b", 1)
        execute(url, "DROP TABLE notes")
        with pytest.raises(StoreError, match="does not exist") as caught:
            store.remember("budget", 1)
        assert type(caught.value) is StoreError


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Store("postgresql+psycopg://pyf:hush-hush@127.0.0.1:1/pyf", folder=tmp_path)
    assert "postgresql+psycopg://pyf:***@127.0.0.1:1/pyf" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
