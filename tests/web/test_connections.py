"""Connections that are held and not used: without these some hundred of them shut all others out."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from pyf_scrapy.web.connections import Connection
from pyf_scrapy.web.serving import Server, bound, configuration
from pyf_scrapy.web.site import Site

LARGE = 15_000_000  # bytes, more than sockets take
ASK = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"


@contextmanager
def serving(config: uvicorn.Config) -> Iterator[tuple[Server, tuple[str, int]]]:
    """Serve until the block ends; gives the server and its address."""
    with bound("127.0.0.1", 0) as listening:
        server = Server(config)
        server.capture_signals = no_signals  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield server, listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def no_signals() -> Iterator[None]:
    """Signals are the main thread's."""
    yield


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What the answers of `/slow` wait for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def begun() -> threading.Event:
    """Happens when `/slow` is asked for."""
    return threading.Event()


@pytest.fixture
def app(released: threading.Event, begun: threading.Event) -> FastAPI:
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> Response:
        begun.set()
        await asyncio.to_thread(released.wait, 30)
        return Response("done")

    @app.get("/large")
    async def large() -> Response:
        return Response(b"x" * LARGE)

    @app.post("/body")
    async def body(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @app.get("/healthz")
    async def health() -> Response:
        return Response("ok")

    return app


def config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(app, http=Connection, log_config=None, access_log=False, ws="none", lifespan="off")


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    connection.settimeout(30)
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def dribble(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def test_scrapy_serve_has_these_bounds(site: Site) -> None:
    assert configuration(site, "127.0.0.1").http is Connection


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health", ASK, b"POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nab"],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_who_does_not_send_a_whole_request_is_not_waited_for(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(Connection, "arriving", 0.3)
    with serving(config(app)) as (_, address), socket.create_connection(address) as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_a_byte_now_and_then_is_no_request(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that had an answer."""
    monkeypatch.setattr(Connection, "arriving", 2.0)
    with serving(config(app)) as (_, address), socket.create_connection(address) as connection:
        connection.sendall(ASK + b"\r\n")
        assert b"200 OK" in connection.recv(65_536)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            dribble(connection, ASK * 50)


def test_a_connection_is_kept_between_requests_and_while_it_is_answered(
    app: FastAPI, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "arriving", 2.0)
    with serving(config(app)) as (_, (host, port)), httpx.Client(base_url=f"http://{host}:{port}") as client:
        assert client.post("/body", content=b"x" * 20_000).text == "20000"
        time.sleep(2.5)
        threading.Timer(2.5, released.set).start()
        assert client.get("/slow", timeout=30).text == "done"
        assert client.get("/healthz").text == "ok"


def test_who_does_not_read_an_answer_is_not_waited_for(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each holds its memory for ever; who reads slowly gets all of it."""
    monkeypatch.setattr(Connection, "reading", 2.0)
    with serving(config(app)) as (server, address), ExitStack() as stack:
        silent, slow = (stack.enter_context(socket.create_connection(address)) for _ in range(2))
        ask = b"GET /large HTTP/1.1\r\nhost: localhost\r\n"
        silent.sendall(ask + b"\r\n")
        slow.sendall(ask + b"\r\n" + ask + b"connection: close\r\n\r\n")
        size = 0
        while piece := slow.recv(500_000):
            size += len(piece)
            time.sleep(0.01)
        assert size > 2 * LARGE
        for _ in range(600):
            if not server.server_state.connections:
                break
            time.sleep(0.05)
        assert not server.server_state.connections


class TestTooMany:
    """`/slow` has begun to be answered before anybody else comes."""

    @pytest.fixture
    def slow(
        self, app: FastAPI, begun: threading.Event, released: threading.Event
    ) -> Iterator[tuple[socket.socket, tuple[str, int]]]:
        with serving(config(app)) as (_, address), socket.create_connection(address) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert begun.wait(30)
            yield connection, address
            released.set()

    def test_the_one_that_waited_longest_for_a_request_makes_room(
        self, slow: tuple[socket.socket, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, address = slow
        monkeypatch.setattr(Connection, "most", 3)
        with ExitStack() as stack:
            first, second, asking = (stack.enter_context(socket.create_connection(address)) for _ in range(3))
            asking.sendall(ASK + b"\r\n")
            assert b"200 OK" in asking.recv(65_536)
            assert rest(first) == b""
            second.sendall(ASK + b"\r\n")
            assert b"200 OK" in second.recv(65_536)

    def test_one_that_is_answered_is_not_ended_for_another(
        self,
        slow: tuple[socket.socket, tuple[str, int]],
        released: threading.Event,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection, address = slow
        monkeypatch.setattr(Connection, "most", 1)
        with socket.create_connection(address) as other:
            assert rest(other) == b""
        released.set()
        assert rest(connection).endswith(b"done")
