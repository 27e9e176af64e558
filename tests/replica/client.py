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
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"accept-encoding": "identity", **names})
        response = connection.getresponse()
        return Received(response.status, response.headers, response.read())
    finally:
        connection.close()
