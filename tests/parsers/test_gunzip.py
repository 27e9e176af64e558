"""What is unpacked is what was packed, and a stranger's bytes can do no harm."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.gunzip import MOST_MEMBERS, TooLargeError, gunzip, gunzip_parts


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(0, 9))
def test_all_members_are_unpacked_and_padding_is_none(parts: list[bytes], zeros: int) -> None:
    packed = b"".join(map(gzip.compress, parts)) + bytes(zeros)
    assert gunzip(packed, 0) == b"".join(parts)


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 4000))
def test_no_more_is_unpacked_than_allowed(content: bytes, limit: int) -> None:
    packed = gzip.compress(content)
    if len(content) > limit:
        with pytest.raises(TooLargeError):
            gunzip(packed, limit)
    else:
        assert gunzip(packed, limit) == content


@given(st.binary(max_size=300), st.data())
def test_half_of_it_is_none(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content)
    length = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(EOFError):
        gunzip(packed[:length], 0)


@given(st.binary(max_size=300))
def test_anything_else_is_refused_or_cut_off(nonsense: bytes) -> None:
    with pytest.raises((ValueError, EOFError)):
        gunzip(b"\x00" + nonsense, 1000)


def test_a_large_one_comes_in_parts() -> None:
    """The index: unpacked it is a quarter of what a crawler may need."""
    content = b"".join(b"project-%d " % number for number in range(200_000))
    tracemalloc.start()
    try:
        found = sum(len(part) for part in gunzip_parts(gzip.compress(content), 0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == len(content)
    assert peak < len(content)


def test_very_many_empty_members_are_refused_at_once() -> None:
    with pytest.raises(TooLargeError):
        gunzip(gzip.compress(b"") * (MOST_MEMBERS + 1), 1000)


def test_a_damaged_one_is_noticed() -> None:
    packed = bytearray(gzip.compress(b"some text"))
    packed[-6] ^= 1  # of the checksum
    with pytest.raises(ValueError, match="gzip"):
        gunzip(bytes(packed), 0)
