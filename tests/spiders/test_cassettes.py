"""Recorded answers of pypi.org, replayed through the spider's callbacks.

The replica is our idea of PyPI; these are PyPI's own bytes. Recorded anew with RECORD_CASSETTES=1 and
access to pypi.org, after removing tests/spiders/cassettes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import betamax
import pytest
import requests
from scrapy import Request
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes
from scrapy.utils.test import get_crawler

from pyf_scrapy.items import PackageItem
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.project import ProjectSpider
from tests.crawling import Place

CASSETTES = Path(__file__).parent / "cassettes"
RECORD = "once" if os.environ.get("RECORD_CASSETTES") else "none"
KEPT_HEADERS = {"content-type", "etag", "x-pypi-last-serial", "cache-control"}

#: name -> (versions listed, wanted ones without a JSON of their own, the latest, its licence) on 2026-11-21
PACKAGES = {
    "itemadapter": (25, 1, "0.13.1", "BSD-3-Clause"),
    "readme-renderer": (38, 1, "46.0", "Apache-2.0"),
    "typesense": (42, 1, "2.1.1", None),
}


def _keep_few_headers(interaction: Any, cassette: Any) -> None:
    headers = interaction.data["response"]["headers"]
    for name in list(headers):
        if name.lower() not in KEPT_HEADERS:
            del headers[name]


@pytest.fixture
def recorded() -> Iterator[requests.Session]:
    client = requests.Session()
    client.headers["Accept-Encoding"] = "gzip"
    with betamax.Betamax.configure() as configuration:
        configuration.before_record(callback=_keep_few_headers)
    recorder = betamax.Betamax(
        client,
        cassette_library_dir=str(CASSETTES),
        default_cassette_options={"preserve_exact_body_bytes": True, "match_requests_on": ["method", "uri"]},
    )
    with recorder.use_cassette("pypi", record=RECORD, allow_playback_repeats=True):
        yield client
    client.close()


def _answer(client: requests.Session, request: Request) -> Response:
    sent = {str(name): str(value) for name, value in request.headers.to_unicode_dict().items()}
    recorded = client.request(request.method, request.url, headers=sent, timeout=30)
    headers = Headers(
        {name: recorded.headers[name] for name in recorded.headers if name.lower() in KEPT_HEADERS}
    )
    kind = responsetypes.from_args(headers=headers, url=recorded.url, body=recorded.content)
    return kind(
        recorded.url, status=recorded.status_code, headers=headers, body=recorded.content, request=request
    )


async def test_the_spider_understands_pypi_itself(
    tmp_path: Path, empty_index: Server, recorded: requests.Session
) -> None:
    place = Place(tmp_path, "https://pypi.org", empty_index)
    crawler = get_crawler(ProjectSpider, dict(place.settings()))
    spider = ProjectSpider.from_crawler(
        crawler, names=",".join(PACKAGES), collection="cassettes", releases="2"
    )
    await spider.session.open()

    async def fetch(request: Request) -> Response:
        return _answer(recorded, request)

    spider.pypi.fetch = fetch
    try:
        items = await _items(spider, recorded)
    finally:
        await spider.session.close()
    assert set(items) == set(PACKAGES)
    for name, (listed, partial, latest, licence) in PACKAGES.items():
        item = items[name]
        assert item.project is not None
        assert item.project.files is not None
        assert len(item.project.files) == listed
        assert item.serial > 40_000_000
        assert item.releases[0].version == item.project.version == latest
        assert [release.partial for release in item.releases] == [False, *[True] * partial]
        assert item.releases[0].metadata.license_expression == licence
        assert item.releases[0].metadata.description
        assert item.releases[0].upload_time


async def _items(spider: ProjectSpider, client: requests.Session) -> dict[str, PackageItem]:
    items = {}
    async for request in spider.requests():
        assert request.callback is not None
        response = await asyncio.to_thread(_answer, client, request)
        async for item in request.callback(response, **request.cb_kwargs):
            items[item.normalized_name] = item
    return items
