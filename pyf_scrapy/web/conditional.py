"""Answers that a client need not load again: a tag made of their bytes, and 304 where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from fastapi import Request, Response

_DIGEST = 16  # bytes


def entity_tag(body: bytes) -> str:
    """The strong ETag of a body."""
    return f'"{blake2b(body, digest_size=_DIGEST).hexdigest()}"'


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether a client that sends this If-None-Match has the answer of that tag (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    known = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return "*" in known or tag in known


def conditional(
    request: Request, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer with its ETag, or 304 without a body where the client has it already.

    It may be kept, and is asked about each time: what the index has can change at any moment.
    """
    tag = entity_tag(body)
    sent = {"etag": tag, "cache-control": "no-cache", **(headers or {})}
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type=media_type, headers=sent)
