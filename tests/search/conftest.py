"""A real Typesense server for the tests of the search: one for the session, on a temporary folder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.search import supervisor
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.embedded import Server, embedded_server


def _gone(folder: Path, within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while supervisor.is_supervised(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _kill(folder: Path) -> None:
    """End what runs in the folder at once, without the seconds of a clean end; the server dies with it."""
    if supervisor.is_supervised(folder):
        os.kill(supervisor.read_state(folder)["supervisor"], signal.SIGKILL)
        assert _gone(folder)


@pytest.fixture(scope="session")
def gone() -> Callable[..., bool]:
    """Return whether supervisor and server of a folder end within so many seconds: `gone(folder, 30.0)`."""
    return _gone


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server of the test's own; whatever still runs in it is killed at the end."""
    folder = tmp_path / "typesense"
    folder.mkdir()
    yield folder
    if folder.exists():
        _kill(folder)


@pytest.fixture(scope="session")
def typesense_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Typesense with an empty index, shared by all tests: use names of your own."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path_factory.mktemp("typesense")
    with embedded_server(folder, linger=0.5) as server:
        yield server
    _kill(folder)
