"""What the API answers, as types: its OpenAPI description is made of these."""

from __future__ import annotations

from pydantic import Field

from pyf_scrapy.web.api_documents import (
    ABSENT,
    DOCUMENT_FIELDS,
    Answer,
    PackageSummary,
    ReleaseSummary,
    absent,
    document_model,
)
from pyf_scrapy.web.filters import MAX_ASKED, Name, Text
from pyf_scrapy.web.lookups import MOST_OF_ALL, MOST_OF_ONE
from pyf_scrapy.web.packages import MOST_DEPENDENTS


class Role(Answer):
    """Somebody's role on PyPI: `Owner`, `Maintainer`."""

    role: str
    user: str


class Advisory(Answer):
    """A known vulnerability of the latest release."""

    id: str = ABSENT
    aliases: list[str]
    summary: str = ABSENT
    fixed_in: list[str] = Field(description="Versions without it.")
    link: str = ABSENT


class Dependency(Answer):
    """A requirement of the latest release. One that cannot be read has no name."""

    requirement: str = Field(description="As the package writes it.")
    name: str = ABSENT
    name_normalized: str = ABSENT
    extra: str = Field(description="The extra that it is for, empty = none.")
    in_profile: bool = Field(description="Whether the profile has that package.")


class Dependent(Answer):
    """A package of the profile whose latest release requires this one."""

    name: str
    name_normalized: str
    summary: str = ABSENT
    health_score: int = ABSENT
    requirements: list[str] = Field(description="Those of this package, as the other one writes them.")


class _Known(Answer):
    roles: list[Role]
    advisories: list[Advisory]
    dependencies: list[Dependency]
    dependents_found: int = Field(description="How many there are; `depends_on` lists all.")
    dependents: list[Dependent] = Field(
        max_length=MOST_DEPENDENTS, description=f"The healthiest of them, {MOST_DEPENDENTS} at most."
    )
    repository_fetched_at: int = absent("When the figures of the repository were fetched, epoch seconds.")


PackageDetail = document_model(
    "PackageDetail",
    "A package: its latest release with all that is known of it, and what only the whole package has. What "
    "is not known is absent.",
    DOCUMENT_FIELDS,
    _Known,
)


class FacetValue(Answer):
    """A value, and how many packages have it."""

    value: str
    title: str = Field(description="For people.")
    packages: int = absent("Absent in an index from before these were counted.")


class Facet(Answer):
    """What can be chosen of one kind; `key` is the parameter."""

    key: str
    title: str
    values: list[FacetValue]


class FacetList(Answer):
    """What a search can be narrowed by."""

    found: int = Field(description="How many packages the search finds.")
    facets: list[Facet]


class Profile(Answer):
    """A profile that is served: the packages of one ecosystem."""

    key: str = Field(description="Its name in paths.")
    name: str
    classifiers: list[str] = Field(description="Whose classifiers these or ones below are belongs to it.")
    packages: int = Field(description="How many it has.")
    last_event: int = Field(description="The number of the last event that the store noted, of any profile.")


class ProfileList(Answer):
    """All profiles that are served."""

    profiles: list[Profile]


class PackageList(Answer):
    """One page of packages."""

    found: int = Field(
        description="How many packages pass on all pages. With `q`, where more than 500 pass the other "
        "filters: how many the words alone find."
    )
    packages: list[PackageSummary]  # type: ignore[valid-type]  # made from the schema
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class ReleaseList(Answer):
    """One page of the releases of a package, the latest first."""

    found: int
    releases: list[ReleaseSummary]  # type: ignore[valid-type]  # made from the schema
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class Value(Answer):
    """A value, and how many packages have it."""

    value: str
    packages: int


class ValueList(Answer):
    """One page of the values of a field, in the order of the alphabet."""

    found: int
    values: list[Value]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class Lookup(Answer):
    """What to look up. What is asked twice, in whatever spelling, is answered once."""

    names: list[Name] = Field(default=[], max_length=MAX_ASKED)
    repositories: list[Text] = Field(default=[], max_length=MAX_ASKED)


class FoundName(Answer):
    """A name that was asked for, and its package."""

    asked: str
    package: PackageSummary | None  # type: ignore[valid-type]  # made from the schema


class FoundRepository(Answer):
    """A repository that was asked for, and the packages that are of it."""

    asked: str
    found: int = Field(description="How many these are; the filter `repository` lists all.")
    packages: list[PackageSummary] = Field(  # type: ignore[valid-type]  # made from the schema
        max_length=MOST_OF_ONE,
        description=f"The first by name, at most {MOST_OF_ONE}, and {MOST_OF_ALL} of all repositories.",
    )


class LookupResult(Answer):
    """Each that was asked for, in the order in which it was first."""

    names: list[FoundName]
    repositories: list[FoundRepository]
