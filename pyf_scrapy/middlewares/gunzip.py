"""Unpacks the bodies of answers within bounds: a few bytes of a stranger must not fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable
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


class TooLargeError(ValueError):
    """What is unpacked has more bytes than allowed."""


def gunzip(data: bytes, limit: int) -> bytes:
    """The content of a gzip file in memory, of at most `limit` bytes (0 = any number).

    Raises TooLargeError, EOFError when it is cut off, ValueError when it is no gzip file.
    """
    left = limit or _UNLIMITED
    parts: list[bytes] = []
    for _ in range(MOST_MEMBERS):
        member = _unpacker(_WITH_GZIP_HEADER)
        try:
            part: bytes = member.decompress(data, left + 1)
        except _errors as error:
            raise ValueError(f"no gzip file: {error}") from error
        left -= len(part)
        if left < 0:
            raise TooLargeError(f"more than {limit} bytes")
        if not member.eof:
            raise EOFError("cut off")
        data = member.unused_data
        if not data and not parts:
            return part
        parts.append(part)
        if not data or not data.strip(b"\0"):  # some pad the file
            return b"".join(parts)
    raise TooLargeError(f"more than {MOST_MEMBERS} gzip members")
