"""What a server sends before, after and in place of an answer must neither deceive nor delay a crawl."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import socket
import struct

import pytest
from scrapy import Request
from scrapy.exceptions import DownloadTimeoutError, NotSupported

from pyf_scrapy.middlewares import http_connection
from tests.middlewares.site import AskingSpider, ask
from tests.middlewares.wire import OK, answers, error_of, packed, speaking


class TestWhatLiesAroundTheAnswer:
    async def test_what_follows_the_last_chunk_is_no_header(self) -> None:
        """A server could say there that an old answer is new, and more than fits into memory."""
        trailers = b"X-PyPI-Last-Serial: 99\r\n" + b"ETag: x\r\n" * 50_000
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + trailers + b"\r\n"
        async with speaking(data) as wire:
            (response,) = await answers(Request(f"{wire.url}/"))
        assert (response.body, dict(response.headers)) == (b"ok", {})

    async def test_endless_wrapping_is_given_up(self) -> None:
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000
        async with speaking(data) as wire:
            assert await error_of(wire, DOWNLOAD_MAXSIZE=1_000) == "DownloadCancelledError"

    @pytest.mark.parametrize("encoding", [b"br", b"gzip"])
    async def test_how_long_to_wait_is_obeyed_whatever_the_body_is(self, encoding: bytes) -> None:
        """Else all others would go on asking a server that has asked them not to."""
        refusal = b"HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Encoding: %b\r\nContent-Length: 3\r\n\r\n???"

        async def reply(writer: asyncio.StreamWriter, _: int) -> None:
            writer.write(OK if len(wire.requests) > 1 else refusal % encoding)

        async with speaking(reply) as wire:
            spider, crawler = await ask([f"{wire.url}/"])
        assert spider.statuses == {f"{wire.url}/": 200}
        assert crawler.stats.get_value("backoff/longest_wait") == 1

    async def test_a_body_without_length_that_is_torn_off_is_not_whole(self) -> None:
        async def tear(writer: asyncio.StreamWriter, _: int) -> None:
            writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"half":')
            await writer.drain()
            await asyncio.sleep(0.05)
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

        async with speaking(tear) as wire:
            assert await error_of(wire) == "ResponseDataLossError"

    async def test_a_connection_that_was_long_idle_is_not_trusted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What lies between may have forgotten it: each request by it would wait a minute for nothing."""
        monkeypatch.setattr(http_connection, "IDLE", 0.0)
        async with speaking(OK) as wire:
            await answers(*(Request(f"{wire.url}/{number}") for number in range(3)))
            assert [len(heads) for heads in wire.heads] == [1, 1, 1]

    async def test_of_dead_connections_only_one_is_tried(self) -> None:
        async def reply(writer: asyncio.StreamWriter, number: int) -> None:
            if number > 1:
                await asyncio.sleep(3600)
            await asyncio.sleep(0.05)
            writer.write(OK)

        async with speaking(reply) as wire:
            urls = [f"{wire.url}/{number}" for number in range(4)]

            async def again(spider: AskingSpider) -> None:
                async with asyncio.timeout(20):
                    while len(spider.statuses) < 4:
                        await asyncio.sleep(0.01)
                for _ in range(2):
                    with contextlib.suppress(DownloadTimeoutError):
                        spider.parse(await spider.fetch(f"{wire.url}/again"))

            spider, _ = await ask(urls, again, DOWNLOAD_TIMEOUT=2, PYPI_MAX_RETRIES=0)
        assert spider.statuses[f"{wire.url}/again"] == 200
        assert sum(len(heads) > 1 for heads in wire.heads) == 1

    async def test_a_body_is_left_as_it_came_when_that_is_asked_for(self) -> None:
        """The index: 50 MB unpacked, of which only a part is looked at at a time."""
        content = b"index " * 1000
        async with speaking(packed(content)) as wire:
            asked = Request(f"{wire.url}/", meta={"download_packed": True})
            as_it_came, unpacked = await answers(asked, Request(f"{wire.url}/"))
        assert (gzip.decompress(as_it_came.body), unpacked.body) == (content, content)
        assert as_it_came.headers["Content-Encoding"] == b"gzip"
        assert "Content-Encoding" not in unpacked.headers

    async def test_what_was_answered_is_gone_when_nobody_needs_it(self) -> None:
        """Python looks for cycles seldom while it crawls: the bodies of many answers would wait for that."""
        async with speaking(OK) as wire:
            gc.collect()
            gc.disable()
            try:
                await answers(*(Request(f"{wire.url}/") for _ in range(3)))
                left = [thing for thing in gc.get_objects() if isinstance(thing, http_connection.Exchange)]
            finally:
                gc.enable()
        assert left == []

    async def test_heads_are_refused_at_once(self) -> None:
        async with speaking(OK) as wire:
            with pytest.raises(NotSupported):
                await answers(Request(f"{wire.url}/", method="HEAD"))
