"""Lines to gzip (RFC 1952) and back, a piece at a time, never more in memory than a line may have. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from pyf_scrapy.exceptions import ReplicationError
from pyf_scrapy.replication.lines import MAX_LINE

_GZIP = zlib.MAX_WBITS | 16
_LEVEL = 6
_PIECE = 256_000  # bytes; a stranger's first kilobyte may unpack to a megabyte


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """One gzip stream. What was compressed is flushed behind an empty piece, so that it can be read."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        packed = packer.compress(piece) if piece else packer.flush(zlib.Z_SYNC_FLUSH)
        if packed:
            yield packed
    yield packer.flush()


def unpacked_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of one gzip stream, without their ends. What is not a whole line at the end is left out.

    Raises ReplicationError when it is not gzip, or a line is too long.
    """
    parts: list[bytes] = []
    size = 0
    for data in _unpacked(pieces):
        *whole, rest = data.split(b"\n")
        for line in whole:
            parts.append(line)
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > MAX_LINE:
            raise ReplicationError(f"the source sent a line of more than {MAX_LINE:,} bytes")


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        for data in pieces:
            while data:
                if unpacker.eof:
                    raise ReplicationError("the source sent something behind the end of its stream")
                part = unpacker.decompress(data, _PIECE)
                data = unpacker.unconsumed_tail or unpacker.unused_data
                if part:
                    yield part
    except zlib.error as error:
        raise ReplicationError(f"the source sent no gzip: {error}") from None
