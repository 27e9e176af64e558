"""A small replica, crawled into a real index, and the application that serves it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.catalogue import Catalogue
from pyf_scrapy.web.site import Site, opened_site
from tests.conftest import drop_all
from tests.crawling import Place

PLONE = "Framework :: Plone"
OPTIONS = Options(
    projects=60,
    members={"plone": 30, "django": 3},
    only_members=True,
    most_releases=6,
    empty=0,
    missing=0,
    now=datetime.now(UTC),  # what is news is so by the clock
)


def released(name: str, version: str, **more: Any) -> dict[str, Any]:
    """The event of a release of a Plone package; the values of `info` with it."""
    own = ("requires_python", "kinds", "classifiers", "files")
    taken: dict[str, Any] = {key: more.pop(key) for key in own if key in more}
    event = "create" if more.pop("new", False) else "release"
    return {
        "event": event,
        "project": name,
        "version": version,
        "classifiers": [PLONE, f"{PLONE} :: 6.0"],
        **taken,
        "info": more,
    }


#: Packages of which the tests know what they say.
KNOWN = (
    released(
        "Pyf.Base",
        "1.0",
        new=True,
        author="Grace Hopper",
        keywords="Engine,difference",
        requires_python=">=3.9,<3.13",
        requires_dist=["setuptools"],
    ),
    released(
        "Pyf.Base",
        "2.0",
        author="Ada Lovelace",
        author_email="Ada <ada@example.org>, grace@example.org",
        keywords="Engine",
        requires_python=">=3.9",
        project_urls={"Source": "https://github.com/Pyf-Org/pyf.base"},
        summary="The base <of> all & more",
    ),
    released("Pyf.Base", "2.1", author="Ada Lovelace", keywords="Engine", requires_python=">=3.11"),
    {"event": "yank", "project": "Pyf.Base", "version": "2.1", "reason": "broken <b>\u2028"},
    released("Pyf.Base", "3.0rc1", author="Ada Lovelace", requires_python=">=3.12"),
    released("plone.api", "1.0", new=True),
    released("plone.api", "2.0"),
    released(
        "plone.api",
        "2.5",
        author="Ada Lovelace",
        project_urls={"Source": "https://github.com/plone/plone.api"},
    ),
    released(
        "collective.easyform",
        "4.0",
        new=True,
        author="Ada Lovelace",
        maintainer="Old Man",
        keywords="forms",
        requires_dist=["plone.api>=2"],
        requires_python=">=3.10",
        summary="Forms",
    ),
    released("pyf-old", "1.0", new=True, requires_dist=["Pyf_Base<2", "pyf.other"], maintainer="Old Man"),
    released("pyf-new", "1.0", new=True, requires_dist=['pyf.base>=2,<4; extra == "x"', "nonsense ((("]),
    released("pyf-any", "1.0", new=True, requires_dist=["PYF-BASE"], requires_python=">=3.6,!!"),
)


@dataclass
class Filled:
    """A replica, what was crawled of it, and the application."""

    place: Place
    replica: Handle
    site: Site
    app: FastAPI

    def publish(self, *events: dict[str, Any]) -> None:
        """Let events happen, and bring the index up to date."""
        self.replica.event(*events)
        asyncio.run(crawl(self.place))

    def client(self) -> httpx.AsyncClient:
        """A client of the application, which is asked without a network."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@contextmanager
def replica_served(folder: Path, server: Server, **settings: Any) -> Iterator[Filled]:
    """Crawl Plone's and Django's packages of a replica in which KNOWN has happened, and serve them.

    `settings` are further ones. The collections of the search server are dropped before and after.
    """
    with running_replica(OPTIONS) as replica:
        place = Place(folder, replica.url, server, {"SERVE_RATE": 0, **settings})
        replica.event(*KNOWN)
        with place.connection() as connection:
            drop_all(connection)
        asyncio.run(crawl(place))
        with opened_site(place.settings(), load_profiles()) as site:
            app = create_app(site)
            app.state.catalogue = Catalogue(site, patience=0)
            yield Filled(place, replica, site, app)
        with place.connection() as connection:
            drop_all(connection)


async def crawl(place: Place) -> None:
    """Bring the index up to date."""
    crawled = await place.crawl("pypi", profile="plone,django")
    assert crawled.outcome.exit_code == 0


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve an application over HTTP, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
