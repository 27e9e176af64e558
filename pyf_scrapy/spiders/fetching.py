"""PyPI's addresses, and the requests that a callback makes beside the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Response
from scrapy.settings import BaseSettings
from w3lib.url import safe_url_string

from pyf_scrapy.environment import ceiling
from pyf_scrapy.exceptions import FetchError
from pyf_scrapy.parsers.project_json import parse_release
from pyf_scrapy.parsers.provenance import Publisher, parse_provenance
from pyf_scrapy.parsers.records import ReleaseRecord
from pyf_scrapy.parsers.simple_index import SimplePage, parse_simple_page

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"

#: Largest simple index that is read, in bytes (47 MB in 2026).
LARGEST_INDEX = 250 * 1024 * 1024

INDEX_TIMEOUT = 600.0  # seconds


def pypi_slot(settings: BaseSettings) -> dict[str | None, dict[str, float]]:
    """The entry of DOWNLOAD_SLOTS that keeps PYPI_MAX_RPS: one figure for the whole process."""
    url, given = str(settings["PYPI_URL"]), settings.get("PYPI_MAX_RPS")
    rate = ceiling(url, None if given is None else float(given))
    concurrency = settings.getint("PYPI_CONCURRENCY")
    slot = {"concurrency": concurrency, "delay": 1 / rate if rate else 0, "jitter": 0}
    return {urlsplit(url).hostname: slot}


Fetch = Callable[[Request], Awaitable[Response]]


class InlineFetch:
    """Fetches outside the scheduler but through all downloader middlewares, `concurrency` at a time.

    What still waits when the crawl stops is given up: the next run fetches it.
    """

    def __init__(self, crawler: Crawler, concurrency: int, stopping: Callable[[], bool]) -> None:
        self.crawler = crawler
        self.stopping = stopping
        self._slots = asyncio.Semaphore(concurrency)

    async def __call__(self, request: Request) -> Response:
        """Raises FetchError if there is no answer."""
        async with self._slots:
            if self.stopping():
                raise FetchError("the crawl is stopping", transport=True)
            try:
                return await self.crawler.engine.download_async(request)
            except Exception as error:  # any download handler's own error: no answer
                raise no_answer(error) from error


class PyPI:
    """The documents of one PyPI at `base` (no trailing slash), fetched with `fetch`.

    Names go in normal form: anything else costs a redirect.
    """

    def __init__(self, base: str, fetch: Fetch) -> None:
        self.base = safe_url_string(base.rstrip("/"))
        self.fetch = fetch

    def project_url(self, normalized_name: str) -> str:
        return f"{self.base}/pypi/{quote(normalized_name, safe='')}/json"

    async def project(self, normalized_name: str) -> Response:
        """A project's JSON, unread. Raises FetchError for anything but an answer about it."""
        response = await self.fetch(Request(self.project_url(normalized_name)))
        expect_ok(response)
        return response

    async def index(self, etag: str | None) -> Response:
        """The simple index, or its 304 when `etag` still holds. Raises FetchError for anything else.

        Its body may be packed, as Content-Encoding says.
        """
        request = Request(
            f"{self.base}/simple/",
            headers={"Accept": SIMPLE_JSON, **_if_none_match(etag)},
            meta={
                "download_maxsize": LARGEST_INDEX,
                "download_packed": True,
                "download_timeout": INDEX_TIMEOUT,
                "autothrottle_dont_adjust_delay": True,  # it is large, not slow
            },
        )
        return await self._conditional(request, etag)

    async def feed(self, path: str, etag: str | None) -> Response:
        """One of PyPI's feeds ("/rss/updates.xml"), or its 304. Raises FetchError for anything else."""
        return await self._conditional(Request(f"{self.base}{path}", headers=_if_none_match(etag)), etag)

    async def _conditional(self, request: Request, etag: str | None) -> Response:
        try:
            response = await self.fetch(request)
            if not (response.status == 304 and etag):
                expect_ok(response)
        except FetchError as error:
            raise FetchError(f"cannot read {request.url}: {error}") from error
        return response

    async def simple_page(self, normalized_name: str) -> SimplePage | None:
        """A project's page of the simple index, None for a 404. Raises FetchError, ParseError."""
        response = await self.simple_answer(normalized_name, None)
        return None if response.status == 404 else parse_simple_page(response.body)

    async def simple_answer(self, normalized_name: str, etag: str | None) -> Response:
        """The answer for a project's page: 200, 404, or 304 when `etag` still holds. Raises FetchError."""
        url = f"{self.base}/simple/{quote(normalized_name, safe='')}/"
        response = await self.fetch(Request(url, headers={"Accept": SIMPLE_JSON, **_if_none_match(etag)}))
        if response.status != 404 and not (response.status == 304 and etag):
            expect_ok(response)
        return response

    async def provenance(self, normalized_name: str, version: str, filename: str) -> tuple[Publisher, ...]:
        """Who published a file, as PyPI attests it (PEP 740); nobody for a 404.

        Raises FetchError, ParseError.
        """
        parts = "/".join(quote(part, safe="") for part in (normalized_name, version, filename))
        response = await self.fetch(Request(f"{self.base}/integrity/{parts}/provenance"))
        if response.status == 404:
            return ()
        expect_ok(response)
        return parse_provenance(response.body)

    async def release(self, normalized_name: str, version: str) -> ReleaseRecord | None:
        """A release by its own JSON, None for a real 404. Raises FetchError, ParseError."""
        name, version = quote(normalized_name, safe=""), quote(version, safe="")
        response = await self.fetch(Request(f"{self.base}/pypi/{name}/{version}/json"))
        if response.status == 404:
            return None
        expect_ok(response)
        return parse_release(response.body)


def etag_of(response: Response) -> str | None:
    """The ETag of an answer."""
    return (response.headers.get("ETag") or b"").decode("latin-1") or None


def _if_none_match(etag: str | None) -> dict[str, str]:
    return {"If-None-Match": etag} if etag else {}


def expect_ok(response: Response) -> None:
    """Raise FetchError unless the status is 200."""
    if response.status in {301, 302, 307, 308}:
        target = (response.headers.get("Location") or b"").decode("latin-1")[:200]
        raise FetchError(f"HTTP {response.status}: it redirects to {target!r}, which is not followed")
    if response.status != 200:
        # 403 or 429 for everything is as good as no answer; 404 and 410 are one.
        raise FetchError(f"HTTP {response.status}", transport=response.status not in {404, 410})


def no_answer(error: BaseException | None) -> FetchError:
    """The FetchError of a failed download, with the error's kind and first line.

    An answer that was refused, because it is too large as it is or unpacked, is one all the same.
    """
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    refused = isinstance(error, IgnoreRequest | DownloadCancelledError)
    return FetchError(f"{name}: {lines[0][:200]}" if lines else name, transport=not refused)
