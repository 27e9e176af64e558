"""READMEs become what pages show and the search finds; were this wrong, words would be lost or in the way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pyf_scrapy.metadata import sections
from pyf_scrapy.metadata.descriptions import MAX_HTML, Description, render, sanitise

MARKDOWN = "text/markdown"
RST = "text/x-rst"
PLAIN = "text/plain"


def test_a_document_leaves_nothing_behind_for_the_next() -> None:
    uses = "Some :mine:`text`\n"
    alone = render(uses, RST)
    assert alone.html == "<pre>Some :mine:`text`</pre>"
    render(".. role:: mine(strong)\n\n.. default-role:: strong\n\n:mine:`x`\n", RST)
    assert render(uses, RST) == alone


def test_text_does_not_depend_on_the_day() -> None:
    assert render(".. |today| date:: %Y\n\nBuilt |today|\n", RST).html == "<p>Built (date)</p>"


@pytest.mark.parametrize(
    ("content_type", "html"),
    [
        ("text/markdown", "<p>a <em>b</em> <del>c</del></p>"),
        ("text/markdown; charset=UTF-8; variant=GFM", "<p>a <em>b</em> <del>c</del></p>"),
        ('Text/Markdown ;Variant="gfm"', "<p>a <em>b</em> <del>c</del></p>"),
        ("text/markdown; variant=CommonMark", "<p>a <em>b</em> ~~c~~</p>"),
        ("text/markdown; variant=nonsense", "<p>a <em>b</em> <del>c</del></p>"),
        ("text/plain", "<pre>a *b* ~~c~~</pre>"),
        ("text/x-rst; charset=UTF-8", "<p>a <em>b</em> ~~c~~</p>"),
        ("", "<p>a <em>b</em> ~~c~~</p>"),
        (None, "<p>a <em>b</em> ~~c~~</p>"),
        ("# GCAMP Processing", "<p>a <em>b</em> ~~c~~</p>"),
        (";;=;\n\x00", "<p>a <em>b</em> ~~c~~</p>"),
    ],
)
def test_the_content_type_is_parsed(content_type: str | None, html: str) -> None:
    assert render("a *b* ~~c~~", content_type).html == html


@pytest.mark.parametrize("source", [None, "", " \n\t", "\x00"])
def test_nothing_gives_nothing(source: str | None) -> None:
    assert render(source, MARKDOWN) == Description()


def test_what_is_no_restructured_text_is_shown_and_found_as_text() -> None:
    description = render("# Title\n\n.. nope::\n\n  Some <b>words</b> :foo:`x`\n", "")
    assert description.html.startswith("<pre># Title\n\n.. nope::")
    assert "Some <b>words</b> :foo:`x`" in description.first_chapter


def test_lists_nested_too_deep_are_shown_as_text() -> None:
    source = "".join("  " * depth + "- item\n\n" for depth in range(200))
    description = render(source, RST)
    assert description.html.startswith("<pre>- item")
    assert "item" in description.first_chapter


def test_github_markdown_is_rendered() -> None:
    html = render(
        "# T\n\n|a|\n|:-:|\n|b|\n\n- [x] done\n- [ ] open\n\nwww.x.example [^1]\n\n[^1]: note\n\n"
        "```python\nx\n```\n"
        '<p align="center"><img src="https://x.example/a.png" width=20 height=10 alt="A"></p>',
        MARKDOWN,
    ).html
    for part in (
        '<th align="center">a</th>',
        "<li>☑ done</li>\n<li>☐ open</li>",
        '<a href="http://www.x.example" rel="nofollow">www.x.example</a>',
        "<p>note",
        '<code class="language-python">x\n</code>',
        '<p align="center"><img src="https://x.example/a.png" width="20" height="10" alt="A"></p>',
    ):
        assert part in html


def test_headings_go_one_level_down() -> None:
    html = render("\n\n".join("#" * level + f" {level}" for level in range(1, 7)), MARKDOWN).html
    assert html.replace("\n", "") == "<h2>1</h2><h3>2</h3><h4>3</h4><h5>4</h5><h6>5</h6><h6>6</h6>"
    assert "<h2>T</h2>" in render("T\n=\n\ntext\n", RST).html


README = """\
[![badge](https://x.example/b.svg)](https://x.example)

<div align="center">

# The *Title*

</div>

First [linked](https://x.example) words.

## Install

- pip
- uv

|a|b|
|-|-|
|c|d|

## Changelog

### 1.0

Fixed it.

## License

GPL
"""


def test_fields_of_a_usual_readme() -> None:
    description = render(README, MARKDOWN)
    assert description.title == "The Title"
    assert description.first_chapter == "The Title\nFirst linked words."
    assert description.main_content == "Install\npip\nuv\na b\nc d\nLicense\nGPL"
    assert description.changelog == "Changelog\n1.0\nFixed it."


def test_fields_of_restructured_text() -> None:
    source = (
        "Intro\n\nT\n=\n\none\n\nUse\n---\n\ntwo\n\nChange log\n==========\n\n1.0 (2020)\n----------\n\n- x\n"
    )
    description = render(source, RST)
    assert (description.title, description.first_chapter) == ("T", "Intro\nT\none")
    assert (description.main_content, description.changelog) == ("Use\ntwo", "Change log\n1.0 (2020)\nx")


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "Changelog",
            "Change log",
            "CHANGE-LOG",
            "Changes:",
            "History",
            "Release history",
            "Release Notes",
            "News",
        ),
        *(
            "What's new",
            "What’s New?",
            "What is new",
            "Versions",
            "Version history",
            "📝 Changelog",
            "*Changes*",
        ),
    ],
)
def test_a_changelog_is_known_by_its_heading(heading: str) -> None:
    description = render(f"# T\n\na\n\n## {heading}\n\nfixed\n\n### 2.0\n\nb\n\n## Use\n\nc", MARKDOWN)
    assert description.changelog.endswith("fixed\n2.0\nb")
    assert description.main_content == "Use\nc"


@pytest.mark.parametrize("heading", ["Breaking changes", "Conversions", "History of Rome", "Newsletter"])
def test_other_headings_are_no_changelog(heading: str) -> None:
    assert render(f"# T\n\na\n\n## {heading}\n\nb", MARKDOWN).changelog == ""


def test_several_changelogs_are_joined_and_one_that_comes_first_takes_nothing_else() -> None:
    description = render("# Changelog\n\na\n\n# T\n\nb\n\n# Use\n\nc\n\n# News\n\nd", MARKDOWN)
    assert description == Description(
        html=description.html,
        title="Changelog",
        first_chapter="T\nb",
        main_content="Use\nc",
        changelog="Changelog\na\nNews\nd",
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("one line", "one line"),
        ("<p>a</p><p>b</p>", "a\nb"),
        ("<center>a</center><center>b</center>", "a\nb"),
        ("x<br>y<hr>z", "x\ny\nz"),
        ("un<b>bro</b>ken <code>w</code>ord", "unbroken word"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("a\n   b\t c", "a b c"),
        ("    x = 1\n    y  = 2", "x = 1\ny = 2"),
        ("a <!-- hidden --> b &amp; c", "a b & c"),
        ("a <script>x</script> <style>x</style> b", "a b"),
        ("a</body></html>\n\nb", "a\nb"),
        ("a&#1;b&#27;c", "abc"),
    ],
)
def test_text_is_text(source: str, text: str) -> None:
    assert (
        render(source.replace("<script>", "<SCRIPT>"), "text/markdown; variant=CommonMark").first_chapter
        == text
    )


def test_plain_text_keeps_its_first_line() -> None:
    assert render("Only <line> & more", PLAIN).first_chapter == "Only <line> & more"
    assert render("\n\n  indented\n\n\nrest", PLAIN).html == "<pre>  indented\n\n\nrest</pre>"


def test_markup_is_not_indexed() -> None:
    source = "Title\n=====\n\n.. _a:\n\n- useful_ item\n\n.. _useful: http://x.example\n"
    words = " ".join(render(source, RST).first_chapter.split())
    assert words == "Title useful item"


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ('<h1 align="center"><img src="http://x.example/l.png" alt="Logo of X"></h1>\n\n# Y', "Logo of X"),
        ("# ![](http://x.example/l.png)\n\n# Y", "Y"),
        ("text only", ""),
        ("<div><div><h3>Deep\n\n</h3></div></div>", "Deep"),
        ("# a <h2>b</h2> c", "a b c"),
    ],
)
def test_the_title_is_the_first_heading_with_words(source: str, title: str) -> None:
    assert render(source, MARKDOWN).title == title


@pytest.mark.parametrize(
    "source", ["word & *more* \xa0\n\n" * 60_000, "<" * 300_000, "[a](http://x.example)\n\n" * 20_000]
)
def test_documents_stay_small(source: str) -> None:
    description = render(source, MARKDOWN)
    assert MAX_HTML * 0.7 < len(description.html) <= MAX_HTML
    assert len(description.first_chapter) <= sections.MAX_TEXT


def test_a_title_is_cut_too() -> None:
    assert len(render("# " + "word " * 100_000, MARKDOWN).title) <= sections.MAX_TEXT


def test_real_readmes_render(real_data: Path) -> None:
    with gzip.open(real_data / "pypi_json" / "_corpus_latest.jsonl.gz", "rt") as lines:
        infos = [json.loads(line)["doc"]["info"] for line in lines][::15]
    for info in infos:
        description = render(info.get("description"), info.get("description_content_type"))
        assert bool(description.html) == bool((info.get("description") or "").strip())
        assert sanitise(description.html) == description.html
