"""What a list of packages can be narrowed by, and which packages pass. Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pyf_scrapy.metadata.repository_urls import repository_of
from pyf_scrapy.search.cleaning import MAX_ITEM, MAX_LINE
from pyf_scrapy.search.queries import MAX_QUERY, normalize
from pyf_scrapy.web.asked import CHOICES, FACETS, Asked, Choice
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
_MAX_CHOICES = 5  # of one kind

NAME_PATTERN = f"^{NAME}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=_TEXT)]
#: What a document may have, in one field or as one of several.
Line = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LINE)]
Item = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ITEM)]
Requirement = Annotated[str, StringConstraints(pattern=REQUIREMENT_PATTERN, max_length=_TEXT)]

Health = Literal["good", "fair", "weak", "poor"]
Status = Literal["archived", "deprecated", "repository-archived", "vulnerable", "yanked"]
Sort = Literal["health", "downloads", "stars", "released"]

Test = Callable[[Row], bool]


class Page(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many at most.")
    cursor: str | None = Field(
        default=None, pattern=PATTERN, description="`next` of the page before; only with the same filters."
    )


class Choices(BaseModel):
    """Words, and what can be chosen on the pages, under the same names."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_QUERY,
        description="Words, with typo tolerance; a list is then in the order of relevance.",
    )
    framework: list[Item] = Field(
        default=[], max_length=_MAX_CHOICES, description="A framework version: `Plone 6.0`."
    )
    python: list[Item] = Field(
        default=[],
        max_length=_MAX_CHOICES,
        description="A Python version that its classifiers name: `Python 3.12`.",
    )
    licence: Item | None = Field(default=None, description="An SPDX expression.")
    topic: list[Item] = Field(
        default=[],
        max_length=_MAX_CHOICES,
        description="A classifier that begins with `Topic :: `, without this.",
    )
    health: list[Health] = Field(
        default=[],
        max_length=_MAX_CHOICES,
        description="Its score: good from 80 on, fair from 60, weak from 40, poor below.",
    )
    status: list[Status] = Field(
        default=[],
        max_length=_MAX_CHOICES,
        description="Archived or deprecated on PyPI, repository archived, known vulnerabilities, or the "
        "latest release yanked.",
    )

    def asked(self) -> Asked:
        """The same as a search of the pages."""
        chosen = {
            key: values for key in (*(facet.key for facet in FACETS), *CHOICES) if (values := self.of(key))
        }
        return Asked(" ".join((self.q or "").split()), chosen)

    def of(self, key: str) -> tuple[str, ...]:
        """What is chosen of a facet or kind of choice, each once."""
        value: str | list[str] | None = getattr(self, key)
        return tuple(dict.fromkeys([value] if isinstance(value, str) else value or ()))


class Filters(Choices, Page):
    """What packages of a list have in common: all filters that are given hold. Of several values of `name`,
    `repository`, `specifier`, `health` or `status` any will do; of the others all must hold."""

    sort: Sort | None = Field(
        default=None,
        description="What comes first: the healthiest, most downloaded, most starred, or last released. "
        "Without: by name, or by relevance.",
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
    author: Line | None = Field(
        default=None, description="An author's name or e-mail address, whole; case does not matter."
    )
    maintainer: Line | None = Field(
        default=None, description="A maintainer's name or e-mail address, likewise."
    )
    keyword: list[Item] = Field(
        default=[], max_length=10, description="A keyword, whole; case does not matter."
    )
    classifier: list[Item] = Field(
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
    yield from _chosen(filters)
    if filters.repository:
        keys = frozenset(map(repository_key, filters.repository))
        yield lambda row: not keys.isdisjoint(row.repositories)
    for classifier in filters.classifier:
        yield _has_classifier(classifier)
    if filters.requires_python is not None:
        python = version_or_specifier(filters.requires_python)
        yield lambda row: admits(row.requires_python, python)
    for text in filters.depends_on:
        yield _depends_on(text)


def _chosen(choices: Choices) -> Iterator[Test]:
    for facet in FACETS:
        for value in choices.of(facet.key):
            yield _has(facet.field, facet.prefix + value)
    for key, all_of_kind in CHOICES.items():
        if wanted := choices.of(key):
            yield _fits_one([choice for choice in all_of_kind if choice.value in wanted])


def _has(field: str, value: str) -> Test:
    if field == "classifiers":
        return lambda row: value in row.classifiers
    return lambda row: (
        value == (found := row.shown.get(field)) or (isinstance(found, list) and value in found)
    )


def _fits_one(choices: list[Choice]) -> Test:
    return lambda row: any(
        choice.field in row.shown and choice.fits(row.shown[choice.field]) for choice in choices
    )


def passes(row: Row, tests: Iterable[Test]) -> bool:
    """Whether a package passes all tests."""
    return all(test(row) for test in tests)


def wrong_input(error: Mapping[str, Any]) -> str:
    """One line about an error that pydantic found: which parameter is wrong, and what would be right."""
    place = [str(part) for part in error["loc"] if part not in {"query", "path", "body"}]
    name = place[0] if place else "the body"
    if error["type"] == "extra_forbidden":
        return f"there is no parameter {name[:60]}"
    if error["type"] == "string_pattern_mismatch" and name in EXAMPLES:
        return f"{name}: {str(error['input'])[:60]!r} cannot be read; right would be {EXAMPLES[name]}"
    return f"{name}: {error['msg']}"


def repository_key(address: str) -> str | None:
    """The key of the repository that an address leads to, None where it leads to none."""
    repository = repository_of(address)
    return None if repository is None else repository.key


def _has_classifier(classifier: str) -> Test:
    below = f"{classifier} :: "
    return lambda row: any(one == classifier or one.startswith(below) for one in row.classifiers)


def _depends_on(text: str) -> Test:
    name, asked = requirement(text)
    # A package that names itself collects its own extras.
    return lambda row: row.name != name and any(needs(said, asked) for said in row.requires.get(name, ()))
