"""A small replica that runs for the whole session, and a client that shows answers as they travel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


class Received(NamedTuple):
    """One answer, nothing followed, nothing unpacked."""

    status: int
    headers: HTTPMessage
    body: bytes


def get(url: str, path: str, timeout: float = 10, **headers: str) -> Received:
    """GET with the given headers (`if_none_match=` for If-None-Match)."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Accept-Encoding": "identity", **names})
        response = connection.getresponse()
        return Received(response.status, response.headers, response.read())
    finally:
        connection.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[Handle]:
    """A replica that no test changes."""
    with running_replica(Options(projects=1200, seed=3)) as handle:
        yield handle


@pytest.fixture
def replica() -> Iterator[Handle]:
    """A replica of the test's own."""
    with running_replica(Options(projects=200, members={"plone": 20})) as handle:
        yield handle


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded answers."""
    folder = Path(os.environ.get("PYF_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no recorded answers: set PYF_REAL_DATA to their folder")
    return folder
