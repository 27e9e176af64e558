"""One crawl of a small replica for all tests of the application, with a search server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.runner import running_replica
from pyf_scrapy.search.binary import supported
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.site import Site, opened_site
from tests.conftest import kill_server
from tests.crawling import EmbeddedPlace
from tests.web.asking import Client
from tests.web.world import OPTIONS, World, filled, make_hostile, yank


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of this folder: they share a crawl."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]) and not item.get_closest_marker(
            "xdist_group"
        ):
            item.add_marker(pytest.mark.xdist_group("web"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Plone and Django packages with repositories and downloads; the replica is gone by now."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path_factory.mktemp("web") / "data"
    with running_replica(OPTIONS) as handle:
        place = EmbeddedPlace(folder, handle.url)
        yanked = yank(handle)
        asyncio.run(filled(place, handle))
        make_hostile(place)
        replica = handle.replica
    settings = {**place.settings(SERVE_RATE=0.0).copy_to_dict()}
    yield World(place, replica, settings, yanked)
    kill_server(folder / "typesense")


@pytest.fixture(scope="session")
def site(world: World) -> Iterator[Site]:
    """The site of the crawled folder, without a limit of requests."""
    with opened_site(world.settings, load_profiles()) as site:
        yield site


@pytest.fixture(scope="session")
def client(site: Site) -> Client:
    """A program that asks the application, without a network between."""
    return Client(create_app(site))


Get = Callable[..., str]


@pytest.fixture(scope="session")
def get(client: Client) -> Get:
    """The page at a path, which has to be there, as a browser asks for it."""

    def page(path: str, **parameters: object) -> str:
        answer = client.get(path, params=parameters or None, headers={"accept": "text/html"})
        assert answer.status_code == 200, answer.text
        return answer.text

    return page
