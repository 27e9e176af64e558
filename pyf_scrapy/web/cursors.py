"""Cursors: where the next page of a listing begins, as a text that means something to nobody else.

A cursor belongs to one query: with other filters, or for another collection, it is refused rather than
answered with a page of something else. It holds nothing secret, so it is not signed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from pyf_scrapy.exceptions import NotFoundError

#: What a cursor looks like, for the description of the API.
PATTERN = "^[A-Za-z0-9_-]{1,4000}$"  # a name of 2,000 bytes and the rest
_FORMAT = 2
_DIGEST = 9  # bytes


class CursorError(NotFoundError):
    """Raised for a cursor that this query did not give out: there is no such page."""


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    format: int
    query: bytes
    position: str


_decoder = msgspec.msgpack.Decoder(_Cursor)


def query_digest(query: Mapping[str, object]) -> bytes:
    """What tells a query from others: a digest of its values, which must be plain ones."""
    return blake2b(msgspec.json.encode(query, order="sorted"), digest_size=_DIGEST).digest()


def encode_cursor(digest: bytes, position: str) -> str:
    """The cursor of what follows `position`: what tells the last row of a page from all others."""
    packed = msgspec.msgpack.encode(_Cursor(_FORMAT, digest, position))
    return urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, digest: bytes) -> str:
    """The position in a cursor that `encode_cursor` made for the same query. Raises CursorError."""
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = _decoder.decode(packed)
    except (Error, ValueError, msgspec.MsgspecError):
        raise CursorError("the cursor is none that was given out here") from None
    if found.format != _FORMAT or found.query != digest:
        raise CursorError("the cursor belongs to another query: begin without one")
    return found.position
