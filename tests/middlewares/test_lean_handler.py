"""Our own client against real sockets: whatever a server does, a crawl gets an answer or a named error.

What it must not do is hang, fill the memory, believe half an answer, or send a token to a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scrapy import Request
from scrapy.exceptions import DownloadFailedError

from pyf_scrapy.middlewares.http_connection import KEPT
from tests.checkout import CHECKOUT
from tests.middlewares.site import AskingSpider, ask
from tests.middlewares.wire import (
    OK,
    answers,
    closing_after,
    error_of,
    packed,
    speaking,
)


class TestAnAnswerThatIsNotWhole:
    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Len",
            packed(b"x" * 10_000, 30),
        ],
        ids=["length", "chunked", "head", "packed"],
    )
    async def test_is_not_believed(self, data: bytes) -> None:
        async with speaking(closing_after(data)) as wire:
            assert await error_of(wire) == "ResponseDataLossError"

    async def test_unless_its_end_is_that_of_the_connection(self) -> None:
        async with speaking(closing_after(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as wire:
            (answer,) = await answers(Request(wire.url))
        assert answer.body == b"all of it"

    @pytest.mark.parametrize(
        "data",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b"not packed" * 2,
            b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 200,
        ],
        ids=["ssh", "two lengths", "negative", "upgrade", "encoding", "not packed", "endless head"],
    )
    async def test_or_is_none_is_a_failure(self, data: bytes) -> None:
        async with speaking(data) as wire:
            assert await error_of(wire) == "DownloadFailedError"

    async def test_or_is_a_reset_is_a_failure(self) -> None:
        async def reset(writer: asyncio.StreamWriter, number: int) -> None:
            writer.transport.abort()

        async with speaking(reset) as wire:
            assert await error_of(wire) == "DownloadFailedError"


class TestBounds:
    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000,
            packed(b"x" * 2_000_000),
        ],
        ids=["told", "untold", "bomb"],
    )
    async def test_a_body_that_is_too_large_is_refused(self, data: bytes) -> None:
        async with speaking(data) as wire:
            assert await error_of(wire, DOWNLOAD_MAXSIZE=1_000_000) == "DownloadCancelledError"

    async def test_but_one_request_may_ask_for_more(self) -> None:
        async with speaking(packed(b"x" * 2_000_000)) as wire:
            request = Request(wire.url, meta={"download_maxsize": 3_000_000})
            (answer,) = await answers(request, DOWNLOAD_MAXSIZE=1_000_000)
        assert len(answer.body) == 2_000_000

    @pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow"])
    async def test_a_server_that_takes_too_long_is_given_up(self, data: bytes) -> None:
        async with speaking(data) as wire:
            assert await error_of(wire, DOWNLOAD_TIMEOUT=0.2) == "DownloadTimeoutError"


class TestServersThatAreNotThere:
    async def test_no_such_host(self) -> None:
        assert await error_of("http://no-such-host.invalid/") == "CannotResolveHostError"

    async def test_nobody_listens(self) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        assert await error_of(f"http://127.0.0.1:{port}/") == "DownloadConnectionRefusedError"


def certificate(folder: Path, address: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a self-signed certificate for an address, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key_file)
    return context, file


class TestCertificates:
    async def test_a_trusted_one_of_the_right_name_is_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context, file = certificate(tmp_path, "127.0.0.1")
        async with speaking(OK, context) as wire:
            assert await error_of(wire) == "DownloadFailedError", "nobody trusts it"
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            (answer,) = await answers(Request(wire.url))
        assert answer.body == b"ok"
        assert len(wire.requests) == 1, "the stranger got no request"

    async def test_one_of_another_name_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context, file = certificate(tmp_path, "127.0.0.2")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with speaking(OK, context) as wire:
            assert await error_of(wire) == "DownloadFailedError"
            (answer,) = await answers(Request(wire.url), DOWNLOAD_VERIFY_CERTIFICATES=False)
        assert answer.body == b"ok"


class TestKeptConnections:
    async def test_one_does_for_many_requests_and_is_closed_at_the_end(self) -> None:
        async with speaking(OK) as wire:
            await answers(*(Request(f"{wire.url}/{number}") for number in range(5)))
            for _ in range(100):
                if wire.closed:
                    break
                await asyncio.sleep(0.01)
        assert [len(heads) for heads in wire.heads] == [5]
        assert wire.closed == 1

    async def test_one_that_the_server_closed_is_replaced(self) -> None:
        """Without a word, which is how a server saves itself idle connections."""
        async with speaking(closing_after(OK)) as wire:
            found = await answers(
                *(Request(f"{wire.url}/{number}") for number in range(3)), PYPI_MAX_RETRIES=0
            )
        assert [answer.status for answer in found] == [200] * 3

    async def test_one_that_dies_at_the_next_request_is_replaced(self) -> None:
        async def first_only(writer: asyncio.StreamWriter, number: int) -> None:
            if number == 1:
                writer.write(OK)
            else:
                writer.transport.abort()

        async with speaking(first_only) as wire:
            requests = [Request(f"{wire.url}/{number}") for number in range(3)]
            found = await answers(*requests, PYPI_MAX_RETRIES=0)
            assert [answer.status for answer in found] == [200] * 3
            posts = (Request(wire.url), Request(wire.url, method="POST", body="x"))
            with pytest.raises(DownloadFailedError):
                await answers(*posts, PYPI_MAX_RETRIES=0)
        assert sum(head.startswith(b"POST") for head in wire.requests) == 1, "it changes something"

    @pytest.mark.parametrize(
        "data",
        [
            OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            OK + b"nonsense",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ],
        ids=["two answers", "nonsense", "close", "1.0"],
    )
    async def test_no_second_request_gets_what_was_left_of_the_first(self, data: bytes) -> None:
        async with speaking(data) as wire:
            found = await answers(Request(f"{wire.url}/1"), Request(f"{wire.url}/2"))
        assert [answer.body for answer in found] == [b"ok", b"ok"]
        assert [len(heads) for heads in wire.heads] == [1, 1]


class TestWhatIsSaid:
    async def test_an_answer_after_hints_is_the_answer(self) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        async with speaking(hints + OK) as wire:
            (answer,) = await answers(Request(wire.url))
        assert (answer.status, answer.body) == (200, b"ok")

    @pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
    async def test_some_answers_have_no_body(self, status: bytes) -> None:
        async with speaking(b"HTTP/1.1 %b\r\nContent-Length: 50\r\nETag: x\r\n\r\n" % status) as wire:
            found = await answers(Request(wire.url), Request(wire.url))
        assert [(answer.body, answer.headers.get("ETag")) for answer in found] == [(b"", b"x")] * 2

    async def test_only_headers_that_somebody_reads_are_kept(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nServer: x\r\nRETRY-after: 3\r\nContent-Length: 0\r\n\r\n"
        async with speaking(head) as wire:
            request = Request(wire.url)
            (answer,) = await answers(request)
        assert answer.headers.to_string() == b"Retry-After: 3"
        assert 0 < request.meta["download_latency"] < 10

    def test_each_header_that_is_read_by_name_is_kept(self) -> None:
        """Else its reader finds nothing, and nobody notices."""
        reading = re.compile(r"""(?:response\.headers\.get\(b?|named\.get\()["']([A-Za-z-]+)["']""")
        files = [*(CHECKOUT / "pyf_scrapy").glob("*/*.py")]
        texts = [file.read_text() for file in files if file.parent.name not in ("replica", "verify")]
        read = {name.lower().encode() for text in texts for name in reading.findall(text)}
        assert len(read) >= 8
        assert read <= KEPT

    async def test_what_is_sent_is_what_was_asked_for_and_who_asks(self) -> None:
        async with speaking(OK) as wire:
            plain = Request(f"{wire.url}/a%20b/?c=d#e")
            full = Request(
                wire.url, method="POST", body="{}", headers={"Accept": "x/y", "accept-encoding": "br"}
            )
            await answers(plain, full, USER_AGENT="me/1")
        host = wire.url.removeprefix("http://").encode()
        first, second = (head.decode().split("\r\n") for head in wire.requests)
        assert first[0] == "GET /a%20b/?c=d HTTP/1.1"
        assert {f"Host: {host.decode()}", "Accept-Encoding: gzip", "User-Agent: me/1", "Accept: */*"} <= {
            *first
        }
        assert second[0] == "POST / HTTP/1.1"
        assert {"Accept: x/y", "Accept-Encoding: gzip", "Content-Length: 2"} <= {*second}
        assert "Accept: */*" not in second

    async def test_a_header_cannot_bring_in_another_request(self) -> None:
        async with speaking(OK) as wire:
            request = Request(wire.url, headers={"If-None-Match": "x\r\n\r\nGET /evil HTTP/1.1"})
            with pytest.raises(DownloadFailedError, match="line break"):
                await answers(request, PYPI_MAX_RETRIES=0)
        assert not wire.requests

    async def test_a_user_and_a_password_in_an_address_are_not_shown_to_the_server(self) -> None:
        async with speaking(OK) as wire:
            await answers(Request(wire.url.replace("//", "//user:secret@")))
        assert b"secret" not in wire.requests[0]


class TestProxies:
    async def test_what_has_to_take_one_takes_it(self) -> None:
        async with speaking(OK) as proxy:
            request = Request("http://elsewhere.invalid/x", meta={"proxy": proxy.url})
            (answer,) = await answers(request)
        assert answer.body == b"ok"
        assert proxy.requests[0].startswith(b"GET http://elsewhere.invalid/x HTTP/1.1\r\n")

    def test_one_of_the_environment_brings_back_what_scrapys_client_needs(self) -> None:
        code = (
            "from pyf_scrapy import settings as s;"
            "print(s.HTTPPROXY_ENABLED, s.COMPRESSION_ENABLED, len(s.DOWNLOADER_MIDDLEWARES_BASE))"
        )
        shown = []
        for environment in ({}, {"https_proxy": "http://127.0.0.1:1"}):
            run = subprocess.run(
                [sys.executable, "-c", code],
                env={**environment, "PYF_ENV_FILE": ""},
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                check=True,
            )
            shown.append(run.stdout.split())
        (without, within) = shown
        assert (without[:2], within[:2]) == (["False", "False"], ["True", "True"])
        assert int(within[2]) > int(without[2])


async def test_given_up_requests_leave_no_connection_behind() -> None:
    async def impatient(spider: AskingSpider) -> None:
        task = asyncio.ensure_future(spider.fetch(f"{wire.url}/"))
        while not wire.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async with speaking(b"") as wire:
        await ask([], impatient, DOWNLOAD_TIMEOUT=0.3)
        for _ in range(100):
            if wire.closed:
                break
            await asyncio.sleep(0.01)
    assert wire.closed == 1
