"""How much of PyPI's index the store has seen, and for how long it has not seen the rest (rule R6); pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyf_scrapy.store import IndexRead
from pyf_scrapy.store.index_file import NO_SERIAL
from pyf_scrapy.sync.work_list import differences


@dataclass(frozen=True)
class Unchecked:
    """The projects of an index of which the store has not seen the serial: how many, and their lowest one.

    `lowest` is None when there are none with a serial.
    """

    count: int
    lowest: int | None


def unchecked(index: Iterable[tuple[str, int, int]], stored: Iterable[tuple[str, int]]) -> Unchecked:
    """What differs between the index (name, serial, place) and the store (name, serial), both by name.

    A project without a serial is never checked, and says nothing about the age of what is not.
    """
    count, lowest = 0, None
    for _, serial, _, differs in differences(index, stored):
        if differs:
            count += 1
            if serial != NO_SERIAL and (lowest is None or serial < lowest):
                lowest = serial
    return Unchecked(count, lowest)


def waiting_since(serial: int, reads: Sequence[IndexRead]) -> int:
    """When an index first told of the change with this serial (epoch seconds); `reads` by serial, not empty.

    An index with the serial N tells of every change up to N. A project's serial may be higher than the one
    of the index that lists it (both are read one after the other): then it was the last index. What is older
    than the first index counts from that one on.
    """
    place = bisect_left(reads, serial, key=lambda read: read.serial)
    return reads[min(place, len(reads) - 1)].first_read_at
