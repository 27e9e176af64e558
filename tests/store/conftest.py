"""A store of one's own for each test, on each of the databases that a store may be in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.store import Store
from tests.postgresql import Postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Postgresql | None:
    """The server that stores are in, None: files of SQLite."""
    server: Postgresql | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
    return server


@pytest.fixture
def new_url(server: Postgresql | None, tmp_path: Path) -> Callable[[], str]:
    """A function that returns the URL of another store that is not there yet."""
    if server is not None:
        return server.new_url
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path / f'data{next(numbers)}' / 'pyf.sqlite'}"


@pytest.fixture
def url(server: Postgresql | None, new_url: Callable[[], str]) -> Iterator[str]:
    """The URL of a store without facts, or that is not there yet."""
    if server is None:
        yield new_url()
    else:
        with server.url_of_empty_store() as url:
            yield url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, pypi_url="https://pypi.org") as store:
        yield store
