"""reStructuredText to HTML with the settings of readme_renderer, PyPI's own, and what they leave open closed.

Takes 0.1 s to import; only `descriptions.render` does, on first use.
"""

from __future__ import annotations

import io

from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import Directive, directives, roles
from docutils.utils import SystemMessage
from docutils.writers.html5_polyglot import Writer
from readme_renderer.rst import SETTINGS, ReadMeHTMLTranslator

_SETTINGS = {
    **SETTINGS,
    # Said again, since safety rests on them: no file and no address is read, no HTML passes.
    "file_insertion_enabled": False,
    "raw_enabled": False,
    # A docutils.conf of the machine would override all of these.
    "_disable_config": True,
    # The page has no stylesheet for Pygments; without it rendering takes half the time.
    "syntax_highlight": "none",
    "embed_stylesheet": False,
    # Links to ids, which the sanitiser removes.
    "section_self_link": False,
}


class _Translator(ReadMeHTMLTranslator):
    def visit_image(self, node: nodes.image) -> None:
        """Link every image: `:loading: embed` reads local files, whatever the settings say."""
        node.attributes.pop("loading", None)
        super().visit_image(node)


class _Date(Directive):
    """Stands in for docutils' own, with which the text of a README would change every day."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [nodes.Text("(date)")]


def to_html(source: str) -> str | None:
    """Return HTML, not sanitised, or None where plain text is to be shown, as on PyPI.

    That is so when docutils warns of anything, when nothing is left, and for lists nested too deep for it.
    """
    directives.register_directive("date", _Date)
    # The roles that a document defines would stay for the next one; the stubs do not know their place.
    vars(roles)["_roles"].clear()
    writer = Writer()
    writer.translator_class = _Translator
    settings = {**_SETTINGS, "warning_stream": io.StringIO()}
    try:
        parts = publish_parts(source, writer=writer, settings_overrides=settings)
    except (SystemMessage, RecursionError):
        return None
    return (parts["docinfo"] + parts["fragment"]) or None
