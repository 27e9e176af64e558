"""How an answer travels: conditional requests, gzip, cache headers; whole or cut off."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from pyf_scrapy.replica.simple import Compressed, etag

_SMALLEST_GZIP = 200


@dataclass(frozen=True)
class Answer:
    """What a service answers, before it is fitted to the request. `max_age` in seconds, None: not cached.

    `tagged`: with an ETag although without `max_age`, as PyPI sends its feeds.
    """

    body: bytes | Compressed
    content_type: str
    status: int = 200
    max_age: int | None = None
    vary: str = "Accept-Encoding"
    headers: Mapping[str, str] = field(default_factory=dict)
    tagged: bool = False


def redirect(location: str) -> Answer:
    """The permanent redirect to the proper spelling of a path."""
    return Answer(b"", "text/html; charset=UTF-8", 301, headers={"Location": location})


async def send(request: web.Request, answer: Answer, *, cut: bool = False) -> tuple[web.StreamResponse, int]:
    """Sends the answer as the request wants it; `cut` closes the connection after half the body.

    Returns aiohttp's response and the number of body bytes.
    """
    headers = {"Content-Type": answer.content_type, "Vary": answer.vary, **answer.headers}
    if answer.max_age is not None:
        headers["Cache-Control"] = f"max-age={answer.max_age}, public"
    if answer.max_age is not None or answer.tagged:
        tag = answer.body.etag if isinstance(answer.body, Compressed) else etag(answer.body)
        headers["ETag"] = tag
        if _is_known(tag, request.headers.get("If-None-Match", "")):
            return web.Response(status=304, headers=headers), 0
    length, pieces, packed = _fit(answer.body, "gzip" in request.headers.get("Accept-Encoding", ""))
    if packed:
        headers["Content-Encoding"] = "gzip"
    if isinstance(pieces, bytes) and not cut:
        return web.Response(status=answer.status, body=pieces, headers=headers), length
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = length
    await response.prepare(request)
    room = length // 2 if cut else length
    for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
        await response.write(piece[:room])
        room -= len(piece)
        if room <= 0:
            break
    if cut and request.transport:
        request.transport.close()
    return response, length // 2 if cut else length


def _is_known(tag: str, if_none_match: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in known or "*" in known


def _fit(body: bytes | Compressed, gzip: bool) -> tuple[int, bytes | Iterable[bytes], bool]:
    """Length, bytes or pieces, and whether they are gzip."""
    if isinstance(body, Compressed):
        return (len(body.gzip), body.gzip, True) if gzip else (body.size, body.plain(), False)
    if gzip and len(body) >= _SMALLEST_GZIP:
        body = zlib.compress(body, 1, wbits=31)
        return len(body), body, True
    return len(body), body, False
