"""HTTP/1.1 connections that are kept: one asks for one thing at a time, and says what became of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, cast

import aiohappyeyeballs
import httptools

#: Most bytes of an answer before its body begins.
LARGEST_HEAD: Final = 128 * 1024

#: Seconds after which an idle connection is not used again: what lies between may have forgotten it.
IDLE: Final = 60.0

#: Headers that somebody reads: the others are not worth their objects, 28 with each answer of PyPI. Who wants
#: to read another one adds it here.
KEPT: Final = frozenset(
    {
        *(b"content-type", b"content-encoding", b"etag", b"location", b"retry-after", b"x-pypi-last-serial"),
        *(b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset", b"x-ratelimit-resource"),
    }
)

_INFORMATIONAL: Final = range(100, 200)


class HttpError(Exception):
    """The answer cannot be used."""


class CutOffError(HttpError):
    """The connection ended within the answer."""


class UnansweredError(HttpError):
    """The connection ended before the first byte of an answer."""


class OversizeError(HttpError):
    """The body is larger than allowed."""


class Answer(NamedTuple):
    """`headers` are those of `KEPT`, lower case; `body` is as it came, `began` (monotonic) when it began."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    began: float


class Exchange:
    """One answer as it arrives. Its `on_...` are called by httptools; `received` is told each part of the
    body."""

    __slots__ = (
        "_body",
        "_fed",
        "_head_size",
        "_headers",
        "_is_complete",
        "_is_delimited",
        "_limit",
        "_parser",
        "_received",
        "_status",
        "began",
        "done",
        "may_keep",
    )

    def __init__(self, limit: int, received: Callable[[bytes], object], done: asyncio.Future[Answer]) -> None:
        self.done = done
        self.began = 0.0
        #: whether the connection can be used again
        self.may_keep = False
        self._limit = limit
        self._received = received
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._is_delimited = False
        self._is_complete = False
        self._body = bytearray()
        self._fed = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what came over the wire."""
        self._fed += len(data)
        if not self.began:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(HttpError("the server speaks another protocol"))
        except httptools.HttpParserError as error:
            self.fail(HttpError(f"not HTTP: {error}"))
        if not self.began and self._head_size > LARGEST_HEAD:
            self.fail(HttpError(f"headers of more than {LARGEST_HEAD} bytes"))
        # Chunks of a byte and what follows the last one are no body, and have no end either.
        if self._limit and self._fed > 8 * self._limit + LARGEST_HEAD:
            self.fail(OversizeError(f"more than {self._limit} bytes"))

    def end(self, reason: str, *, in_order: bool) -> None:
        """The connection is gone, by the server's wish or because it broke."""
        if self.began and in_order and not self._is_delimited:
            self._complete()  # its end is that of the body
        elif self._head_size:
            self.fail(CutOffError(reason))
        else:
            self.fail(UnansweredError(reason))

    def forget(self) -> None:
        """It is over. The parser refers to it, and it to the parser: else both, and what they hold of the
        answer, would be there until Python looks for cycles."""
        del self._parser

    def fail(self, error: HttpError) -> None:
        self.may_keep = False
        if not self.done.done():
            self.done.set_exception(error)

    def on_message_begin(self) -> None:
        if self._is_complete:
            self.may_keep = False  # nobody has asked for this

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.began:
            return  # after the body, where it is too late to say anything
        name = name.lower()
        if name in KEPT:
            self._headers.append((name, value))
        elif name == b"content-length":
            self._is_delimited = True
            if self._limit and value.isdigit() and len(value) < 20 and int(value) > self._limit:
                self.fail(OversizeError(f"{int(value)} bytes, which is more than {self._limit}"))
        elif name == b"transfer-encoding":
            self._is_delimited = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status not in _INFORMATIONAL:
            self.began = time.monotonic()

    def on_body(self, data: bytes) -> None:
        self._received(data)
        if self.done.done():
            return
        self._body += data
        if self._limit and len(self._body) > self._limit:
            self._body.clear()
            self.fail(OversizeError(f"more than {self._limit} bytes"))

    def on_message_complete(self) -> None:
        if self._status in _INFORMATIONAL:  # the answer itself is still to come
            self._headers.clear()
            self._is_delimited = False
        elif not self._is_complete:
            self.may_keep = self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        self._is_complete = True
        if not self.done.done():
            body, self._body = bytes(self._body), bytearray()
            self.done.set_result(Answer(self._status, self._headers, body, self.began))


class Connection(asyncio.Protocol):
    """A connection to `origin`, which is told when it is gone."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._is_over = asyncio.get_running_loop().create_future()

    async def ask(self, request: bytes, limit: int, received: Callable[[bytes], object]) -> Answer:
        """Send a request and await its answer, whose body may have `limit` bytes (0 = any number).

        `received` is told each part of the body. Afterwards the connection is kept for the next request, or
        closed. Raises HttpError.
        """
        assert self._transport is not None, "it was made"
        exchange = Exchange(limit, received, asyncio.get_running_loop().create_future())
        self._exchange = exchange
        try:
            self._transport.write(request)
            return await exchange.done
        finally:
            self._exchange = None
            exchange.forget()
            if exchange.may_keep and not self._transport.is_closing():
                self._origin.keep(self)
            else:
                self._transport.abort()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close it at once, and wait until that is done."""
        self.abort()
        if self._transport is not None:
            await self._is_over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.feed(data)
        elif self._transport is not None:
            self._transport.abort()  # nobody has asked for this

    def eof_received(self) -> None:
        """As `connection_lost`, which follows."""

    def connection_lost(self, error: Exception | None) -> None:
        self._origin.forget(self)
        if self._exchange is not None:
            reason = str(error) if error else "the server closed the connection"
            self._exchange.end(reason, in_order=error is None)
        if not self._is_over.done():
            self._is_over.set_result(None)


class Origin:
    """A server as its address names it, and the connections to it."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.host = host
        self.port = port
        self._context = context
        self._idle: list[tuple[Connection, float]] = []  # with the time since when
        self._all: set[Connection] = set()

    def take(self) -> Connection | None:
        """A kept connection that is not in use: the one used last, which its server has hardly closed."""
        if not self._idle:
            return None
        connection, since = self._idle.pop()
        if time.monotonic() - since <= IDLE:
            return connection
        self.drop_idle([connection])  # and the others have waited longer
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        joined = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=0.25)
        name = self.host if self._context is not None else None
        _, connection = await loop.create_connection(
            lambda: Connection(self), sock=joined, ssl=self._context, server_hostname=name
        )
        self._all.add(connection)
        return connection

    def keep(self, connection: Connection) -> None:
        """It is open and not in use."""
        self._idle.append((connection, time.monotonic()))

    def drop_idle(self, more: Iterable[Connection] = ()) -> None:
        """Close what is not in use: there is no way to the server by it."""
        idle, self._idle = self._idle, []
        for connection in (*more, *(one for one, _ in idle)):
            connection.abort()

    def forget(self, connection: Connection) -> None:
        """It is gone."""
        self._all.discard(connection)
        self._idle = [kept for kept in self._idle if kept[0] is not connection]

    async def close(self) -> None:
        """Close all connections."""
        for connection in tuple(self._all):
            await connection.close()
