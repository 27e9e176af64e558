"""What the label of a link in `project_urls` says about where the link leads (PEP 753).

Labels are compared in PEP 753's normal form; where people write more than its words ("GitHub: repo",
"API Documentation"), the words decide.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

_NO_LETTERS: Final = re.compile(r"[\W_]+")

# PEP 753's words for "source", in its order, then what people write instead; earlier ones are preferred.
_SOURCE: Final = (
    *("source", "repository", "sourcecode", "github"),
    *("code", "repo", "git", "scm", "vcs", "sources", "gitrepository", "githubrepository", "githubrepo"),
    *("sourcerepository", "coderepository", "gitrepo", "repositoryurl", "githuburl", "githublink"),
    *("gitlab", "codeberg", "bitbucket"),
)
# A longer label means source only if all its words are these: an "example repository" is another one.
_SOURCE_WORDS: Final = {
    *_SOURCE,
    *("on", "at", "the", "this", "project", "package", "main", "public", "official"),
    *("browse", "view", "url", "link", "page", "host", "hosted"),
}
_HOME: Final = {"homepage", "home"}
_SITE: Final = {"website", "web", "site", "url", "project", "projecthomepage", "projectpage", "projecturl"}
_FUNDING: Final = re.compile(
    r"funding|sponsor|donat|patreon|opencollective|liberapay|buymeacoffee|tidelift|paypal|^fund$|^kofi"
)
_TRACKER: Final = re.compile(r"issue|bug|tracker|ticket")
_CHANGELOG: Final = re.compile(r"changelog|releasenote|whatsnew|^change|^history|^release|^news")


class Kind(IntEnum):
    """Where a link leads by its label; the earlier, the better it tells where the source code is."""

    SOURCE = 0
    HOME = 1
    DOWNLOAD = 2
    CHANGELOG = 3
    DOCUMENTATION = 4
    TRACKER = 5
    OTHER = 6
    FUNDING = 7


def plain(label: str) -> str:
    """Return the form in which labels are compared: letters and digits only, in lower case."""
    return _NO_LETTERS.sub("", label).lower()


def is_documentation(label: str) -> bool:
    """Tell whether a label means documentation.

    PEP 753's "documentation" and "docs" do, and longer ones that contain the first or begin with the second
    ("Docs: RTD", "API Documentation").
    """
    return "documentation" in (form := plain(label)) or form.startswith("docs")


def is_homepage(label: str) -> bool:
    """Tell whether a label means the home page: PEP 753's "homepage", or "home"."""
    return plain(label) in _HOME


def rank(label: str) -> tuple[Kind, int]:
    """Return what a label means and, among labels of that meaning, its place (lower is better).

    The names of the metadata's fields ("home_page", "docs_url", "bugtrack_url", "download_url") are
    understood as labels.
    """
    form = plain(label)
    if form in _SOURCE:
        return Kind.SOURCE, _SOURCE.index(form)
    return _kind(label, form), len(_SOURCE)


def _kind(label: str, form: str) -> Kind:
    if _FUNDING.search(form):
        return Kind.FUNDING
    if _TRACKER.search(form):
        return Kind.TRACKER
    if _CHANGELOG.search(form):
        return Kind.CHANGELOG
    if is_documentation(label):
        return Kind.DOCUMENTATION
    if "download" in form:
        return Kind.DOWNLOAD
    if is_homepage(label) or form in _SITE:
        return Kind.HOME
    words = set(_NO_LETTERS.sub(" ", label).lower().split())
    return Kind.SOURCE if words <= _SOURCE_WORDS and words.intersection(_SOURCE) else Kind.OTHER
