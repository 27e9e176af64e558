"""Bounded, forgiving reading of JSON: what the parsers of PyPI's formats share.

Fields are declared as `msgspec.Raw` in the wire structs of the parsers: nothing is built before its size was
looked at, and a field of a wrong type costs itself and not the package. Text that reaches a record holds no
NUL (PostgreSQL's text refuses it) and no lone surrogate (msgspec refuses the document).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar, cast

import msgspec

from pyf_scrapy.exceptions import ParseError

T = TypeVar("T")

NULL: Final = msgspec.Raw(b"null")  # the default of every Raw field: absent reads as null

MAX_NAME: Final = 255  # characters; the longest real names have about 80
MAX_VERSION: Final = 512  # characters
MAX_TEXT: Final = 1_000_000  # bytes of JSON; a licence text has 40 kB, a long list of requirements 10 kB
MAX_DESCRIPTION: Final = 16_000_000  # bytes of JSON; the renderer has its own, lower bound
MAX_OBJECTS: Final = 500_000  # objects, and arrays, in one list; the largest projects have some 40,000 files
MAX_COMMAS: Final = 2_000_000  # members of the objects in one list; a file has about 25
MAX_INT: Final = 2**63 - 1  # stores and Typesense count in int64
_SMALL: Final = 1_000_000  # bytes that cannot become a memory bomb: at most some 50 MB of records

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)

# The core metadata specification's form of `Name` (PEP 508), in ASCII only.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class _Digests(msgspec.Struct):
    sha256: msgspec.Raw = NULL


_text: Final[msgspec.json.Decoder[str | None]] = msgspec.json.Decoder(str | None)
_scalar: Final[msgspec.json.Decoder[bool | int | float | str | None]] = msgspec.json.Decoder(
    bool | int | float | str | None
)
_texts: Final = msgspec.json.Decoder(list[str] | None)
_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_digests: Final = msgspec.json.Decoder(_Digests | None)
_mapping: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turn everything that msgspec raises about hostile bytes into ParseError(what, reason)."""
    try:
        yield
    except RecursionError as error:
        raise ParseError(what, "nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # ValidationError is a DecodeError
        raise ParseError(what, str(error)) from error


def bounded(data: bytes | msgspec.Raw, *, objects: int = MAX_OBJECTS, commas: int = MAX_COMMAS) -> bool:
    """Whether decoding `data` stays within memory: many tiny objects cost forty times their bytes."""
    if len(data) <= _SMALL:
        return True
    data = bytes(data)
    return data.count(b"{") <= objects and data.count(b"[") <= objects and data.count(b",") <= commas


def required(what: str, field: str, decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T:
    """The structure that a record cannot do without. Raises ParseError when too large or of a wrong type."""
    if not bounded(raw):
        raise ParseError(what, f"{field} holds too many elements")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise ParseError(what, f"{field}: {error}") from error


def optional(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T | None:
    """A structure that may be missing: None when it is null, of a wrong type or too large."""
    if raw is NULL or not bounded(raw):
        return None
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        return None


def verbatim(raw: msgspec.Raw, limit: int = MAX_TEXT) -> str | None:
    """Text as it stands; None when it is null, no text, or longer than `limit` bytes of JSON."""
    if raw is NULL or len(raw) > limit:
        return None
    try:
        return _text.decode(raw)
    except msgspec.ValidationError:
        return None


def text(raw: msgspec.Raw) -> str | None:
    """Stripped text; None also for the empty text and the word UNKNOWN, which old tools sent instead."""
    value = verbatim(raw)
    return known(value) if value is not None else None


def known(value: str) -> str | None:
    """`value` stripped and without NUL; None when nothing or only the word UNKNOWN is left."""
    value = value.replace("\0", "").strip()
    return None if value in ("", "UNKNOWN") else value


def texts(raw: msgspec.Raw) -> tuple[str, ...] | None:
    """A list of texts; None when it is null, no list or too long. Elements that say nothing are left out."""
    if raw is NULL or len(raw) > MAX_TEXT:
        return None
    try:
        values = _texts.decode(raw)
    except msgspec.ValidationError:
        items = optional(_items, raw)
        if items is None:
            return None
        return tuple(value for item in items if (value := text(item)) is not None)
    if values is None:
        return None
    return tuple(clean for value in values if (clean := known(value)) is not None)


def mapping(raw: msgspec.Raw) -> dict[str, str] | None:
    """An object of texts; None when nothing is left of it. Members that say nothing are left out."""
    if raw is NULL or len(raw) > MAX_TEXT:
        return None
    members = optional(_mapping, raw) or {}
    cleaned = {key.replace("\0", "").strip(): text(value) for key, value in members.items()}
    return {key: value for key, value in cleaned.items() if value is not None} or None


def scalar(raw: msgspec.Raw) -> bool | int | float | str | None:
    """A number, text or bool as it stands; None for null, arrays, objects and numbers out of range."""
    if raw is NULL or len(raw) > MAX_TEXT:
        return None
    try:
        return _scalar.decode(raw)
    except msgspec.ValidationError:
        return None


def flag(raw: msgspec.Raw) -> bool | None:
    """True or False; None for everything else."""
    value = scalar(raw)
    return value if isinstance(value, bool) else None


def count(raw: msgspec.Raw) -> int | None:
    """A serial or a size; see `as_count`."""
    return as_count(scalar(raw))


def as_count(value: bool | int | float | str | None) -> int | None:
    """A whole number from 0 to 2**63 - 1, also when sent as digits; None for everything else."""
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_INT else None


def as_counts(values: list[int | str | None]) -> list[int | None]:
    """`as_count` of each; of numbers alone, as PyPI sends them, in a fraction of the time."""
    numbers = cast(list[int], values) if set(map(type, values)) == {int} else []
    if numbers and min(numbers) >= 0 and max(numbers) <= MAX_INT:
        return list(numbers)
    return [as_count(value) for value in values]


def epoch(value: str | None) -> int | None:
    """Seconds since 1970 UTC of an ISO 8601 time (no zone = UTC, fraction cut off); None if it is none."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - _EPOCH) // _SECOND
    return seconds if seconds >= 0 else None


def sha256(raw: msgspec.Raw) -> str:
    """The sha256 of an object of hashes, "" when there is none or it is not 64 hexadecimal digits."""
    digests = optional(_digests, raw)
    value = (text(digests.sha256) or "").lower() if digests else ""
    return value if _SHA256.fullmatch(value) else ""


def is_name(name: str) -> bool:
    """Whether `name` is a project name by the core metadata specification, and of sane length."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def are_names(names: Sequence[str]) -> bool:
    """Whether each of them is one (`is_name`), in a tenth of the time."""
    text = "\n".join(("", *names, ""))
    parted = text.replace("_", "-").replace(".", "-")
    return not names or (
        max(map(len, names)) <= MAX_NAME
        and text.isascii()
        and text.count("\n") == len(names) + 1
        and not any(bad in parted for bad in ("\n\n", "\n-", "-\n"))
        and parted.replace("\n", "").replace("-", "").isalnum()
    )


def checked_name(what: str, field: str, name: str | None) -> str:
    """`name` as it stands. Raises ParseError when it is missing or not a project name."""
    if not name:
        raise ParseError(what, f"{field} is missing")
    if not is_name(name):
        raise ParseError(what, f"{field} {name[:80]!a} is not a project name")
    return name


def checked_version(what: str, field: str, value: str | None) -> str:
    """A version string as listed, which need not be PEP 440. Raises ParseError when it cannot be a key."""
    if value is None or not value.strip():
        raise ParseError(what, f"{field} is missing")
    if len(value) > MAX_VERSION or "\0" in value:
        raise ParseError(what, f"{field} {value[:80]!a} is not a version")
    return value
