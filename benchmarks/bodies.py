"""Project documents of realistic size that any number of projects share, packed once.

PyPI's documents have a median of about 15 KB and a mean of about 58 KB unpacked, with a tail to megabytes: a
lognormal distribution. Rendering and packing one takes a millisecond, too long for a server that must not be
the brake. So a thousand are rendered by the replica and packed beforehand; what differs between two projects
of the same body, name and serial, is put in as a stored block of the gzip stream.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

import msgspec

from pyf_scrapy.replica.documents import project_json
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project, Release

MEDIAN = 15_000
MEAN = 58_000

_NAME = "@name@"
_SERIAL = 1_234_567_898_765_432
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_SMALLEST_README = 50
_ENCODER = msgspec.json.Encoder(order="sorted")


def sizes(count: int, *, median: int = MEDIAN, mean: int = MEAN) -> list[int]:
    """Sizes in bytes at `count` evenly spread quantiles of the lognormal distribution, ascending."""
    sigma = math.sqrt(2 * math.log(mean / median))
    normal = NormalDist()
    return [round(median * math.exp(sigma * normal.inv_cdf((i + 0.5) / count))) for i in range(count)]


class Packed(NamedTuple):
    """A document as gzip, with its ETag and the number of plain bytes."""

    body: bytes
    etag: str
    size: int


class Template:
    """A packed document with room for a name and a serial."""

    def __init__(self, document: dict[str, Any]) -> None:
        document = {**document, "info": {**document["info"], "name": _NAME}, "last_serial": _SERIAL}
        plain = _ENCODER.encode(document)
        head, rest = plain.split(f'"{_NAME}"'.encode(), 1)
        middle, tail = rest.split(str(_SERIAL).encode(), 1)
        self._before = _GZIP_HEADER + _deflate(head, zlib.Z_FULL_FLUSH)
        self._middle = middle
        self._after = _deflate(tail, zlib.Z_FINISH)
        self._head_crc = zlib.crc32(head)
        self._tail_crc = zlib.crc32(tail)
        zeros = bytes(len(tail))
        nothing = zlib.crc32(zeros)
        # CRC-32 is linear: how each bit of a CRC comes out behind so many further bytes.
        self._shifts = [zlib.crc32(zeros, 1 << bit) ^ nothing for bit in range(32)]
        self._rest = len(head) + len(tail)
        self._tag = f"{zlib.crc32(plain):08x}"

    def packed(self, name: str, serial: int) -> Packed:
        """The document of a project."""
        inserted = f'"{name}"'.encode() + self._middle + str(serial).encode()
        crc = self._tail_crc
        before = zlib.crc32(inserted, self._head_crc)
        for shift in self._shifts:
            if before & 1:
                crc ^= shift
            before >>= 1
        length = len(inserted)
        size = self._rest + length
        body = b"".join(
            (
                self._before,
                b"\x00",  # a stored block that is not the last one
                struct.pack("<HH", length, length ^ 0xFFFF),
                inserted,
                self._after,
                struct.pack("<II", crc, size & 0xFFFFFFFF),
            )
        )
        return Packed(body, f'"{self._tag}{zlib.crc32(name.encode(), serial & 0xFFFFFFFF):08x}"', size)


def _deflate(data: bytes, end: int) -> bytes:
    compressor = zlib.compressobj(6, wbits=-15)
    return compressor.compress(data) + compressor.flush(end)


def packed(plain: bytes) -> Packed:
    """A document of one project only."""
    return Packed(zlib.compress(plain, 6, wbits=31), f'"{zlib.crc32(plain):08x}{len(plain):08x}"', len(plain))


def templates(count: int, seed: int = 7) -> list[Template]:
    """So many documents without a framework's classifier, of the sizes above."""
    options = Options(projects=max(count, 1), seed=seed, only_members=True, empty=0, missing=0)
    replica = Replica(options)
    return [Template(document) for document in _documents(replica, sizes(count))]


def _documents(replica: Replica, wanted: list[int]) -> Iterator[dict[str, Any]]:
    for number, size in enumerate(wanted):
        project = replica.numbered(number)
        assert project is not None, "the replica has as many projects as sizes"
        yield _of_size(replica, project, size)


def _of_size(replica: Replica, project: Project, size: int) -> dict[str, Any]:
    """The project's document with as many releases as make this size, its README cut when one is too much."""
    latest = project.latest
    assert latest is not None, "no project is empty"
    seed = replica.options.seed

    def document(project: Project) -> bytes:
        return project_json(seed, project, latest, replica.some_name)

    one = len(document(msgspec.structs.replace(project, releases=(latest,))))
    releases = [latest]
    if one < size:
        others = [release for release in project.releases if release is not latest and release.kinds]
        pattern = others or [msgspec.structs.replace(latest, kinds=("sdist", "wheel"))]
        made = [_like(pattern, extra) for extra in range(20)]
        twenty = len(document(msgspec.structs.replace(project, releases=(latest, *made))))
        count = round((size - one) / ((twenty - one) / len(made)))
        releases += [_like(pattern, extra) for extra in range(count)]
    plain = msgspec.json.decode(document(msgspec.structs.replace(project, releases=tuple(releases))))
    description = plain["info"]["description"]
    if one > size and description:
        keep = max(_SMALLEST_README, len(description) - (one - size))
        plain["info"]["description"] = description[:keep]
    return dict(plain)


def _like(pattern: list[Release], number: int) -> Release:
    return msgspec.structs.replace(pattern[number % len(pattern)], version=f"0.{number // 10}.{number % 10}")
