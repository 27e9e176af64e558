"""A README for the page that shows it: made fit for the place, and sanitised again at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import lxml.etree
import lxml.html

from pyf_scrapy.metadata.descriptions import sanitise
from pyf_scrapy.search.cleaning import UNWANTED

#: The level of the highest heading: below the page's own.
_TOP = 3
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: What an element becomes that is not to be seen: to take out one of many takes as long as to count them.
_NOTHING = "span"
_LANDMARKS = ("main", "nav", "header", "footer", "aside")
#: Levels of nesting that are kept. lxml's own bound would end the README there; without one, a README of tags
#: alone would take minutes.
_MOST_LEVELS = 200
#: Of elements and attributes that are known here; a tree has not all that a parser takes for one.
_NAME = re.compile("[a-z][a-z0-9-]*")
#: READMEs that are kept as they are shown, each of some hundred kB at most: a hostile one takes a second.
_KEPT = 32


@lru_cache(_KEPT)
def shown(html: str) -> str:
    """The HTML of a document's `description` for a page: nothing in it loads anything from elsewhere.

    It comes in a <div>. Images become links, so that nobody is told who reads the page; headings follow those
    of the page, one level after the other, so that a screen reader can go through them; empty headings and
    links are none any more. What is nested deeper than anybody means stays, without its tags.
    """
    if not html.strip():
        return ""
    tree = _parse(UNWANTED.sub("\ufffd", html))
    _replace_images(tree)
    _settle_headings(tree)
    for element in tree.iter(*_LANDMARKS):
        element.tag = "div"
    for link in list(tree.iter("a")):
        if not (link.text_content() or "").strip():
            link.tag = _NOTHING
    for cell in tree.iter("th"):
        if not (cell.text_content() or "").strip():
            cell.tag = "td"
    return sanitise(lxml.html.tostring(tree, encoding="unicode", with_tail=False))


class _Shallow:
    """Builds the tree of what a parser finds, without the tags that are too deep."""

    def __init__(self) -> None:
        self._builder = lxml.etree.TreeBuilder(element_factory=lxml.html.html_parser.makeelement)
        self._is_kept: list[bool] = []  # of the elements that are open

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._is_kept.append(len(self._is_kept) < _MOST_LEVELS and bool(_NAME.fullmatch(tag)))
        if self._is_kept[-1]:
            self._builder.start(
                tag, {name: text for name, text in attributes.items() if _NAME.fullmatch(name)}
            )

    def end(self, tag: str) -> None:
        if self._is_kept.pop():
            self._builder.end(tag)

    def data(self, text: str) -> None:
        self._builder.data(text)

    def close(self) -> lxml.html.HtmlElement:
        return self._builder.close()


def _parse(html: str) -> lxml.html.HtmlElement:
    """The tree of a fragment, in a <div>."""
    parser = lxml.html.HTMLParser(target=_Shallow(), huge_tree=True)
    tree = lxml.etree.fromstring(f"<html><body>{html}", parser=parser)
    tree.tag = "div"  # what is left of the body inside, `sanitise` takes out
    return tree


def _replace_images(tree: lxml.html.HtmlElement) -> None:
    for image in list(tree.iter("img")):
        words = (image.get("alt") or "").strip() or "image"
        source = image.get("src")
        tail = image.tail or ""
        if any(parent.tag == "a" for parent in image.iterancestors()) or not source:
            shown_as = lxml.html.Element("span")
        else:
            shown_as = lxml.html.Element("a", href=source)
        shown_as.text = f"[{words}]"
        shown_as.tail = tail
        image.getparent().replace(image, shown_as)


def _settle_headings(tree: lxml.html.HtmlElement) -> None:
    last = _TOP - 1
    shift: int | None = None
    for heading in list(tree.iter(*_HEADINGS)):
        if not (heading.text_content() or "").strip():
            heading.tag = _NOTHING
            continue
        level = int(heading.tag[1])
        if shift is None:
            shift = _TOP - level
        last = min(max(level + shift, _TOP), last + 1, 6)
        heading.tag = f"h{last}"
