"""A crawl of PyPI that several tests begin with: it is made once, each test gets what it left."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyf_scrapy.search.administration import list_collections
from pyf_scrapy.search.collections import delete_documents, export_lines, import_documents, read_line
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.search.embedded import Server
from tests.conftest import drop_all
from tests.crawling import Place


class Filled:
    """Makes places in which `crawl pypi` has run: the folder is a copy, the documents are put back.

    The collections stay the same, for a store knows when its collections were made. Where a test has dropped
    them, the crawl is made anew. Tests must not change the replica's packages.
    """

    def __init__(self, folder: Path, pypi_url: str, server: Server, profiles: str) -> None:
        self._folder, self._pypi_url, self._server, self._profiles = folder, pypi_url, server, profiles
        self._crawls = 0
        self._made: dict[str, int] = {}
        self._lines: dict[str, list[bytes]] = {}

    async def place(self, folder: Path) -> Place:
        """A place with `folder`, which is not there yet; the last one's documents are gone with it."""
        place = Place(folder, self._pypi_url, self._server)
        with place.connection() as connection:
            if not self._made or _collections(connection) != self._made:
                drop_all(connection)
                await self._crawl()
                self._made = _collections(connection)
                self._lines = {name: list(export_lines(connection.client, name)) for name in self._made}
            else:
                self._put_back(connection)
        shutil.copytree(self._original, folder)
        return place

    def clear(self) -> None:
        """Leave the server without any collection."""
        with Place(self._folder, self._pypi_url, self._server).connection() as connection:
            drop_all(connection)

    @property
    def _original(self) -> Path:
        return self._folder / f"data{self._crawls}"

    async def _crawl(self) -> None:
        self._crawls += 1
        place = Place(self._original, self._pypi_url, self._server)
        assert (await place.crawl("pypi", profile=self._profiles)).outcome.exit_code == 0

    def _put_back(self, connection: Connection) -> None:
        for name, lines in self._lines.items():
            now = {read_line(name, line)["id"]: line for line in export_lines(connection.client, name)}
            before = {read_line(name, line)["id"]: line for line in lines}
            delete_documents(connection.client, name, sorted(now.keys() - before.keys()))
            changed = [line for id_, line in before.items() if now.get(id_) != line]
            assert not changed or not any(import_documents(connection.client, name, changed))


def _collections(connection: Connection) -> dict[str, int]:
    """When each was made."""
    return {state.name: state.created_at for state in list_collections(connection.client)}
