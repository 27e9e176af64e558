"""A client that shows answers as they travel: nothing followed, nothing unpacked."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPMessage
from typing import NamedTuple
from urllib.parse import urlsplit

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


class Received(NamedTuple):
    """One answer."""

    status: int
    headers: HTTPMessage
    body: bytes


def get(url: str, path: str, timeout: float = 10, **headers: str) -> Received:
    """GET with the given headers (`if_none_match=` for If-None-Match)."""
    return _ask(url, "GET", path, None, timeout, headers)


def post(url: str, path: str, body: bytes, timeout: float = 10, **headers: str) -> Received:
    """POST with the given headers."""
    return _ask(url, "POST", path, body, timeout, headers)


def _ask(
    url: str, method: str, path: str, body: bytes | None, timeout: float, headers: dict[str, str]
) -> Received:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"accept-encoding": "identity", **names})
        response = connection.getresponse()
        return Received(response.status, response.headers, response.read())
    finally:
        connection.close()
