"""The server of the benchmarks: PyPI's answers from memory, as fast as asyncio sends bytes.

    python -m benchmarks.server '{"projects": 50000}' [--latency 0.05]

prints its address when it is ready, and ends when its standard input is closed. It answers what a crawl
asks for (`/simple/`, `/simple/NAME/`, `/pypi/NAME/json`, `/pypi/NAME/VERSION/json`) always as gzip, with
ETag, serial and as many headers as PyPI's CDN sends, 304 to a known ETag and 301 to a name that is not in
normal form. Below `/_bench/` it tells what it was asked and what that cost it (`statistics`), and changes
projects (`change/1000`), the ETag of the index (`retag`) or how long it takes (`latency/0.5`). From
`watch/200` on it allows so many requests of JSON a second (0: any number); `traffic` tells what it was asked
in each.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from urllib.parse import unquote

import msgspec
from packaging.utils import canonicalize_name

from benchmarks.bodies import Packed
from benchmarks.traffic import BAN, Allowance, Traffic
from benchmarks.world import World, WorldOptions

_INDEX_TYPE = "application/vnd.pypi.simple.v1+json"

# What PyPI and its CDN send besides: a client pays for each header that it reads.
_COMMON = "".join(
    f"{line}\r\n"
    for line in (
        "HTTP/1.1 200 OK",
        "Connection: keep-alive",
        "Server: nginx/1.13.9",
        "Cache-Control: max-age=900, public",
        "Content-Security-Policy: base-uri 'self'; connect-src 'self'; default-src 'none'; font-src 'self'; "
        "frame-ancestors 'none'; img-src 'self'; script-src 'self'; style-src 'self'",
        "Referrer-Policy: origin-when-cross-origin",
        "Access-Control-Allow-Headers: Content-Type, If-Match, If-Modified-Since, If-None-Match, "
        "If-Unmodified-Since",
        "Access-Control-Allow-Methods: GET",
        "Access-Control-Allow-Origin: *",
        "Access-Control-Expose-Headers: X-PyPI-Last-Serial",
        "Access-Control-Max-Age: 86400",
        "Accept-Ranges: bytes",
        "Age: 0",
        "Date: Sun, 01 Nov 2026 12:00:00 GMT",
        "X-Served-By: cache-iad-0000-IAD, cache-fra-0000-FRA",
        "X-Cache: HIT, MISS",
        "X-Cache-Hits: 1, 0",
        "X-Timer: S1793534400.000000,VS0,VE1",
        "Vary: Accept-Encoding",
        "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
        "X-Frame-Options: deny",
        "X-XSS-Protection: 1; mode=block",
        "X-Content-Type-Options: nosniff",
        "X-Permitted-Cross-Domain-Policies: none",
        "Permissions-Policy: publickey-credentials-create=(self)",
    )
).encode()
_NOT_MODIFIED = _COMMON.replace(b"200 OK", b"304 Not Modified", 1)
_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
    b'{"message": "Not Found"}'
)
_TOO_MANY = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {BAN}\r\nContent-Length: 0\r\n\r\n".encode()

#: Seconds between two looks whether the server has its turn.
_LOOK = 0.002


class Service:
    """Which bytes answer which request, after `latency` seconds; counts them by kind."""

    def __init__(self, world: World, latency: float) -> None:
        self._world = world
        self.latency = latency
        self.traffic: Traffic | None = None
        self.allowance = Allowance(0)
        self.looked_at = self._last_look = 0.0
        self.counts: Counter[str] = Counter()
        self._cpu = time.process_time()

    def answer(self, head: bytes) -> list[bytes]:
        """The pieces of the answer to a request, `head` without its last empty line."""
        path = head[4 : head.index(b" ", 4)].decode("latin-1")
        parts = path.split("/")
        if parts[1] == "pypi" and parts[-1] == "json" and len(parts) in (4, 5):
            return self._json(head, path, parts)
        if parts[1] == "simple":
            return self._simple(head, path, parts)
        if parts[1] == "_bench":
            return _plain(json.dumps(self._control(parts[2:])).encode())
        self.counts["not_found"] += 1
        return [_NOT_FOUND]

    def _json(self, head: bytes, path: str, parts: list[str]) -> list[bytes]:
        found = self._world.rendered.get(path)
        kind = "project" if len(parts) == 4 else "release"
        if found is None and kind == "project":
            found = self._world.project(parts[2])
        if found is not None:
            return self._send(head, kind, "application/json", *found)
        name = str(canonicalize_name(unquote(parts[2])))
        if name != parts[2]:
            self.counts["redirect"] += 1
            target = "/".join(("", "pypi", name, *parts[3:]))
            return [f"HTTP/1.1 301 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()]
        self.counts["not_found"] += 1
        return [_NOT_FOUND]

    def _simple(self, head: bytes, path: str, parts: list[str]) -> list[bytes]:
        if path == "/simple/":
            index = self._world.index
            found = Packed(index.gzip, index.etag, index.size), self._world.last_serial
            return self._send(head, "index", _INDEX_TYPE, *found)
        if path in self._world.rendered:
            return self._send(head, "simple", _INDEX_TYPE, *self._world.rendered[path])
        self.counts["not_found"] += 1
        return [_NOT_FOUND]

    def _send(self, head: bytes, kind: str, media: str, packed: Packed, serial: int) -> list[bytes]:
        lines = f"Content-Type: {media}\r\nETag: {packed.etag}\r\nX-PyPI-Last-Serial: {serial}\r\n"
        if f"If-None-Match: {packed.etag}".lower().encode() in head.lower():
            self.counts["not_modified"] += 1
            return [_NOT_MODIFIED, f"{lines}\r\n".encode()]
        self.counts[kind] += 1
        self.counts["bytes"] += len(packed.body)
        length = f"Content-Encoding: gzip\r\nContent-Length: {len(packed.body)}\r\n\r\n"
        return [_COMMON, f"{lines}{length}".encode(), packed.body]

    def _control(self, words: list[str]) -> object:
        if words[0] == "traffic":
            return msgspec.to_builtins(self.traffic.seconds if self.traffic else [])
        if words[0] == "latency":
            self.latency = float(words[1])
        elif words[0] == "watch":
            self.traffic, self.allowance = Traffic(), Allowance(int(words[1]))
            if not self._last_look:
                self._look()
        elif words[0] == "reset":
            self.counts.clear()
            self._cpu = time.process_time()
        elif words[0] == "retag":
            self._world.retag()
        elif words[0] == "change":
            self._world.change(int(words[1]))
        return {**self.counts, "cpu": time.process_time() - self._cpu, "serial": self._world.last_serial}

    def _look(self) -> None:
        """Note when the server had its turn; the last time but one, because it may lose it after a look."""
        self.looked_at, self._last_look = self._last_look, time.monotonic()
        asyncio.get_running_loop().call_later(_LOOK, self._look)


def _plain(body: bytes) -> list[bytes]:
    return [
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
        body,
    ]


class Connection(asyncio.Protocol):
    """One kept connection; requests have no body."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            traffic = self._service.traffic if head.startswith(b"GET /pypi/") else None
            if traffic is not None:
                now = time.monotonic()
                if not self._service.allowance.allows(now, self._service.looked_at):
                    traffic.refuse(now)
                    self._transport.write(_TOO_MANY)
                    continue
                traffic.begin(now)
            if self._service.latency and b" /_bench/" not in head:
                loop = asyncio.get_running_loop()
                loop.call_later(self._service.latency, self._answer, head, traffic)
            else:
                self._answer(head, traffic)

    def _answer(self, head: bytes, traffic: Traffic | None) -> None:
        if traffic is not None:
            traffic.end(time.monotonic())
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._service.answer(head)))


async def _serve(world: World, latency: float) -> None:
    loop = asyncio.get_running_loop()
    service = Service(world, latency)
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=1024)
    gc.collect()
    gc.freeze()  # a million names are not looked through again and again
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", help="WorldOptions as JSON")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    world = World(msgspec.json.decode(given.world, type=WorldOptions))
    asyncio.run(_serve(world, given.latency))


if __name__ == "__main__":
    main()
