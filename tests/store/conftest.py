"""A store of one's own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'pyf.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, pypi_url="https://pypi.org") as store:
        yield store
