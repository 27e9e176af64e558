"""What strangers write, made fit for a document: bounded texts without control characters, safe addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses
from html import escape
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

Item = TypeVar("Item")

MAX_LINE = 2_000  # bytes, for texts of one line and addresses
MAX_ITEM = 300  # bytes, for the items of a list
MAX_LIST = 60_000  # bytes, for all items of a list
MAX_LICENSE = 200  # characters; longer ones are the whole text of a license
# Addresses are parsed only up to here: the parser's time grows with the square of commas and quotes.
MAX_PARSED_ADDRESSES = 5_000

# A terminal's escape sequences go whole: "[31m" would be left of a red word.
ESCAPES = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")
# All but tab and line ends of C0, DEL, C1, lone surrogates, and the two code points that are no characters.
UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(value: str | None, limit: int) -> str:
    """`value` without control characters, cut so that it needs at most `limit` bytes as JSON; None is ""."""
    if not value:
        return ""
    if value.isascii() and value.isprintable() and 2 * len(value) <= limit:
        return value.strip()  # as nearly all are: nothing to take out, and short even if each is a quote
    return cut(UNWANTED.sub("", ESCAPES.sub("", value)).strip(), limit)


def line(value: str | None, limit: int = MAX_LINE) -> str:
    """`text` with every run of white space as one blank."""
    return " ".join(text(value, limit).split())


def items(values: Iterable[str] | None) -> list[str]:
    """The non-empty values, each once, as `line`, as far as they need at most `MAX_LIST` bytes."""
    return within(_distinct(values or ()), MAX_LIST)


def _distinct(values: Iterable[str]) -> Iterator[str]:
    seen = {""}
    for value in values:
        cleaned = line(value, MAX_ITEM)
        if cleaned not in seen:
            seen.add(cleaned)
            yield cleaned


def within(values: Iterable[Item], limit: int) -> list[Item]:
    """The first of `values`, as many as need at most `limit` bytes as JSON."""
    kept = []
    for value in values:
        limit -= len(msgspec.json.encode(value)) + 1
        if limit < 0:
            break
        kept.append(value)
    return kept


def html(value: str, limit: int, plain: str) -> str:
    """Sanitised HTML of at most about `limit` bytes as JSON; where it is longer, `plain` in a <pre>.

    Sanitised HTML may not be cut, and nothing may be deleted from it: without its control character the
    address "java\\x01script:" would work. U+FFFD takes their place.
    """
    shown = UNWANTED.sub("\ufffd", value)
    if json_size(shown) <= limit:
        return shown
    readable = f"<pre>{escape(cut(plain, limit))}</pre>"
    # A quote needs 6 bytes when escaped.
    return readable if json_size(readable) <= limit else f"<pre>{escape(cut(plain, limit // 6))}</pre>"


def cut(value: str, limit: int) -> str:
    """The beginning of `value` that needs at most `limit` bytes as JSON (quotes and line ends need two)."""
    if json_size(value) <= limit:
        return value
    start = value.encode()[:limit].decode(errors="ignore")
    if json_size(start) <= limit:
        return start
    return start.encode()[: limit // 2].decode(errors="ignore")


def json_size(value: str) -> int:
    """Bytes that a string without control characters takes in JSON, without its quotes."""
    return len(msgspec.json.encode(value)) - 2


def url(value: str | None) -> str:
    """The address if it is http or https with a host, else "": javascript:, data:, "UNKNOWN", "www.x.org"."""
    cleaned = UNWANTED.sub("", value or "").strip()
    if not cleaned or len(cleaned) > MAX_LINE or len(cleaned.split(maxsplit=1)) > 1:
        return ""
    try:
        parts = urlsplit(cleaned)
        return cleaned if parts.scheme in ("http", "https") and parts.hostname else ""
    except ValueError:  # "http://[": not an address
        return ""


def people(addresses: str | None) -> str:
    """The names in a list of e-mail addresses (PEP 621), separated by commas; "" where it has none.

    Names are taken after the list is split, then decoded (RFC 2047), so that a comma within one stays. One of
    thousands of parentheses or groups within each other has none.
    """
    try:
        parsed = getaddresses([line(addresses, MAX_PARSED_ADDRESSES)])
    except RecursionError:
        return ""
    names = dict.fromkeys(decoded for name, _ in parsed if (decoded := decoded_words(name)))
    return line(", ".join(names))


def decoded_words(value: str) -> str:
    """Encoded words ("=?utf-8?q?Jos=C3=A9?=") as what they mean; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return line(value)
    try:
        return line(str(make_header(decode_header(value))))
    except (HeaderParseError, LookupError, ValueError):
        return line(value)


def short_license(license_text: str | None, expression: str | None) -> str:
    """The license in short: as given, but the SPDX expression where it is missing or a whole license text.

    A whole text without an expression is cut to its first line ("MIT License").
    """
    given = text(license_text, MAX_ITEM * 100)
    if given and len(given) <= MAX_LICENSE:
        return line(given)
    if expression:
        return line(expression, MAX_LICENSE)
    return line(given.partition("\n")[0], MAX_LICENSE)
