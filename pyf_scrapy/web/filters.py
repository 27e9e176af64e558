"""What a list of packages can be narrowed by, and which packages pass. Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pyf_scrapy.metadata.repository_urls import repository_of
from pyf_scrapy.search.queries import MAX_QUERY, normalize
from pyf_scrapy.web.catalogue import Row, folded
from pyf_scrapy.web.cursors import PATTERN
from pyf_scrapy.web.specifiers import (
    NAME,
    REQUIREMENT_PATTERN,
    VERSION_OR_SPECIFIER_PATTERN,
    admits,
    needs,
    requirement,
    version_or_specifier,
)

#: What is right where something does not fit.
EXAMPLES = {
    "name": "plone.api",
    "names": "plone.api",
    "specifier": "plone.api>=2",
    "depends_on": "plone.api>=2",
    "requires_python": "3.12, or >=3.10",
    "cursor": "`next` of the page before",
}

MAX_ASKED = 100  # names, repositories or specifiers at once
MAX_LIMIT = 100
DEFAULT_LIMIT = 20
_TEXT = 200  # characters

NAME_PATTERN = f"^{NAME}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=_TEXT)]
Requirement = Annotated[str, StringConstraints(pattern=REQUIREMENT_PATTERN, max_length=_TEXT)]

Test = Callable[[Row], bool]


class Page(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many at most.")
    cursor: str | None = Field(
        default=None, pattern=PATTERN, description="`next` of the page before; only with the same filters."
    )


class Filters(Page):
    """What packages of a list have in common. Of several values of one filter any will do, but all of
    `keyword`, `classifier` and `depends_on` must hold; all the filters given must hold."""

    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_QUERY,
        description="Words, with typo tolerance; the order is then that of relevance.",
    )
    name: list[Name] = Field(
        default=[], max_length=MAX_ASKED, description="A package, by any spelling of its name (PEP 503)."
    )
    repository: list[Text] = Field(
        default=[], max_length=MAX_ASKED, description="The address of a repository, also of a page in it."
    )
    specifier: list[Requirement] = Field(
        default=[],
        max_length=MAX_ASKED,
        description="Packages that have a release like this one: `plone.api>=2` (PEP 440, PEP 508). "
        "`matching_versions` names these releases.",
    )
    depends_on: list[Requirement] = Field(
        default=[],
        max_length=10,
        description="Packages whose latest release has a requirement, also one with a marker or of an extra, "
        "that can be met by such a release: `plone.api>=2`, or by any: `plone.api`.",
    )
    requires_python: str | None = Field(
        default=None,
        pattern=VERSION_OR_SPECIFIER_PATTERN,
        max_length=_TEXT,
        description="Packages whose latest release installs on this Python (`3.12`), or on any of these "
        "(`>=3.10`). One that says nothing installs on all.",
    )
    author: Text | None = Field(
        default=None, description="An author's name or e-mail address, whole; case does not matter."
    )
    maintainer: Text | None = Field(
        default=None, description="A maintainer's name or e-mail address, likewise."
    )
    keyword: list[Text] = Field(
        default=[], max_length=10, description="A keyword, whole; case does not matter."
    )
    classifier: list[Text] = Field(
        default=[], max_length=10, description="A trove classifier; those below it count too."
    )

    def tests(self) -> list[Test]:
        """What a package must pass; without `q`, which the search server answers."""
        return list(_tests(self))

    def asked_names(self) -> set[str] | None:
        """The normalized names that alone can pass, None when any can."""
        asked: set[str] | None = None
        if self.name:
            asked = {normalize(name) for name in self.name}
        if self.specifier:
            named = {name for name, _ in map(requirement, self.specifier)}
            asked = named if asked is None else asked & named
        return asked


def _tests(filters: Filters) -> Iterator[Test]:
    """The cheap ones first."""
    names = filters.asked_names()
    if names is not None:
        yield lambda row: row.name in names
    if filters.author is not None:
        author = folded(filters.author)
        yield lambda row: author in row.authors
    if filters.maintainer is not None:
        maintainer = folded(filters.maintainer)
        yield lambda row: maintainer in row.maintainers
    if filters.keyword:
        keywords = frozenset(map(folded, filters.keyword))
        yield lambda row: keywords <= row.keywords
    if filters.repository:
        keys = repository_keys(filters.repository)
        yield lambda row: not keys.isdisjoint(row.repositories)
    for classifier in filters.classifier:
        yield _has_classifier(classifier)
    if filters.requires_python is not None:
        python = version_or_specifier(filters.requires_python)
        yield lambda row: admits(row.requires_python, python)
    for text in filters.depends_on:
        yield _depends_on(text)


def wrong_input(error: Mapping[str, Any]) -> str:
    """One line about an error that pydantic found: which parameter is wrong, and what would be right."""
    place = [str(part) for part in error["loc"] if part not in {"query", "path", "body"}]
    name = place[0] if place else "the body"
    if error["type"] == "extra_forbidden":
        return f"there is no parameter {name[:60]}"
    if error["type"] == "string_pattern_mismatch" and name in EXAMPLES:
        return f"{name}: {str(error['input'])[:60]!r} cannot be read; right would be {EXAMPLES[name]}"
    return f"{name}: {error['msg']}"


def repository_keys(addresses: list[str]) -> frozenset[str]:
    """The keys of the repositories that addresses lead to; what leads to none has none."""
    found = map(repository_of, addresses)
    return frozenset(repository.key for repository in found if repository is not None)


def _has_classifier(classifier: str) -> Test:
    below = f"{classifier} :: "
    return lambda row: any(one == classifier or one.startswith(below) for one in row.classifiers)


def _depends_on(text: str) -> Test:
    name, asked = requirement(text)
    return lambda row: any(needs(said, asked) for said in row.requires.get(name, ()))
