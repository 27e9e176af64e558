"""Answers that PyPI may give one day, or gives wrongly: they must neither lose a package nor be believed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.http import Response
from scrapy.utils.test import get_crawler

from pyf_scrapy.exceptions import FetchError, ParseError
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.project import ProjectSpider
from pyf_scrapy.sync.staleness import Promise
from tests.crawling import Place

BASE = "http://pypi.example"
NAME = "grove-lantern"


def info(version: str = "1.1") -> dict[str, Any]:
    return {
        "name": "Grove.Lantern",
        "version": version,
        "classifiers": ["Framework :: Plone"],
        "summary": version,
    }


def file(version: str) -> dict[str, Any]:
    return {"filename": f"grove_lantern-{version}.tar.gz", "upload_time_iso_8601": "2026-01-02T03:04:05Z"}


def project(**other: Any) -> dict[str, Any]:
    releases = {version: [file(version)] for version in ("1.0", "1.1")}
    return {"info": info(), "last_serial": 70, "releases": releases, "urls": []} | other


def page(*versions: str, serial: int | None = 70) -> dict[str, Any]:
    files = [
        {"filename": f"grove_lantern-{version}.tar.gz", "url": f"{BASE}/f", "hashes": {}}
        for version in versions
    ]
    meta = {"api-version": "1.4"} | ({} if serial is None else {"_last-serial": serial})
    return {"meta": meta, "name": NAME, "versions": list(versions), "files": files}


class PyPI:
    """Answers by path; anything else is a 404."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, request: Request) -> Response:
        path = request.url.removeprefix(BASE)
        self.asked.append(path)
        return self.answer(path)

    def answer(self, path: str, **headers: str) -> Response:
        body = self.answers.get(path)
        status = 404 if body is None else 200
        return Response(BASE + path, status=status, headers=headers, body=json.dumps(body).encode())


@pytest.fixture
async def spider(tmp_path: Path, empty_index: Server) -> AsyncIterator[ProjectSpider]:
    place = Place(tmp_path, BASE, empty_index)
    crawler = get_crawler(ProjectSpider, dict(place.settings()))
    spider = ProjectSpider.from_crawler(crawler, names=NAME, profile="plone")
    await spider.session.open()
    yield spider
    await spider.session.close()


JSON, PAGE, RELEASE = f"/pypi/{NAME}/json", f"/simple/{NAME}/", f"/pypi/{NAME}/1.0/json"


async def collect(spider: ProjectSpider, pypi: PyPI, promised: int | None = None, **headers: str) -> Any:
    spider.pypi.fetch = pypi
    collected = await spider.collector.collect(pypi.answer(JSON, **headers), Ask(NAME, Promise(promised)))
    return collected.item


async def test_a_project_json_without_releases_takes_them_from_the_simple_page(spider: ProjectSpider) -> None:
    body = project()
    del body["releases"]
    pypi = PyPI(**{JSON: body, PAGE: page("1.0", "1.1"), RELEASE: {"info": info("1.0"), "urls": []}})
    item = await collect(spider, pypi)
    assert [(release.version, release.metadata.summary) for release in item.releases] == [
        ("1.1", "1.1"),
        ("1.0", "1.0"),
    ]
    assert pypi.asked == [PAGE, RELEASE]


@pytest.mark.parametrize(
    ("body", "headers", "promised", "serial"),
    [
        ({"last_serial": 70}, {}, 99, 70),
        ({"last_serial": "70"}, {}, None, 70),
        ({"last_serial": None}, {"X-PyPI-Last-Serial": "71"}, 99, 71),
    ],
)
async def test_the_serial_is_that_of_the_answer(
    spider: ProjectSpider, body: dict[str, Any], headers: dict[str, str], promised: int | None, serial: int
) -> None:
    """Storing what the index promised instead would mark a stale answer as up to date for ever."""
    pypi = PyPI(**{JSON: project(**body), RELEASE: {"info": info("1.0"), "urls": []}})
    assert (await collect(spider, pypi, promised, **headers)).serial == serial


@pytest.mark.parametrize("headers", [{}, {"X-PyPI-Last-Serial": "no"}])
async def test_an_answer_without_serial_proves_nothing(
    spider: ProjectSpider, headers: dict[str, str]
) -> None:
    with pytest.raises(FetchError, match="no serial"):
        await collect(spider, PyPI(**{JSON: project(last_serial=None)}), 99, **headers)


async def test_an_old_or_missing_simple_page_takes_no_release_away(spider: ProjectSpider) -> None:
    release = {RELEASE: {"info": info("1.0"), "urls": []}}
    await collect(spider, PyPI(**{JSON: project()} | release))
    body = project(last_serial=71)
    del body["releases"]
    for answers in ({}, {PAGE: page("1.1", serial=70)}):
        item = await collect(spider, PyPI(**{JSON: body} | release | answers))
        assert [release.version for release in item.releases] == ["1.1", "1.0"]


async def test_an_answer_about_another_project_is_not_believed(spider: ProjectSpider) -> None:
    with pytest.raises(FetchError, match="about 'other'"):
        await collect(spider, PyPI(**{JSON: project(info=info() | {"name": "Other"})}))


async def test_a_404_is_believed_only_if_the_simple_page_agrees(spider: ProjectSpider) -> None:
    with pytest.raises(FetchError, match="no such project"):
        await collect(spider, PyPI())
    with pytest.raises(FetchError, match="although"):
        await collect(spider, PyPI(**{PAGE: page("1.0")}))
    with pytest.raises(FetchError, match="no serial"):
        await collect(spider, PyPI(**{PAGE: page(serial=None)}))
    item = await collect(spider, PyPI(**{PAGE: page(serial=5)}))
    assert (item.status, item.serial, item.project) == ("empty", 5, None)


async def test_a_redirect_is_named_and_not_followed(spider: ProjectSpider) -> None:
    moved = Response(BASE, status=301, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(FetchError, match="elsewhere"):
        await spider.collector.collect(moved, Ask(NAME))


async def test_what_is_no_json_is_an_error_of_the_package(spider: ProjectSpider) -> None:
    with pytest.raises(ParseError):
        await spider.collector.collect(Response(BASE, body=b"<html>"), Ask(NAME))
