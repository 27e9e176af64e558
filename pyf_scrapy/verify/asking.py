"""Asks PyPI about single packages, one request at a time, within the ceilings of the settings."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec

from pyf_scrapy.environment import ceiling
from pyf_scrapy.exceptions import FetchError, ParseError, PyfError
from pyf_scrapy.parsers.project_json import parse_project
from pyf_scrapy.parsers.simple_index import parse_simple_page
from pyf_scrapy.sync.limits import retry_after
from pyf_scrapy.verify.pypi import Said

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_CONNECT_TIMEOUT = 10.0  # seconds
_TRIES = 2  # of one request
_FAILURES = 3  # packages in a row without a usable answer: then PyPI is left alone
_PATIENCE = 60.0  # seconds; a server that asks for more is left alone
_NOT_NOW = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_ENCODINGS = frozenset({"", "identity", "gzip"})  # others, and several at once, may unpack to anything


class GivenUpError(PyfError):
    """Raised when PyPI is not asked any more: it fails, or asks to be left alone."""


class _Answer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes


class PyPI:
    """Asks the PyPI of the settings; use it with `async with`.

    Never more requests a second than PYPI_MAX_RPS allows, never before the end of a Retry-After. An answer
    may have DOWNLOAD_MAXSIZE bytes unpacked and take DOWNLOAD_TIMEOUT seconds.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._base = str(settings["PYPI_URL"]).rstrip("/")
        rate = ceiling(self._base, settings.get("PYPI_MAX_RPS"))
        self._interval = 1 / rate if rate else 0.0
        self._backoff = float(settings["PYPI_RETRY_BACKOFF"])
        self._largest = int(settings["DOWNLOAD_MAXSIZE"])
        self._timeout = float(settings["DOWNLOAD_TIMEOUT"])
        self._next = 0.0  # by the monotonic clock: no request before
        self._failures = 0  # packages in a row
        self._http = httpx.AsyncClient(
            headers={"User-Agent": str(settings["USER_AGENT"]), "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_TIMEOUT, self._timeout)),
            follow_redirects=False,
            # Without TLS a context that trusts nobody saves 0.2 s of reading certificates.
            verify=True if self._base.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def __aenter__(self) -> PyPI:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def ask(self, normalized_name: str) -> Said:
        """Both answers about a package. Raises FetchError or ParseError for one that cannot be used,
        GivenUpError when nothing more should be asked."""
        try:
            said = await self._said(normalized_name)
        except (FetchError, ParseError) as error:
            self._failures += 1
            if self._failures < _FAILURES:
                raise
            raise GivenUpError(
                f"{_FAILURES} packages in a row without a usable answer; of {normalized_name}: {error}"
            ) from error
        self._failures = 0
        return said

    async def _said(self, normalized_name: str) -> Said:
        name = quote(normalized_name, safe="")
        answer = await self._asked(f"{self._base}/pypi/{name}/json", "application/json")
        project = None
        if answer.status == 200:
            project = parse_project(answer.body)
            if project.normalized_name != normalized_name:
                raise FetchError(f"the answer is about {project.normalized_name!r}")
            if project.serial is None:
                project = msgspec.structs.replace(project, serial=_serial(answer.headers))
        answer = await self._asked(f"{self._base}/simple/{name}/", _SIMPLE_JSON)
        return Said(project, parse_simple_page(answer.body) if answer.status == 200 else None)

    async def _asked(self, url: str, accept: str) -> _Answer:
        """The answer with status 200 or 404, after a second try. Raises FetchError, GivenUpError."""
        for _ in range(_TRIES):
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + self._interval
            try:
                answer = await self._get(url, accept)
                if answer.status in {200, 404}:
                    return answer
                problem = FetchError(_refusal(answer), transport=answer.status in _NOT_NOW)
                wait = self._told(answer)
            except FetchError as error:
                problem, wait = error, None
            if not problem.transport:
                break
            self._next = max(self._next, time.monotonic() + (self._backoff if wait is None else wait))
        raise problem

    async def _get(self, url: str, accept: str) -> _Answer:
        """Raises FetchError when there is no whole answer."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream("GET", url, headers={"Accept": accept}) as response,
            ):
                if response.status_code == 200:
                    if response.headers.get("Content-Encoding", "").lower() not in _ENCODINGS:
                        raise FetchError("the answer is packed in a way that was not asked for")
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > self._largest:
                            raise FetchError(f"the answer is larger than {self._largest:,} bytes")
                return _Answer(response.status_code, response.headers, bytes(body))
        except TimeoutError:
            raise FetchError(f"no whole answer within {self._timeout:g} s", transport=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = " ".join(str(error).split())[:200]
            raise FetchError(f"{type(error).__name__} {said}".strip(), transport=True) from error

    def _told(self, answer: _Answer) -> float | None:
        """Seconds that the answer asks to wait, None where it does not say. Raises GivenUpError for long."""
        header = answer.headers.get("Retry-After")
        told = None if header is None else retry_after(header.encode("latin-1", "replace"), time.time())
        if told is None or answer.status not in _NOT_NOW:
            return None
        if told > _PATIENCE:
            raise GivenUpError(f"it asks to be left alone for {told:,.0f} s (HTTP {answer.status})")
        return told


def _refusal(answer: _Answer) -> str:
    if answer.status in {301, 302, 303, 307, 308}:
        return f"HTTP {answer.status}: it redirects to another address, which is not followed"
    return f"HTTP {answer.status}"


def _serial(headers: httpx.Headers) -> int | None:
    """The serial of an answer whose body has none."""
    text = headers.get("X-PyPI-Last-Serial", "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
