"""A README for the page that shows it: made fit for the place, and sanitised again at the end."""

from __future__ import annotations

import lxml.html

from pyf_scrapy.metadata.descriptions import sanitise
from pyf_scrapy.search.cleaning import UNWANTED

#: The level of the highest heading: below the page's own.
_TOP = 3
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LANDMARKS = ("main", "nav", "header", "footer", "aside")


def shown(html: str) -> str:
    """The HTML of a document's `description` for a page: nothing in it loads anything from elsewhere.

    It comes in a <div>. Images become links, so that nobody is told who reads the page; headings follow those
    of the page, one level after the other, so that a screen reader can go through them; empty headings and
    links go.
    """
    if not html.strip():
        return ""
    tree = lxml.html.fragment_fromstring(UNWANTED.sub("\ufffd", html), create_parent="div")
    _replace_images(tree)
    _settle_headings(tree)
    for element in tree.iter(*_LANDMARKS):
        element.tag = "div"
    for link in list(tree.iter("a")):
        if not (link.text_content() or "").strip():
            link.drop_tag()
    for cell in tree.iter("th"):
        if not (cell.text_content() or "").strip():
            cell.tag = "td"
    return sanitise(lxml.html.tostring(tree, encoding="unicode", with_tail=False))


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
            heading.drop_tag()
            continue
        level = int(heading.tag[1])
        if shift is None:
            shift = _TOP - level
        last = min(max(level + shift, _TOP), last + 1, 6)
        heading.tag = f"h{last}"
