"""Whoever counts downloads can be wrong: then no figure may vanish."""

from __future__ import annotations

import pytest
from scrapy import Request
from scrapy.http import Response, TextResponse

from pyf_scrapy.exceptions import SourceError
from pyf_scrapy.spiders.download_sources import ClickPy


class TestEmptyClickPy:
    """A table that is empty, because it is loaded anew, must not make every package look dead."""

    @staticmethod
    def clickpy(bodies: list[str], requests: list[Request]) -> ClickPy:
        async def fetch(request: Request) -> Response:
            requests.append(request)
            return TextResponse(request.url, body=bodies.pop(0), encoding="utf-8")

        return ClickPy("https://example.org", fetch)

    NOTHING = '{"data": []}'
    PIP = '{"data": [{"project": "pip", "day": "2026-11-28", "last_day": "7", "found": "1"}]}'

    async def test_it_is_not_believed(self) -> None:
        source = self.clickpy([self.NOTHING, self.NOTHING], [])
        with pytest.raises(SourceError, match="not even of pip"):
            await source.recent(["kelp", "moor"])

    async def test_packages_that_nobody_downloads_are_asked_about_once(self) -> None:
        requests: list[Request] = []
        source = self.clickpy([self.NOTHING, self.PIP, self.NOTHING], requests)
        assert await source.recent(["kelp"]) == {}
        assert await source.recent(["moor"]) == {}
        assert [b"'pip')" in request.body for request in requests] == [False, True, False]
        assert {request.url for request in requests} == {"https://example.org/?user=demo&default_format=JSON"}
