"""Invented READMEs: Markdown, reStructuredText, broken and hostile ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.replica.words import ADJECTIVES, HEADINGS, SENTENCES, THINGS, VERBS

HOSTILE = (
    "<script>document.title='hostile'</script>\n\n",
    '<img src="x" onerror="document.title=1">\n\n',
    "[click](javascript:document.title=1) <javascript:document.title=2>\n\n",
    '<a href="JaVaScRiPt&colon;document.title=1">entity</a>\n\n',
    '<svg><script href="data:text/javascript,document.title=1"/></svg>\n\n',
    '<iframe srcdoc="<script>document.title=1</script>"></iframe>\n\n',
    '<style>@import "javascript:1"; body { display: none }</style>\n\n',
)
"""Known ways to hide a script; harmless where they are shown, because all they change is a page's title."""

_BROKEN_RST = (
    "Too short\n===\n\n",
    ".. unknowndirective:: here\n\n   text\n\n",
    "See `missing target`_ and |missing substitution|.\n\n",
    ".. image:: data:image/png;base64,AAAA\n   :colour: none\n\n",
)


class Readme(NamedTuple):
    """Source and `description_content_type` as they stand in `info`."""

    text: str | None
    content_type: str | None


def sentence(dice: Dice) -> str:
    """One invented sentence."""
    words = (dice.pick(ADJECTIVES), dice.pick(THINGS), dice.pick(VERBS), dice.pick(THINGS))
    return dice.pick(SENTENCES) % words


def summary(dice: Dice, project: Project) -> str | None:
    """The line below the name: mostly a sentence, sometimes nothing, a placeholder or Markdown."""
    draw = dice.fraction()
    if draw < 0.03:
        return dice.pick((None, "", "UNKNOWN", "# " + project.name, "Add a short description here!"))
    text = f"{dice.pick(ADJECTIVES).title()} {dice.pick(THINGS)} {dice.pick(THINGS)} for {project.words[1]}"
    if project.hostile and draw < 0.4:
        return text + " \x1b[31mred\x1b[0m\x07 \u202egnp.exe <b>bold</b>"
    return text


def readme(dice: Dice, project: Project, version: str) -> Readme:
    """The README of one release; it holds the project's own words and the release's version."""
    style = dice.fraction()
    if style < 0.02:
        return Readme(dice.pick((None, "", "UNKNOWN")), dice.pick((None, "")))
    if style < 0.62:
        variant = "" if style < 0.58 else "; charset=UTF-8; variant=GFM"
        return Readme(_markdown(dice, project, version), f"text/markdown{variant}")
    if style < 0.66:
        return Readme(
            _markdown(dice, project, version), dice.pick((None, "", "# GCAMP Processing", "text/x-markdown"))
        )
    if style < 0.9:
        media = dice.pick((None, "", "text/x-rst", "text/x-rst", "text/x-rst", "text/x-rst; charset=UTF-8"))
        return Readme(_restructured(dice, project, version), media)
    if style < 0.95:
        return Readme(_restructured(dice, project, version) + dice.pick(_BROKEN_RST), "text/x-rst")
    if style < 0.97:
        return Readme(_restructured(dice, project, version), "text/markdown")
    return Readme(_plain(dice, project, version), "text/plain")


def _paragraph(dice: Dice, project: Project) -> str:
    sentences = [sentence(dice) for _ in range(dice.between(1, 5))]
    if dice.chance(0.3):
        sentences.append(f"This is what {project.words[0]} is about.")
    return " ".join(sentences)


def _sections(dice: Dice, project: Project, heading: Callable[[str], str]) -> str:
    text = ""
    for title in dice.some(HEADINGS, 1 + int(dice.skewed(3.5, 0.6))):
        text += heading(title)
        for _ in range(min(12, max(1, int(dice.skewed(1.8, 0.8))))):
            text += _paragraph(dice, project) + "\n\n"
    return text


def _changes(dice: Dice, project: Project, version: str, heading: Callable[[str], str]) -> str:
    if dice.chance(0.6):
        return ""
    lines = "".join(f"- {sentence(dice)}\n" for _ in range(dice.between(1, 4)))
    return f"{heading('Changelog')}{version}\n\n{lines}- More {project.words[0]}.\n"


def _markdown(dice: Dice, project: Project, version: str) -> str:
    def heading(title: str) -> str:
        return f"## {title}\n\n"

    text = f"# {project.name}\n\n"
    if dice.chance(0.3):
        text += f"![build](https://badges.example/{project.words[1]}.svg)\n\n"
    if project.hostile:
        text += dice.pick(HOSTILE)
    text += f"{_paragraph(dice, project)} It has to do with {project.words[0]} and {project.words[1]}.\n\n"
    text += f"{heading('Install')}```shell\npip install {project.normalized_name}\n```\n\n"
    text += _sections(dice, project, heading)
    if dice.chance(0.2):
        text += "| option | default |\n|---|---|\n"
        text += "".join(f"| `{dice.pick(THINGS)}` | {dice.pick(ADJECTIVES)} |\n" for _ in range(4)) + "\n"
    return text + _changes(dice, project, version, heading)


def _restructured(dice: Dice, project: Project, version: str) -> str:
    def heading(title: str) -> str:
        return f"{title}\n{'-' * len(title)}\n\n"

    text = f"{'=' * len(project.name)}\n{project.name}\n{'=' * len(project.name)}\n\n"
    if project.hostile:
        text += ".. raw:: html\n\n   <script>document.title='hostile'</script>\n\n"
    text += f"{_paragraph(dice, project)} It has to do with {project.words[0]} and {project.words[1]}.\n\n"
    text += f".. code-block:: shell\n\n   pip install {project.normalized_name}\n\n"
    return text + _sections(dice, project, heading) + _changes(dice, project, version, heading)


def _plain(dice: Dice, project: Project, version: str) -> str:
    def heading(title: str) -> str:
        return f"{title.upper()}\r\n\r\n"

    text = f"{project.name} {version}\r\n\r\nAll about {project.words[0]} and {project.words[1]}.\r\n\r\n"
    return text + _sections(dice, project, heading)
