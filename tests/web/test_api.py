"""The JSON API: what programs are built on. If these fail, they get packages that were not asked for, miss
some, or break on an answer that the description does not promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyf_scrapy.search.embedded import Server
from tests.web.filling import Filled, filled, released

API = "/api/v1/profiles/plone"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, typesense_server: Server) -> Iterator[Filled]:
    with filled(tmp_path_factory.mktemp("api"), typesense_server) as made:
        yield made


async def get(served: Filled, path: str, **options: Any) -> httpx.Response:
    async with served.client() as client:
        return await client.get(path, **options)


async def names(served: Filled, **query: Any) -> list[str]:
    answer = await get(served, f"{API}/packages", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["packages"]]


async def test_first(served: Filled) -> None:
    print((await get(served, "/api/v1/profiles")).text)
    print((await get(served, f"{API}/packages")).text[:2000])
    print((await get(served, f"{API}/packages", params={"specifier": "pyf.base>=2"})).text[:2000])
    print((await get(served, f"{API}/packages", params={"foo": "pyf.base>=2"})).text[:2000])
    print((await get(served, f"{API}/packages/pyf_base")).text[:3000])
    print((await get(served, f"{API}/packages/pyf_base/releases")).text[:3000])
    print((await get(served, "/api/v1/openapi.json")).text[:3000])
