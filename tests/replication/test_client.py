"""Whatever answers where a source should be: one line, nothing stored, nobody followed elsewhere."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pyf_scrapy.exceptions import PyfError, ReplicationError, SourceReplacedError, UsageProblem
from pyf_scrapy.replication.client import SourceBusyError, checked_url, opened
from pyf_scrapy.store.copies import CopyState

LINES = "content-type: application/x-ndjson\r\ncontent-encoding: gzip\r\n"
PROBLEM = "content-type: application/problem+json\r\n"


@contextmanager
def answering(head: str, body: bytes) -> Iterator[str]:
    """A server that gives this answer once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(65_536)
                client.sendall(f"HTTP/1.1 {head}connection: close\r\n\r\n".encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()


def read(url: str) -> list[bytes]:
    with opened(CopyState(url, "", ("plone",), "1.ab.-.s.0.0.-.")) as lines:
        return list(lines)


def test_lines_are_read_until_the_end() -> None:
    with answering(f"200 OK\r\n{LINES}", gzip.compress(b"one\ntwo\n")) as url:
        assert read(url) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("head", "body", "kind", "message"),
    [
        ("200 OK\r\ncontent-type: text/html\r\n", b"<html>", ReplicationError, "lines of a store"),
        ("200 OK\r\ncontent-type: application/x-ndjson\r\n", b"{}\n", ReplicationError, "gzip"),
        (f"200 OK\r\n{LINES}content-length: 900\r\n", b"\x1f\x8b", SourceBusyError, "127.0.0.1"),
        ("302 Found\r\nlocation: http://127.0.0.1:1/\r\n", b"", ReplicationError, "HTTP status 302"),
        ("404 Not Found\r\n", b"", UsageProblem, "HTTP status 404"),
        (f"404 Not Found\r\n{PROBLEM}", b'{"detail":"no \\u001b[31mred"}', UsageProblem, "no [31mred"),
        (f"409 Conflict\r\n{PROBLEM}", b'{"detail":"another"}', SourceReplacedError, "another"),
        (f"409 Conflict\r\n{PROBLEM}", b"[]", SourceReplacedError, "HTTP status 409"),
        (f"409 Conflict\r\n{PROBLEM}", b'"' * 9000, SourceReplacedError, "HTTP status 409"),
        ("503 Service Unavailable\r\n", b"", SourceBusyError, "HTTP status 503"),
        ("nonsense\r\n", b"", SourceBusyError, "127.0.0.1"),
    ],
)
def test_any_other_answer_is_one_line(head: str, body: bytes, kind: type[PyfError], message: str) -> None:
    with answering(head, body) as url, pytest.raises(kind) as caught:
        read(url)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("told", "waits"), [("7", 7), ("999999", 300), ("soon", None)])
def test_a_source_may_let_us_wait_but_not_for_long(told: str, waits: float | None) -> None:
    head = f"429 Too Many Requests\r\nretry-after: {told}\r\n"
    with answering(head, b"") as url, pytest.raises(SourceBusyError) as caught:
        read(url)
    assert caught.value.retry_after == waits


@pytest.mark.parametrize(
    "text",
    ["", "x", "ftp://x", "http://", "http://x?a", "http://u@x", "http://x:0", "http://a b/", "http://[x"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="not the address of a source"):
        checked_url(text)
    with pytest.raises(UsageProblem) as refused:
        checked_url("https://me:hush@x.example")
    assert "hush" not in str(refused.value)
    assert checked_url("https://x.example/pyf/") == "https://x.example/pyf"
