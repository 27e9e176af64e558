"""A store of one's own for each test, on each of the databases that a store may be in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.store import Store
from tests.postgresql import Postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """A function that returns the URL of another store that is not there yet."""
    if request.param == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        return server.new_url
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path / f'data{next(numbers)}' / 'pyf.sqlite'}"


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of a store that is not there yet."""
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, pypi_url="https://pypi.org") as store:
        yield store
