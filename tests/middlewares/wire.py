"""A server that speaks in bytes, and what our own client makes of them."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from scrapy import Request
from scrapy.http import Response

from tests.middlewares.site import AskingSpider, ask

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Wire:
    """A server that answers with bytes; `heads` are the requests that it got, by connection."""

    url: str = ""
    heads: list[list[bytes]] = field(default_factory=list)
    closed: int = 0

    @property
    def requests(self) -> list[bytes]:
        return [head for heads in self.heads for head in heads]


#: Called with the writer and the number of the request on its connection (from 1).
Reply = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def speaking(reply: Reply | bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire = Wire()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        wire.heads.append(heads)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head)
                if isinstance(reply, bytes):
                    writer.write(reply)
                else:
                    await reply(writer, len(heads))
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            wire.closed += 1
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    wire.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()


async def then_closes(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    writer.close()


def closing_after(data: bytes) -> Reply:
    return lambda writer, number: then_closes(writer, data)


async def error_of(wire: Wire | str, **settings: Any) -> str:
    """The name of the error that asking once comes to."""
    url = wire if isinstance(wire, str) else f"{wire.url}/"
    spider, _ = await ask([url], PYPI_MAX_RETRIES=0, **settings)
    assert not spider.statuses
    return spider.errors[url]


async def answers(*requests: Request, **settings: Any) -> list[Response]:
    """The answers to requests that are sent one after another; raises what one of them raises."""
    found: list[Response] = []
    errors: list[Exception] = []

    async def script(spider: AskingSpider) -> None:
        try:
            for request in requests:
                found.append(await spider.crawler.engine.download_async(request))
        except Exception as error:
            errors.append(error)

    await ask([], script, **settings)
    for error in errors:
        raise error
    return found


def packed(content: bytes, length: int | None = None) -> bytes:
    body = gzip.compress(content)[:length]
    return (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
