"""Stores on each of the databases, as in tests/store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.store import Store
from tests.store.conftest import new_url, server, store, url

__all__ = ["new_url", "server", "store", "url"]


@pytest.fixture
def copy(new_url: Callable[[], str], store: Store) -> Iterator[Store]:
    """Another store, of the same PyPI."""
    with Store(new_url(), pypi_url=store.pypi_url) as other:
        yield other


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two stores in files: where the database does not matter."""
    with (
        Store(f"sqlite:///{tmp_path / 'a' / 'x'}", pypi_url="https://pypi.org") as one,
        Store(f"sqlite:///{tmp_path / 'b' / 'x'}", pypi_url="https://pypi.org") as other,
    ):
        yield one, other
