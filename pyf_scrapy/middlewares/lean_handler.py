"""HTTP for the crawl and no more than it needs: Scrapy's own client is where most of a crawl's time goes.

docs/speed.md has what it gains.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Final

from scrapy import Request
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.crawler import Crawler
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    NotSupported,
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from scrapy.http import Response
from scrapy.utils.httpobj import urlparse_cached

from pyf_scrapy.middlewares.http_connection import (
    Answer,
    CutOffError,
    HttpError,
    Origin,
    OversizeError,
    UnansweredError,
)
from pyf_scrapy.parsers.gunzip import TooLargeError, gunzip

_PORTS: Final = {"http": 80, "https": 443}

#: May be sent twice (RFC 9110, 9.2.2); what is sent otherwise changes something.
_IDEMPOTENT: Final = frozenset({"GET", "OPTIONS"})

_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_ENCODING: Final = b"content-encoding"


class LeanDownloadHandler(BaseDownloadHandler):
    """A download handler for `http` and `https`: HTTP/1.1 over kept connections, answers packed by gzip or
    not at all. No proxies, no cookies, no redirects, no HEAD. A response has the headers of `KEPT` only.

    It raises what Scrapy's own does, and sets `download_latency`. A kept connection that the server has
    closed is replaced once. The number of connections is that of the requests under way, which the
    downloader bounds. Settings and meta keys as in Scrapy: `DOWNLOAD_TIMEOUT` and `download_timeout`,
    `DOWNLOAD_MAXSIZE` and `download_maxsize` (also of what is unpacked), `DOWNLOAD_VERIFY_CERTIFICATES`,
    `USER_AGENT`; with the meta key `download_packed` a body that the server packed stays as it is, and its
    Content-Encoding says so. Signals of handlers are not sent: `received` is told each part of a body.
    """

    def __init__(
        self, crawler: Crawler, received: Callable[[Request, bytes], object] = lambda request, data: None
    ) -> None:
        super().__init__(crawler)
        self.received = received
        settings = crawler.settings
        self.timeout = settings.getfloat("DOWNLOAD_TIMEOUT")
        self.maxsize = settings.getint("DOWNLOAD_MAXSIZE")
        self.defaults = {b"User-Agent": str(settings["USER_AGENT"]).encode(), b"Accept": b"*/*"}
        self.verifies = settings.getbool("DOWNLOAD_VERIFY_CERTIFICATES")
        self._origins: dict[tuple[str, str, int], Origin] = {}

    async def download_request(self, request: Request) -> Response:
        """The answer. Raises Scrapy's exceptions of downloads."""
        meta = request.meta
        timeout = meta.get("download_timeout", self.timeout)
        limit = meta.get("download_maxsize", self.maxsize)
        began = time.monotonic()
        with _scrapys_exceptions(request, timeout):
            async with asyncio.timeout(timeout):
                answer = await self._answer(request, limit)
            meta["download_latency"] = answer.began - began
            if meta.get("download_packed") and answer.status < 300 and _is_packed(answer):
                return Response(request.url, answer.status, answer.headers, answer.body)
            try:
                body = _unpacked(answer, limit)
            except HttpError:
                if answer.status < 400:
                    raise
                body = b""  # what counts is the status, and how long to wait
        headers = [pair for pair in answer.headers if pair[0] != _ENCODING]
        return Response(request.url, status=answer.status, headers=headers, body=body)

    async def close(self) -> None:
        for origin in self._origins.values():
            await origin.close()

    async def _answer(self, request: Request, limit: int) -> Answer:
        """Raises HttpError and OSError."""
        received = partial(self.received, request)
        origin = self._origin(request)
        data = self._as_sent(request)
        kept = origin.take()
        if kept is not None:
            try:
                return await kept.ask(data, limit, received)
            except UnansweredError:
                if request.method not in _IDEMPOTENT:
                    raise
            except asyncio.CancelledError:
                origin.drop_idle()  # a timeout: the others may have no way to the server either
                raise
        connection = await origin.connect()
        return await connection.ask(data, limit, received)

    def _origin(self, request: Request) -> Origin:
        parts = urlparse_cached(request)
        if request.method == "HEAD":
            raise NotSupported("nobody here asks for heads alone")
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UnsupportedURLSchemeError(f"{request.url} is no http or https address")
        key = (parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
        if key not in self._origins:
            context = self._context if parts.scheme == "https" else None
            self._origins[key] = Origin(*key[1:], context)
        return self._origins[key]

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made for the first `https`: reading all certificates takes its time."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if not self.verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _as_sent(self, request: Request) -> bytes:
        """The request in the form of RFC 9112."""
        parts = urlparse_cached(request)
        target = request.url.partition("#")[0].partition("://")[2].removeprefix(parts.netloc)
        if not target.startswith("/"):
            target = f"/{target}"
        lines = [
            f"{request.method} {target} HTTP/1.1".encode("ascii"),
            b"Host: " + parts.netloc.rpartition("@")[2].encode("ascii"),
            b"Accept-Encoding: gzip",
        ]
        given = request.headers
        lines += (b"%b: %b" % pair for pair in self.defaults.items() if pair[0] not in given)
        for name, values in given.items():
            if name != b"Accept-Encoding":
                lines += (b"%b: %b" % (name, value) for value in values)
        if request.body or request.method not in _IDEMPOTENT:
            lines.append(b"Content-Length: %d" % len(request.body))
        if given and any(b"\r" in line or b"\n" in line for line in lines):
            raise DownloadFailedError("a header of the request has a line break")
        return b"\r\n".join(lines) + b"\r\n\r\n" + request.body


@contextlib.contextmanager
def _scrapys_exceptions(request: Request, timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DownloadTimeoutError(f"Getting {request.url} took longer than {timeout} seconds.") from error
    except socket.gaierror as error:
        raise CannotResolveHostError(str(error)) from error
    except ssl.SSLError as error:
        raise DownloadFailedError(str(error)) from error
    except OSError as error:
        raise DownloadConnectionRefusedError(str(error)) from error
    except OversizeError as error:
        raise DownloadCancelledError(str(error)) from error
    except CutOffError as error:
        raise ResponseDataLossError(str(error)) from error
    except HttpError as error:
        raise DownloadFailedError(str(error)) from error


def _is_packed(answer: Answer) -> bool:
    """Whether the body is a gzip file. Raises HttpError when it is something else that was not asked for."""
    encodings = [value.strip().lower() for name, value in answer.headers if name == _ENCODING]
    if not encodings or encodings == [b"identity"] or not answer.body:
        return False
    if len(encodings) > 1 or encodings[0] not in _GZIP:
        raise HttpError(f"encoded as {b', '.join(encodings)!r}, which was not asked for")
    return True


def _unpacked(answer: Answer, limit: int) -> bytes:
    """The body of an answer without its encoding. Raises HttpError."""
    if not _is_packed(answer):
        return answer.body
    try:
        return gunzip(answer.body, limit)
    except TooLargeError as error:
        raise OversizeError(f"unpacked {error}") from error
    except EOFError as error:
        raise CutOffError(f"the packed body is {error}") from error
    except ValueError as error:
        raise HttpError(f"not packed as it says: {error}") from error
