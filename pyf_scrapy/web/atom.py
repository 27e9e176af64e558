"""Atom (RFC 4287) and OPML 2.0 as XML. Without I/O; what strangers wrote is cleaned and escaped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from pyf_scrapy.search.cleaning import line

ATOM = "application/atom+xml; charset=utf-8"
OPML = "text/x-opml; charset=utf-8"
_NAMESPACE = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True)
class Entry:
    """One piece of news. `key` is what tells it from all others, for ever; times are epoch seconds UTC."""

    key: str
    title: str
    link: str
    updated: int
    published: int
    summary: str
    author: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subscription:
    """A feed in a list of feeds: its address, and the page of what it is about."""

    title: str
    feed: str
    page: str
    text: str


def atom(title: str, key: str, own_address: str, page: str, entries: Iterable[Entry], *, since: int) -> bytes:
    """A feed. `key` is what tells it from all others, wherever it is read: now at `own_address`. `page` is
    what it is about; without entries it is as of `since`."""
    entries = list(entries)
    feed = Element("feed", xmlns=_NAMESPACE)
    _text(feed, "title", title)
    _text(feed, "id", _identifier(key))
    _text(feed, "updated", _moment(max((entry.updated for entry in entries), default=since)))
    _text(SubElement(feed, "author"), "name", "pyf_scrapy")
    _text(feed, "generator", "pyf_scrapy")
    SubElement(feed, "link", rel="self", type="application/atom+xml", href=own_address)
    SubElement(feed, "link", rel="alternate", type="text/html", href=page)
    for entry in entries:
        _entry(feed, entry)
    return _written(feed)


def opml(title: str, subscriptions: Iterable[Subscription]) -> bytes:
    """A list of feeds that feed readers import."""
    document = Element("opml", version="2.0")
    _text(SubElement(document, "head"), "title", title)
    body = SubElement(document, "body")
    for one in subscriptions:
        SubElement(
            body,
            "outline",
            type="rss",
            text=line(one.title),
            title=line(one.title),
            description=line(one.text),
            xmlUrl=one.feed,
            htmlUrl=one.page,
        )
    return _written(document)


def _entry(feed: Element, entry: Entry) -> None:
    element = SubElement(feed, "entry")
    _text(element, "title", entry.title)
    _text(element, "id", _identifier(entry.key))
    _text(element, "updated", _moment(entry.updated))
    _text(element, "published", _moment(entry.published))
    SubElement(element, "link", rel="alternate", type="text/html", href=entry.link)
    _text(SubElement(element, "author"), "name", entry.author or "unknown")
    for category in entry.categories:
        SubElement(element, "category", term=line(category))
    _text(element, "summary", entry.summary)


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = line(text)


def _identifier(key: str) -> str:
    return uuid5(NAMESPACE_URL, key).urn


def _moment(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _written(root: Element) -> bytes:
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written
