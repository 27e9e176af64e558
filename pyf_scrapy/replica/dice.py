"""Repeatable chance: the same key gives the same draws on every machine and Python version.

Only `Random.random()` is used: of all of `random` it is what the language promises to keep.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_NORMAL = NormalDist()


class Dice:
    """Draws that depend on nothing but the key: `Dice(seed, number, "readme")`."""

    __slots__ = ("fraction",)

    def __init__(self, *key: int | str) -> None:
        digest = blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest()
        self.fraction = Random(int.from_bytes(digest)).random
        """The next number in [0, 1)."""

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each equally likely."""
        return choices[int(self.fraction() * len(choices))]

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return self.fraction() < share

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.fraction() * (high - low + 1))

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """At most `count` different choices, in random order."""
        rest = list(choices)
        taken = []
        for _ in range(min(count, len(rest))):
            taken.append(rest.pop(int(self.fraction() * len(rest))))
        return taken

    def skewed(self, median: float, spread: float) -> float:
        """A log-normal draw: many near the median, a few far above it."""
        return median * math.exp(spread * _NORMAL.inv_cdf(self.fraction() * 0.999_998 + 0.000_001))


def shuffled(size: int, *key: int | str) -> array[int]:
    """The numbers 0 to size-1 in an order that depends on the key only, four bytes each."""
    numbers = array("I", range(size))
    fraction = Dice(*key).fraction
    for last in range(size - 1, 0, -1):
        other = int(fraction() * (last + 1))
        numbers[last], numbers[other] = numbers[other], numbers[last]
    return numbers


def mixed(number: int, seed: int) -> int:
    """32 bits that look random: a draw for a million names, where dice would take ten seconds."""
    bits = (number * 0x9E3779B1 + seed * 0x85EBCA6B + 0x6D2B79F5) & 0xFFFF_FFFF
    bits = ((bits ^ bits >> 15) * 0x2C1B3C6D) & 0xFFFF_FFFF
    bits = ((bits ^ bits >> 12) * 0x297A2D39) & 0xFFFF_FFFF
    return bits ^ bits >> 15
