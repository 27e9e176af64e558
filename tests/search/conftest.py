"""A real Typesense server for the tests of the search: one for the session, on a temporary folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.search import supervisor
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.embedded import Server, embedded_server


def gone(folder: Path, *, within: float = 30.0) -> bool:
    """Return whether supervisor and server of the folder end within so many seconds."""
    deadline = time.monotonic() + within
    while supervisor.is_supervised(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="session")
def typesense_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Typesense with an empty index, shared by all tests: use names of your own."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path_factory.mktemp("typesense")
    with embedded_server(folder, linger=0.5) as server:
        yield server
    assert gone(folder)
