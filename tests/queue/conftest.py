"""A Valkey server of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.store import Store
from tests.queue.valkey import Valkey


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        yield Path(folder)


@pytest.fixture
def valkey(socket_folder: Path) -> Iterator[Valkey]:
    """A running server without data."""
    server = Valkey(socket_folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'store.sqlite'}") as store:
        yield store
