"""Unpacks the bodies of answers within bounds: a few bytes of a stranger must not fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

_unpacker: Callable[[int], Any] = zlib.decompressobj
_errors: tuple[Any, ...] = (zlib.error,)
with suppress(ImportError):  # else there is no wheel for this machine
    from isal import isal_zlib  # the same interface, in half the time

    _unpacker, _errors = isal_zlib.decompressobj, (isal_zlib.IsalError,)

#: Members of one body (RFC 1952, 2.2: they follow each other); servers send one.
MOST_MEMBERS: Final = 16

_WITH_GZIP_HEADER: Final = 31  # zlib's `wbits`
_UNLIMITED: Final = 2**40
_PIECE: Final = 1 << 16  # bytes that are unpacked at a time


class TooLargeError(ValueError):
    """What is unpacked has more bytes than allowed."""


def gunzip(data: bytes, limit: int) -> bytes:
    """The content of a gzip file in memory, of at most `limit` bytes (0 = any number).

    Raises TooLargeError, EOFError when it is cut off, ValueError when it is no gzip file.
    """
    return b"".join(gunzip_parts(data, limit))


def gunzip_parts(data: bytes, limit: int) -> Iterator[bytes]:
    """What `gunzip` returns, in parts: for what is read once and is too large to be there as a whole.

    Raises what `gunzip` does, when it comes to it.
    """
    left, at = limit or _UNLIMITED, 0
    for _ in range(MOST_MEMBERS):
        member = _unpacker(_WITH_GZIP_HEADER)
        while not member.eof:
            if at >= len(data):
                raise EOFError("cut off")
            try:
                part: bytes = member.decompress(data[at : at + _PIECE], left + 1)
            except _errors as error:
                raise ValueError(f"no gzip file: {error}") from error
            at += _PIECE
            left -= len(part)
            if left < 0:
                raise TooLargeError(f"more than {limit} bytes")
            yield part
        at = min(at, len(data)) - len(member.unused_data)
        if at == len(data) or not data[at:].strip(b"\0"):  # some pad the file
            return
    raise TooLargeError(f"more than {MOST_MEMBERS} gzip members")
