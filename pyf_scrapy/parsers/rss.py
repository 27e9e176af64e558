"""PyPI's feeds (RSS 2.0, once 0.91): the newest releases, the newest projects, the releases of a project.

Name and version are taken from the link of an entry: it carries the normalised name, and a title cannot be
taken apart for certain. An answer that is no feed is an error, never a feed without entries.
"""

from __future__ import annotations

import io
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire

_FEED: Final = "feed"

MAX_BODY: Final = 10_000_000  # bytes; a feed has 30 kB, but uploaders choose the length of the texts in it
MAX_READ: Final = 400_000  # characters of what is left when those texts are cut out; some 200 an entry
MAX_ENTRIES: Final = 1_000  # PyPI lists 100 releases or 40 projects
_MAX_TAGS: Final = 10 * MAX_ENTRIES  # four elements an entry
_MAX_DATE: Final = 100  # characters
_LATEST: Final = 4_102_444_799  # epoch seconds, the end of 2099; a later date is a mistake

_FIRST_ELEMENT: Final = re.compile(r"<([A-Za-z][^\s/<>]*)")
#: Every tag but those that are read, with the text behind it; declarations, comments and CDATA too.
_UNREAD: Final = re.compile(r"<(?!/?(?:rss|channel|item|link|guid|pubDate)[\s/>])[^<>]*(?:>[^<]*)?")
_PROJECT: Final = re.compile(r"/(?:project|pypi)/([^/]+)(?:/([^/]+))?/?")  # /pypi/ until 2018

_HEADERS: Final = {"content-type": "application/xml; charset=utf-8"}


class FeedEntry(msgspec.Struct, frozen=True):
    """One line of a feed. `version` is None in the feed of new projects; `published` is epoch seconds."""

    normalized_name: str
    version: str | None = None
    published: int | None = None


def parse_feed(body: bytes) -> list[FeedEntry]:
    """The entries in the feed's order; those without a usable link are left out. Raises ParseError only.

    What is cut off or not well-formed is used as far as it goes. It is an error when nothing of it can be
    used: then PyPI's links look different, or it is the feed of something else.
    """
    feed = _parsed(_readable(body))
    entries = [entry for item in feed.entries if (entry := _entry(item)) is not None]
    if not entries and feed.bozo:
        raise ParseError(_FEED, "cut off or malformed before the end of its first entry")
    if not entries and feed.entries:
        raise ParseError(_FEED, f"none of its {len(feed.entries)} entries links to a project")
    return entries


def _readable(body: bytes) -> str:
    """The feed reduced to the elements that are read. Raises ParseError when it is none or too large.

    The e-mail pattern of feedparser takes quadratic time on texts that an uploader chooses (40 kB: 12 s),
    and its pattern of a DOCTYPE on blank lines. Entities cannot be expanded when none is declared.
    """
    if len(body) > MAX_BODY:
        raise ParseError(_FEED, f"larger than {MAX_BODY:,} bytes")
    text = body.decode("utf-8", "replace")  # names, versions and dates are ASCII in any encoding
    first = _FIRST_ELEMENT.search(text)
    if first is None or first[1] != "rss":
        raise ParseError(_FEED, "not a feed")
    text = " ".join(_UNREAD.sub("", text).split())
    if "<channel" not in text:
        raise ParseError(_FEED, "not a feed: without a channel")
    if text.count("<item") > MAX_ENTRIES or text.count("<") > _MAX_TAGS or len(text) > MAX_READ:
        raise ParseError(_FEED, f"more than {MAX_ENTRIES:,} entries, or too long ones")
    return text


def _parsed(text: str) -> Any:
    import feedparser  # type: ignore[import-untyped]  # takes 0.1 s, and every command imports this module

    stream = io.BytesIO(text.encode())  # bytes alone would be tried as the name of a file
    try:
        return feedparser.parse(
            stream, response_headers=_HEADERS, resolve_relative_uris=False, sanitize_html=False
        )
    except Exception as error:  # it lets through whatever its parts raise, as for &#xD800;
        raise ParseError(_FEED, f"malformed: {type(error).__name__}") from error


def _entry(item: Any) -> FeedEntry | None:
    try:
        link = item.get("link")  # bytes for some broken feeds
        path = _PROJECT.fullmatch(urlsplit(link).path) if isinstance(link, str) else None
        if path is None:
            return None
        name = unquote(path[1], errors="strict")
        version = unquote(path[2], errors="strict") if path[2] else None
    except ValueError:  # no URL, or not UTF-8
        return None
    if not wire.is_name(name) or not (version is None or _is_version(version)):
        return None
    return FeedEntry(str(canonicalize_name(name)), version, _epoch(item.get("published")))


def _is_version(version: str) -> bool:
    """Whether `version` can be part of a key and of a URL; it need not be PEP 440."""
    return (
        len(version) <= wire.MAX_VERSION
        and version.isprintable()
        and "/" not in version
        and version.strip(" .") != ""
    )


def _epoch(date: Any) -> int | None:
    """Epoch seconds of an RFC 822 date (no zone = UTC), None if it is none or not of 1970 to 2099.

    Not `published_parsed`: feedparser takes dates of other forms by the local time zone and the clock.
    """
    if not isinstance(date, str) or len(date) > _MAX_DATE:
        return None
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return seconds if 0 <= seconds <= _LATEST else None
