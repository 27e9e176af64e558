"""Opening a store: what fails here mixes facts of two sources, or ends in a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

import pyf_scrapy
from pyf_scrapy.exceptions import OtherStoreError, StoreError
from pyf_scrapy.store import Store, schema

from .databases import columns, execute, one_line
from .samples import check

CHECKOUT = Path(pyf_scrapy.__file__).parents[1]


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """Of a store that is not there yet."""
    return new_url()


def test_another_pypi_is_refused(store: Store, url: str) -> None:
    """Serials of two indexes cannot be compared: everything would be wrong afterwards."""
    store.record_checks([check("a")])
    with pytest.raises(OtherStoreError) as error:
        Store(url, pypi_url="http://127.0.0.1:8000")
    message = one_line(error)
    assert error.value.exit_code == 2
    assert "https://pypi.org" in message
    assert "http://127.0.0.1:8000" in message
    assert "PYPI_URL" in message


def test_the_same_pypi_is_not(store: Store, url: str) -> None:
    for same in ("https://pypi.org/", "https://pypi.org", None):
        Store(url, pypi_url=same).close()


def test_one_opened_to_be_read_cannot_be_written(store: Store, url: str) -> None:
    """Whoever serves it to strangers must not be able to change it, whatever they find."""
    store.record_checks([check("a")])
    with Store(url, read_only=True) as reader:
        assert reader.project("a") is not None
        with pytest.raises(StoreError, match="read only"):
            reader.record_checks([check("b")])
    assert store.project("b") is None


def test_the_first_pypi_named_is_remembered(url: str) -> None:
    """But a mistyped one that never answered does not bind the folder."""
    Store(url).close()
    Store(url, pypi_url="https://typo.example").close()
    with Store(url, pypi_url="https://a.example") as store:
        store.record_checks([check("a")])
    with pytest.raises(OtherStoreError):
        Store(url, pypi_url="https://b.example")
    with Store(url) as store:
        assert store.pypi_url == "https://a.example"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "mysql://host/name",
        "nonsense",
        "",
        "postgresql+nodriver://host/name",
    ],
)
def test_urls_that_cannot_be_used_are_one_line(url: str) -> None:
    with pytest.raises(StoreError) as error:
        Store(url)
    assert "DATABASE_URL" in one_line(error)


def test_a_newer_program_upgrades_and_an_older_one_refuses(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record_checks([check("a")])

    def add_column(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE projects ADD COLUMN vanished_at BIGINT"))

    with monkeypatch.context() as newer:
        newer.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        newer.setitem(schema.MIGRATIONS, schema.SCHEMA_VERSION - 1, add_column)
        for _ in range(2):  # the second time there is nothing to do
            with Store(url) as upgraded:
                assert list(upgraded.iter_serials()) == [("a", 10)]
    execute(url, "SELECT vanished_at FROM projects")
    with pytest.raises(StoreError) as error:
        Store(url)
    message = one_line(error)
    assert f"version {schema.SCHEMA_VERSION + 1}" in message
    assert f"up to {schema.SCHEMA_VERSION}" in message


def test_a_failing_upgrade_changes_nothing(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE projects ADD COLUMN half BIGINT"))
        connection.execute(text("ALTER TABLE nothing ADD COLUMN half BIGINT"))

    before = columns(url)
    with monkeypatch.context() as newer:
        newer.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        newer.setitem(schema.MIGRATIONS, schema.SCHEMA_VERSION - 1, fail)
        with pytest.raises(StoreError) as error:
            Store(url)
        one_line(error)
    Store(url).close()
    assert columns(url) == before


def test_what_is_not_a_store_is_refused_and_left_alone(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    for table in ("CREATE TABLE things (x INTEGER)", "CREATE TABLE meta (a INTEGER)"):
        execute(url, table)
        with pytest.raises(StoreError) as error:
            Store(url)
        assert "holds something else" in one_line(error)
    assert execute(url, "SELECT count(*) FROM things") == [0]


OPEN = """
import sys
from pyf_scrapy.store import Store
sys.stdin.readline()
with Store(sys.argv[1], pypi_url="https://pypi.org") as store:
    print(store.status().projects)
"""


def test_several_processes_may_be_the_first(url: str) -> None:
    number = 4 if url.startswith("sqlite") else 2
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    with ThreadPoolExecutor(len(started)) as pool:
        answers = list(pool.map(lambda process: process.communicate("go\n", timeout=60), started))
    assert answers == [("0\n", "")] * number
