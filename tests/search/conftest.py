"""A folder for the search server of one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import kill_server


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server of the test's own; whatever still runs in it is killed at the end."""
    folder = tmp_path / "typesense"
    folder.mkdir()
    yield folder
    if folder.exists():
        kill_server(folder)
