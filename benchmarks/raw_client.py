"""The limit: what a client does that only fetches, unpacks and decodes. No Scrapy, no store, no politeness.

    python -m benchmarks.raw_client URL [CONNECTIONS]

reads the index, asks for every project over kept connections with an asyncio protocol of its own, unpacks
with zlib, decodes name, classifiers and serial with msgspec, and prints as JSON how many it got and how many
match.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
from packaging.utils import canonicalize_name

from benchmarks.baseline import CLASSIFIER


class _Info(msgspec.Struct):
    name: str
    classifiers: list[str]


class _Project(msgspec.Struct):
    info: _Info
    last_serial: int


class _Entry(msgspec.Struct):
    name: str


class _Index(msgspec.Struct):
    projects: list[_Entry]


_project = msgspec.json.Decoder(_Project)
_length = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One connection that asks for the next path as soon as it has an answer."""

    def __init__(self, host: str, paths: Iterator[str], answers: Answers) -> None:
        self._tail = f" HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nUser-Agent: raw\r\n\r\n"
        self._paths = paths
        self._answers = answers
        self._pieces: list[bytes] = []
        self._missing = -1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        path = next(self._paths, None)
        if path is None:
            self._transport.close()
            self.done.set_result(None)
        else:
            self._transport.write(f"GET {path}{self._tail}".encode())

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            data = b"".join((*self._pieces, data))
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pieces = [data]
                return
            head = data[:end]
            found = _length.search(head)
            if not head.startswith(b"HTTP/1.1 200") or found is None:
                self._answers.failed += 1
                self._transport.close()
                self.done.set_result(None)
                return
            self._missing = int(found[1])
            self._pieces = []
            data = data[end + 4 :]
        self._pieces.append(data)
        self._missing -= len(data)
        if self._missing == 0:
            body = b"".join(self._pieces)
            self._pieces, self._missing = [], -1
            self._answers.add(zlib.decompress(body, wbits=31))
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._answers.failed += 1
            self.done.set_result(None)


class Answers:
    """What came in."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.matching = 0
        self.failed = 0
        self.plain = 0

    def add(self, body: bytes) -> None:
        """Decodes a project's document."""
        project = _project.decode(body)
        self.plain += len(body)
        self.names.add(project.info.name)
        self.matching += any(text.startswith(CLASSIFIER) for text in project.info.classifiers)


class _IndexAnswer(Answers):
    body = b""

    def add(self, body: bytes) -> None:
        self.body = body


async def _fetch(url: str, connections: int) -> Answers:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    assert host is not None
    assert port is not None
    loop = asyncio.get_running_loop()

    async def work(paths: Iterator[str], answers: Answers) -> None:
        _, client = await loop.create_connection(lambda: Client(parts.netloc, paths, answers), host, port)
        await client.done

    index = _IndexAnswer()
    await work(iter(["/simple/"]), index)
    names = [entry.name for entry in msgspec.json.decode(index.body, type=_Index).projects]
    gc.freeze()
    paths = (f"/pypi/{canonicalize_name(name)}/json" for name in names)
    answers = Answers()
    await asyncio.gather(*(work(paths, answers) for _ in range(connections)))
    return answers


def main() -> None:
    """Fetches everything once."""
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    answers = asyncio.run(_fetch(sys.argv[1], connections))
    print(
        json.dumps(
            {
                "projects": len(answers.names),
                "matching": answers.matching,
                "failed": answers.failed,
                "bytes": answers.plain,
            }
        )
    )


if __name__ == "__main__":
    main()
