"""How the releases of an invented project are numbered and dated."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from pyf_scrapy.replica.dice import Dice

DAY = 86_400

_LEGACY = (
    "1.0-final",
    "0.1-step10",
    "0.2-Zope2.9dev",
    "1.0dev-r82790",
    "0.7.1.fix1",
    "unknown",
    "2004d",
    "0.4.5-",
)
"""Kinds of strings that PyPI accepted until 2016 and PEP 440 does not allow."""
_UNUSUAL = ("1.0alpha1", "1.00", "0.1dev", "1.1.0-beta", "0.9c1", "3.1.26-1", "0.01", "1.0.0-rc.1")
"""Allowed, but not in the normal form."""


class OrderKey(NamedTuple):
    """Sorts as PyPI does: strings that are not PEP 440 below all versions."""

    is_valid: bool
    version: Version | str

    @property
    def is_prerelease(self) -> bool:
        """As PyPI sees it: strings that are not PEP 440 are none."""
        return isinstance(self.version, Version) and self.version.is_prerelease


@lru_cache(8192)
def order_key(version: str) -> OrderKey:
    """Where a version stands among others; kept, because most projects number alike."""
    try:
        return OrderKey(True, Version(version))
    except InvalidVersion:
        return OrderKey(False, version)


def release_times(dice: Dice, newest: int, count: int, now: int) -> list[int]:
    """Upload times of `count` releases in microseconds since 1970, oldest first, the last at `newest`."""
    oldest_day = now // DAY - 20 * 365
    pace = dice.skewed(45, 1.0)
    days = 0.0
    ages = []
    for _ in range(count - 1):
        days += 0.02 - pace * math.log(1 - dice.fraction())
        ages.append(days)
    room = max(1.0, newest / DAY - oldest_day)
    shrink = min(1.0, room / days) if days else 1.0
    times = [newest - int(age * shrink * DAY) for age in reversed(ages)]
    times.append(newest)
    return [time * 1_000_000 + (0 if dice.chance(0.05) else dice.between(1, 999_999)) for time in times]


def version_strings(dice: Dice, times: list[int]) -> list[str]:
    """One version for each upload time, all different, oldest first."""
    style = dice.fraction()
    old = times[-1] < 1_450_000_000_000_000
    taken: dict[str, None] = {}
    step = _Calendar() if style < 0.06 else _Numbers(dice, style)
    for time in times:
        version = step.next(dice, time)
        if old and not step.unfinished and dice.chance(0.04):
            version = dice.pick(_LEGACY)
        elif old and dice.chance(0.03):
            version = dice.pick(_UNUSUAL)
        while version in taken:
            version = step.next(dice, time)
        taken[version] = None
    versions = list(taken)
    if len(versions) > 2 and dice.chance(0.02):
        _spell_twice(versions)
    return versions


def _spell_twice(versions: list[str]) -> None:
    """Makes the second release another spelling of the first one's version (`0.1.2`, `0.1.02`)."""
    head, dot, last = versions[0].rpartition(".")
    second = f"{head}.0{last}"
    if dot and last.isdigit() and second not in versions:
        versions[1] = second


class _Calendar:
    """2026.4, 2026.4.1, ..."""

    unfinished = False

    def __init__(self) -> None:
        self._month = ""
        self._count = 0

    def next(self, _dice: Dice, time: int) -> str:
        day = datetime.fromtimestamp(time // 1_000_000, UTC)
        month = f"{day.year}.{day.month}"
        self._count = self._count + 1 if month == self._month else 0
        self._month = month
        return f"{month}.{self._count}" if self._count else month


class _Numbers:
    """1.2.3 in its varieties: two or four parts, one huge part, an epoch, pre-, post- and dev releases."""

    def __init__(self, dice: Dice, style: float) -> None:
        self._parts = [0, dice.between(0, 1), 0] if dice.chance(0.6) else [1, 0, 0]
        self._pre: list[str] = []
        self._keep = 2 if style < 0.2 else 4 if style < 0.23 else 3
        self._huge = 0.23 <= style < 0.236
        self._epoch = "1!" if 0.236 <= style < 0.24 else ""
        self._pre_releases = dice.chance(0.25)
        self.unfinished = dice.chance(0.06)
        self._posts = dice.chance(0.05)

    def next(self, dice: Dice, time: int) -> str:
        if not self._pre:
            self._bump(dice)
            self._pre = self._stages(dice)
        suffix = self._pre.pop(0)
        return self._epoch + self._text(time) + suffix

    def _bump(self, dice: Dice) -> None:
        major, minor, patch = self._parts
        draw = dice.fraction()
        if draw < 0.05:
            self._parts = [major + 1, 0, 0]
        elif draw < 0.4 or self._keep == 2:
            self._parts = [major, minor + 1, 0]
        else:
            self._parts = [major, minor, patch + 1]

    def _stages(self, dice: Dice) -> list[str]:
        """The suffixes that this number goes through; `""` is the final release."""
        stages = []
        if self.unfinished or (self._pre_releases and dice.chance(0.4)):
            stages = dice.pick(
                (["a1"], ["a1", "a2"], ["b1", "rc1"], ["a1", "b1", "rc1"], [".dev0"], ["rc1", "rc2"])
            )
        if not self.unfinished:
            stages = [*stages, ""]
            if self._posts and dice.chance(0.2):
                stages.append(".post1")
        return list(stages)

    def _text(self, time: int) -> str:
        if self._huge:
            moment = datetime.fromtimestamp(time // 1_000_000, UTC)
            return f"{self._parts[0]}.{self._parts[1]}.{moment:%Y%m%d%H%M%S}"
        parts = self._parts[:2] if self._keep == 2 else self._parts
        return ".".join(map(str, [*parts, 0] if self._keep == 4 else parts))
