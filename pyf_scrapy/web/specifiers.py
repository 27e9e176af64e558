"""What users write to say which versions they mean, and how it is compared with what packages say (PEP 440,
PEP 508).

The patterns are exact: what fits them can be read. So they can stand in the description of the API.
"""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_NUMBER = "[0-9]{1,20}"
_EPOCH = f"(?:{_NUMBER}!)?"
_SUFFIX = (
    f"(?:[-_.]?(?:a|b|rc|alpha|beta|c|pre|preview)[-_.]?{_NUMBER})?"
    f"(?:[-_.]?(?:post|rev|r)[-_.]?{_NUMBER})?(?:[-_.]?dev[-_.]?{_NUMBER})?"
)
_VERSION = f"{_EPOCH}{_NUMBER}(?:\\.{_NUMBER}){{0,9}}{_SUFFIX}"
_CLAUSE = (
    f"(?:(?:<=|>=|<|>|==|!=) ?{_VERSION}|(?:==|!=) ?{_EPOCH}{_NUMBER}(?:\\.{_NUMBER}){{0,9}}\\.\\*"
    f"|~= ?{_EPOCH}{_NUMBER}(?:\\.{_NUMBER}){{1,9}}{_SUFFIX})"
)
_SET = f"{_CLAUSE}(?: ?, ?{_CLAUSE}){{0,9}}"

#: A name with a specifier, or without one: "plone.api>=2,<3".
REQUIREMENT_PATTERN = f"^{NAME}(?: ?{_SET})?$"
#: A version, or a specifier: "3.12", ">=3.10".
VERSION_OR_SPECIFIER_PATTERN = f"^(?:{_VERSION}|{_SET})$"

_NAME_FIRST = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_MOST_TEXT = 1_000  # characters of a requirement that are read


def requirement(text: str) -> tuple[str, SpecifierSet]:
    """The normalized name and the specifier of what fits `REQUIREMENT_PATTERN`."""
    read = Requirement(text)
    return str(canonicalize_name(read.name)), read.specifier


def version_or_specifier(text: str) -> Version | SpecifierSet:
    """What fits `VERSION_OR_SPECIFIER_PATTERN`."""
    try:
        return Version(text)
    except InvalidVersion:
        return SpecifierSet(text)


def required_name(text: str) -> str:
    """The normalized name of a requirement as a package writes it; "" where it has none."""
    match = _NAME_FIRST.match(text)
    return str(canonicalize_name(match[1])) if match else ""


def admits(package_says: str, asked: Version | SpecifierSet) -> bool:
    """Whether a specifier that a package gives (its Requires-Python) takes a version, or any of those that
    another specifier takes. What is missing or cannot be read excludes nothing, as pip has it."""
    own = _specifier(package_says)
    if own is None:
        return True
    if isinstance(asked, Version):
        return own.contains(asked, prereleases=True)
    return _meet(package_says, str(asked))


def needs(package_says: str, asked: SpecifierSet) -> bool:
    """Whether a requirement of a package can be met by any of the versions that a specifier takes.

    One that names an address instead of versions may be met by any. Markers and extras do not matter.
    """
    own = read_requirement(package_says)
    return own is not None and (own.url is not None or _meet(str(own.specifier), str(asked)))


@lru_cache(maxsize=65_536)
def _meet(one: str, other: str) -> bool:
    """Whether a version is in both: 0.1 ms to find out, and packages say the same a thousand times."""
    return not (SpecifierSet(one) & SpecifierSet(other)).is_unsatisfiable()


@lru_cache(maxsize=4_096)
def _specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text[:_MOST_TEXT])
    except InvalidSpecifier:
        return None


@lru_cache(maxsize=16_384)
def read_requirement(text: str) -> Requirement | None:
    """A requirement as a package writes it; None for what is none."""
    try:
        return Requirement(text[:_MOST_TEXT])
    except (InvalidRequirement, RecursionError):
        return None
