"""From the source of a README to harmless HTML and plain-text fields.

`render` may be slow, or kill its process, on hostile input: `renderer` calls it in processes of its own.
"""

from __future__ import annotations

import re
from html import escape

import cmarkgfm.cmark
import lxml.html
import msgspec
import nh3

from pyf_scrapy.metadata import sections

# Characters; rendered HTML beyond it is replaced with the beginning of the source, escaped.
MAX_HTML = 500_000

_ALLOWED_TAGS = {
    *("a", "abbr", "acronym", "article", "aside", "b", "blockquote", "br", "caption", "center"),
    *("cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em"),
    *("figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i"),
    *("img", "ins", "kbd", "li", "main", "mark", "nav", "ol", "p", "pre", "q", "s", "samp"),
    *("section", "small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody"),
    *("td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr"),
}
_ALLOWED_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "acronym": {"title"},
    "code": {"class"},
    "details": {"open"},
    "div": {"align"},
    "h2": {"align"},
    "h3": {"align"},
    "h4": {"align"},
    "h5": {"align"},
    "h6": {"align"},
    "img": {"align", "alt", "height", "src", "title", "width"},
    "ol": {"start"},
    "p": {"align"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
}
_IMAGE_URL = re.compile(r"\s*https?://", re.IGNORECASE)
_NEWLINES_OF_PRE = re.compile(r"(<pre>)[\r\n]+")  # A parser drops one, and the next time the next.
_LANGUAGE_CLASS = re.compile(r"language-[\w+#.-]{1,40}")

_MARKDOWN_OPTIONS = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE  # raw HTML passes: `sanitise` is the judge of it
_GFM_OPTIONS = _MARKDOWN_OPTIONS | cmarkgfm.cmark.Options.CMARK_OPT_FOOTNOTES
_GFM_EXTENSIONS = ("table", "autolink", "tagfilter", "strikethrough", "tasklist")

# NUL and its like, which XML trees refuse, and halves of surrogate pairs, which no encoding takes.
_UNUSABLE = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
_DOCUMENT_TAGS = re.compile(r"</?(?:html|body)\b[^<>]*>", re.IGNORECASE)


class Description(msgspec.Struct, frozen=True, array_like=True):
    """A rendered README: `html` is sanitised (at most `MAX_HTML` characters), the other fields are plain text
    (at most `sections.MAX_TEXT` each)."""

    html: str = ""
    title: str = ""
    first_chapter: str = ""
    main_content: str = ""
    changelog: str = ""


def render(source: str | None, content_type: str | None) -> Description:
    """Return the README as HTML, headings one level lower, and as plain-text fields.

    The content type is read as a media type with parameters. As on PyPI (`warehouse/utils/readme.py`) a
    missing one means reStructuredText, and what does not render is shown as plain text. One that is
    neither Markdown nor plain text is tried as reStructuredText too, as older uploads meant it.
    Equal input gives equal output, whatever was rendered before in the same process.
    """
    source = _UNUSABLE.sub("", source or "")
    if not source.strip():
        return Description()
    tree = _parse(_markup(source, content_type))
    fields = sections.split(tree)
    _lower_headings(tree)
    _replace_check_boxes(tree)
    html = sanitise(lxml.html.tostring(tree, encoding="unicode", with_tail=False))
    if len(html) > MAX_HTML:
        html = sanitise(_plain(source, MAX_HTML))
    return Description(html, *fields)


def sanitise(html: str) -> str:
    """Return the fragment with nothing left in it that could run, load, submit or imitate the page around it.

    No id and no class but a code block's language survives, because they belong to the page that shows the
    fragment; relative links do not either, because they would lead to that page's own site. The result is
    what a browser makes of it: sanitising it again changes nothing.
    """
    # What is taken out leaves tags nested as no parser would nest them; the second pass settles that.
    for _ in range(2):
        html = _CLEANER.clean(_NEWLINES_OF_PRE.sub(r"\1", html)).strip()
    return html


def _allowed_value(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "src":
        return value if _IMAGE_URL.match(value) else None
    if attribute == "class":
        return value if _LANGUAGE_CLASS.fullmatch(value) else None
    return value


_CLEANER = nh3.Cleaner(
    tags=_ALLOWED_TAGS,
    clean_content_tags=set(sections.HIDDEN_TAGS),
    attributes=_ALLOWED_ATTRIBUTES,
    attribute_filter=_allowed_value,
    link_rel="nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


def _markup(source: str, content_type: str | None) -> str:
    """Return the README as HTML that is not sanitised yet."""
    kind, parameters = _media_type(content_type or "")
    if kind == "text/markdown":
        return _markdown(source, parameters.get("variant", ""))
    rendered = None if kind == "text/plain" else _restructured_text(source)
    return rendered or _plain(source)


def _media_type(content_type: str) -> tuple[str, dict[str, str]]:
    kind, *rest = content_type.split(";")
    pairs = (parameter.partition("=") for parameter in rest)
    return kind.strip().lower(), {
        key.strip().lower(): value.strip(" \t\"'").lower() for key, _, value in pairs
    }


def _markdown(source: str, variant: str) -> str:
    if variant == "commonmark":
        return str(cmarkgfm.cmark.markdown_to_html_with_extensions(source, _MARKDOWN_OPTIONS))
    return str(cmarkgfm.cmark.markdown_to_html_with_extensions(source, _GFM_OPTIONS, _GFM_EXTENSIONS))


def _restructured_text(source: str) -> str | None:
    # Imported on first use: it takes 0.1 s, which processes that only know `Description` need not spend.
    from pyf_scrapy.metadata import restructured_text

    return restructured_text.to_html(source)


def _plain(source: str, limit: int | None = None) -> str:
    """Return the source as it is, or as much of its beginning as fits into `limit` characters of HTML."""
    text = source.strip("\r\n")
    while True:
        html = "<pre>" + escape(text, quote=False).replace("\xa0", "&nbsp;") + "</pre>"
        if limit is None or len(html) <= limit:
            return html
        text = text[: len(text) * limit // len(html) - 1]


def _parse(html: str) -> lxml.html.HtmlElement:
    """Return the fragment's tree; nothing of it may close the body, or what follows would be lost."""
    parser = lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True)
    document = lxml.html.document_fromstring(f"<html><body>{_DOCUMENT_TAGS.sub('', html)}", parser=parser)
    return document.body


def _lower_headings(tree: lxml.html.HtmlElement) -> None:
    """Make each h1 an h2 and so on, since the page that shows the README has its own h1."""
    for heading in list(tree.iter("h1", "h2", "h3", "h4", "h5")):
        heading.tag = f"h{int(heading.tag[1]) + 1}"


def _replace_check_boxes(tree: lxml.html.HtmlElement) -> None:
    """Turn the boxes of task lists into characters, so that no form element needs to be allowed."""
    for box in list(tree.iter("input")):
        if box.get("type") == "checkbox":
            box.tail = ("☑" if "checked" in box.attrib else "☐") + (box.tail or "")
        box.drop_tag()
