"""From the parsed tree of a README to plain text: title, first chapter, main content, changelog."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from lxml import etree

# Characters; a field is cut there, so that a search document stays small.
MAX_TEXT = 200_000

# Elements whose content is code or a widget and never text for a reader.
HIDDEN_TAGS = frozenset(
    {
        *("embed", "iframe", "math", "noembed", "noframes", "noscript", "object", "script", "select"),
        *("style", "svg", "template", "textarea", "title"),
    }
)
_BLOCK_TAGS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "br", "button", "caption", "center"),
        *("dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "legend"),
        *("li", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "section", "summary"),
        *("table", "tbody", "tfoot", "thead", "tr", "ul", "video"),
    }
)
_CELL_TAGS = frozenset({"td", "th"})
_HEADING_TAGS = ("h1", "h2", "h3", "h4", "h5", "h6")

_SPACES = re.compile(r"\s+")
_SPACES_OF_A_LINE = re.compile(r"[^\S\n]+")
_AROUND_BREAKS = re.compile(r" ?\n[ \n]*")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")

_CHANGELOG = re.compile(
    r"change ?logs?|changes|news|versions?|history|(change|release|version) history"
    r"|release ?notes?|what(['’]?s| is) new"
)
_NOT_WORDS = re.compile(r"[^\w'’]+|_+")


class Sections(NamedTuple):
    """Plain text only; each at most `MAX_TEXT` characters, lines separated by one newline."""

    title: str
    first_chapter: str
    main_content: str
    changelog: str


@dataclass
class _Chapter:
    """A heading and what follows it up to the next heading; level 0 is the text before the first one."""

    level: int = 0
    heading: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The heading's text, or that of its images when it has no other."""
        return _tidy(self.heading, line=True) or _tidy(self.alternatives, line=True)

    @property
    def text(self) -> str:
        return _tidy([self.title, "\n", *self.body])

    @property
    def is_changelog(self) -> bool:
        words = _NOT_WORDS.sub(" ", self.title.casefold()).strip()
        return _CHANGELOG.fullmatch(words) is not None


def split(tree: etree._Element) -> Sections:
    """Return the plain-text fields of a document.

    `title` is its first heading; `first_chapter` the text up to the second heading, text before the first
    included; `changelog` every section whose heading is one of the usual names, each up to the next heading
    of its own or a higher level; `main_content` all the rest. Headings count at any depth of the tree.
    """
    chapters = _chapters(tree)
    changelog: list[_Chapter] = []
    others: list[_Chapter] = []
    inside: int | None = None
    for chapter in chapters:
        if inside is not None and chapter.level <= inside:
            inside = None
        if inside is None and chapter.is_changelog:
            inside = chapter.level
        (others if inside is None else changelog).append(chapter)
    first = 2 if others and others[0].level == 0 else 1
    return Sections(
        title=next((chapter.title for chapter in chapters if chapter.level), "")[:MAX_TEXT],
        first_chapter=_join(others[:first]),
        main_content=_join(others[first:]),
        changelog=_join(changelog),
    )


def _chapters(tree: etree._Element) -> list[_Chapter]:
    """Cut the document at its headings; a heading without any text is none."""
    chapters = [_Chapter()]
    target = chapters[0].body
    heading: etree._Element | None = None
    verbatim = 0  # open <pre> elements
    walker = etree.iterwalk(tree, events=("start", "end"))
    for event, element in walker:
        tag = element.tag
        if event == "start":
            if tag in HIDDEN_TAGS:
                walker.skip_subtree()
                continue
            if tag in _HEADING_TAGS and heading is None:
                heading = element
                chapters.append(_Chapter(level=int(tag[1])))
                target = chapters[-1].heading
            verbatim += tag == "pre"
            if tag == "img" and heading is not None:
                chapters[-1].alternatives += (element.get("alt", ""), " ")
            _add(target, tag, element.text, verbatim)
            continue
        verbatim -= tag == "pre"
        if element is heading:
            heading = None
            if not chapters[-1].title:
                chapters.pop()
            target = chapters[-1].body
        if element is not tree:
            _add(target, tag, element.tail, verbatim)
    return chapters if chapters[0].text else chapters[1:]


def _add(target: list[str], tag: str, text: str | None, verbatim: int) -> None:
    """Append what separates the words at a tag's border, and the text that follows it."""
    if tag in _BLOCK_TAGS:
        target.append("\n")
    elif tag in _CELL_TAGS:
        target.append(" ")
    if text:
        target.append(text if verbatim else _SPACES.sub(" ", text))


def _tidy(parts: Iterable[str], *, line: bool = False) -> str:
    text = _CONTROLS.sub("", "".join(parts))
    if line:
        return _SPACES.sub(" ", text).strip()
    return _AROUND_BREAKS.sub("\n", _SPACES_OF_A_LINE.sub(" ", text)).strip()


def _join(chapters: list[_Chapter]) -> str:
    return "\n".join(filter(None, (chapter.text for chapter in chapters)))[:MAX_TEXT].rstrip()
