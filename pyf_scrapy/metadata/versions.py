"""Version strings: the numbers in them, and a key whose plain string order is the order of releases.

The order is the one in which PyPI chooses a project's latest release: not yanked, then stable, then
PEP 440 (https://packaging.python.org/en/latest/specifications/version-specifiers/). The key is made of
0-9 and a-z only, because Typesense drops other characters before it compares strings, and no part of it
is the beginning of another. It reads, from the left:

    tier         5 stable, 4 pre-release, 3 and 2 the same yanked, 1 not PEP 440, 0 that yanked
    epoch        a number
    release      its numbers without trailing zeros, then 0
    pre          0 dev release of a final one, 1 a, 2 b, 3 rc (each with its number), 4 none
    post         0 none, 1 and its number
    dev          0 and its number, 1 none
    local        0 none, 1 and its segments
    spelling     how many numbers the release was written with, then z if normalised, else a digest

    a number     its length (1-9, a-y for 10-34, from there z and four digits), then its digits
    segments     2 and a number, or 1 and a word and 0 (each digit in a word follows a 1); after the last 0
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from string import ascii_lowercase, digits

from packaging.version import InvalidVersion, Version

# Longer strings are not parsed: no file name holds them, and int() refuses more than 4,300 digits.
MAX_PARSED = 4000
# Typesense looks at the first 2,000 characters of a string when it sorts.
MAX_SORTABLE = 2000
# What an int64 field of the index holds.
MAX_INT64 = 2**63 - 1

_CACHED = 100  # longer versions are computed each time, so that hostile ones cannot fill the memory
_LENGTHS = f"{digits}{ascii_lowercase}"
_PRE_RELEASES = {"a": "1", "b": "2", "rc": "3"}
_STABLE, _PRE_RELEASE, _LEGACY = "5", "4", "1"
_YANKED = {_STABLE: "3", _PRE_RELEASE: "2", _LEGACY: "0"}
_RUN = re.compile(r"[0-9]+|[a-z]+")
_DIGIT = re.compile(r"([0-9])")


@dataclass(frozen=True, slots=True)
class VersionFields:
    """What a document says about its version.

    `raw` is the string as PyPI lists it. `major`, `minor` and `bugfix` are the first three numbers of
    the release (0 when absent, at most `MAX_INT64`; the epoch stands in `sortable` only). `postfix` is
    what follows them, normalised and without a leading dot: "a1", "rc1", "post1", "dev2", "+local", and
    "1rc1" for the fourth number and the rest of 4.3.11.1rc1. A string that is not PEP 440 has 0, 0, 0, "".
    """

    raw: str
    major: int
    minor: int
    bugfix: int
    postfix: str
    sortable: str
    is_prerelease: bool


def version_fields(version: str, *, yanked: bool = False) -> VersionFields:
    """Take a version string apart; raises nothing, whatever the string."""
    key = sortable(version, yanked=yanked)
    parsed = _parse(version)
    if parsed is None:
        return VersionFields(version, 0, 0, 0, "", key, False)
    major, minor, bugfix = (min(number, MAX_INT64) for number in (*parsed.release, 0, 0)[:3])
    return VersionFields(version, major, minor, bugfix, _postfix(parsed), key, parsed.is_prerelease)


def sortable(version: str, *, yanked: bool = False) -> str:
    """Return the key by which releases order as plain strings, the most wanted one last.

    Two spellings of one version ("1.0", "1.0.0", "v1.0") have different keys that stand side by side:
    the one with fewer numbers first, the normalised one after others. Strings that are not PEP 440 are
    ordered among themselves by their runs of digits (as numbers) and of letters a-z (in any case), a
    number after a word, a longer one after its own beginning; what else is in them only separates.
    A key has at most `MAX_SORTABLE` characters; a longer one is cut and ends with a digest of the version:
    it stays distinct and is ordered by what is left of it.
    """
    tier, rest = _key(version) if len(version) <= _CACHED else _compute_key(version)
    return (_YANKED[tier] if yanked else tier) + rest


def _compute_key(version: str) -> tuple[str, str]:
    """Return the tier of a version that is not yanked, and the rest of its key."""
    parsed = _parse(version)
    if parsed is None:
        runs = _RUN.findall(version[:MAX_PARSED].lower())
        tier, rest = _LEGACY, _segments(runs) + _digest(version)
    else:
        tier, rest = _PRE_RELEASE if parsed.is_prerelease else _STABLE, _pep440(parsed)
        rest += _number(len(parsed.release)) + ("z" if str(parsed) == version else _digest(version))
    if len(rest) >= MAX_SORTABLE:
        tail = _digest(version)
        rest = rest[: MAX_SORTABLE - 1 - len(tail)] + tail
    return tier, rest


_key = lru_cache(maxsize=16_384)(_compute_key)


def _parse(version: str) -> Version | None:
    if len(version) > MAX_PARSED:
        return None
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _pep440(version: Version) -> str:
    release = list(version.release)
    while release and not release[-1]:
        release.pop()
    if version.pre is not None:
        pre = _PRE_RELEASES[version.pre[0]] + _number(version.pre[1])
    else:
        pre = "0" if version.dev is not None and version.post is None else "4"
    return "".join(
        (
            _number(version.epoch),
            *map(_number, release),
            "0",
            pre,
            "0" if version.post is None else "1" + _number(version.post),
            "1" if version.dev is None else "0" + _number(version.dev),
            "0" if version.local is None else "1" + _segments(version.local.split(".")),
        )
    )


def _number(value: int | str) -> str:
    text = str(value)
    length = len(text)
    return (_LENGTHS[length] if length < 35 else f"z{length:04}") + text


def _segments(segments: Iterable[str]) -> str:
    return (
        "".join(
            "2" + _number(segment.lstrip("0") or "0")
            if segment.isdecimal()
            else "1" + _DIGIT.sub(r"1\1", segment) + "0"
            for segment in segments
        )
        + "0"
    )


def _digest(version: str) -> str:
    return blake2b(version.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _postfix(version: Version) -> str:
    """Return what follows the third number of the release, normalised."""
    release = ".".join(map(str, version.release))
    epoch = f"{version.epoch}!" if version.epoch else ""
    further = ".".join(map(str, version.release[3:]))
    return further + str(version)[len(epoch) + len(release) :].removeprefix("" if further else ".")
