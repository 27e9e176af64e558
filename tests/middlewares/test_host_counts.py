"""Whoever runs this must be able to say what it costs PyPI: exactly what PyPI would say."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from pyf_scrapy.middlewares.host_counts import HOSTS
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import Place
from tests.middlewares.site import AskingSpider, ask, serving

OPTIONS = Options(projects=40, members={"plone": 6}, only_members=True, most_releases=3, empty=0)
FIGURES = ("requests", "answers", "bytes", "not_modified")


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def figures(stats: dict[str, Any], url: str) -> dict[str, int]:
    return {name: stats.get(f"pyf/hosts/{url.removeprefix('http://')}/{name}", 0) for name in FIGURES}


async def test_the_figures_are_those_of_the_server(place: Place, replica: Handle) -> None:
    """Index, projects and, beside the scheduler, releases; refused ones and those that are tried again."""
    replica.faults(
        [
            {"match": "/pypi/*", "fault": "status-429", "retry_after": 0, "times": 2, "per": "rule"},
            {"match": "/pypi/*", "fault": "status-500", "times": 2, "per": "rule"},
        ]
    )
    for _ in ("full", "nothing new"):
        replica.reset()
        crawled = await place.crawl("pypi", profile="plone")
        asked = replica.statistics()
        assert figures(crawled.stats, replica.url) == {
            "requests": asked["total"],
            "answers": asked["total"],
            "bytes": asked["bytes"],
            "not_modified": asked["statuses"].get("304", 0),
        }
    assert asked["statuses"] == {"304": 1}, "the index, and nothing else"


async def test_what_came_counts_also_when_the_rest_did_not(place: Place) -> None:
    async def answer(request: web.Request, number: int) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"x" * 100)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(answer) as site:
        _, crawler = await ask([f"{site.url}/"], PYPI_MAX_RETRIES=0)
    expected = {"requests": 1, "answers": 0, "bytes": 100, "not_modified": 0}
    assert figures(crawler.stats.get_stats(), site.url) == expected


async def test_each_host_by_itself_in_bytes_of_the_wire_and_data_is_none() -> None:
    packed = gzip.compress(b" " * 100_000)

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async def inline(spider: AskingSpider) -> None:
        await spider.fetch(other.url)

    async with serving(answer) as site, serving(answer) as other:
        address = site.url.replace("//", "//me:secret@")
        _, crawler = await ask(["data:,x", f"{site.url}/1", f"{address}/2"], inline)
    stats = crawler.stats.get_stats()
    once = {"requests": 1, "answers": 1, "bytes": len(packed), "not_modified": 0}
    assert figures(stats, other.url) == once
    assert figures(stats, site.url) == {name: 2 * count for name, count in once.items()}
    hosts = {key.split("/")[2] for key in stats if key.startswith(HOSTS)}
    assert hosts == {site.host, other.host}, "nor a password"
