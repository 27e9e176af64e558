"""What the API answers, as types: its OpenAPI description is made of these.

A package is described by its Typesense document; names, types and phrases are those of the index's schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from pyf_scrapy.search.schema import SCHEMA
from pyf_scrapy.web.catalogue import SUMMARY_FIELDS
from pyf_scrapy.web.filters import MAX_ASKED, Name, Text

_FIELDS = {field.name: field for field in SCHEMA}

#: What a list of releases says of each.
RELEASE_FIELDS = (
    "version",
    "upload_timestamp",
    "requires_python",
    "framework_versions",
    "python_versions",
    "is_latest",
    "latest_for",
    "is_prerelease",
    "yanked",
    "yanked_reason",
    "partial",
)
#: What only pyf.aggregator's collections have, and what serves the index itself.
_HIDDEN = frozenset(
    {"identifier", "name_sortable", "registry", "version_raw", "version_sortable", "repository_url"}
)
DOCUMENT_FIELDS = tuple(name for name in _FIELDS if name not in _HIDDEN and not name.startswith("npm_"))


def _absent(description: str | None = None) -> Any:
    """A field that is left out where it is not known; it is never null."""
    return Field(
        default=None, description=description, json_schema_extra=lambda schema: schema.pop("default", None)
    )


_ABSENT = _absent()


class Answer(BaseModel):
    """The base of all answers: what is not described is not sent."""

    model_config = ConfigDict(extra="forbid")


class Digests(Answer):
    """Digests of a file; hexadecimal."""

    sha256: str = _ABSENT


class File(Answer):
    """A file of a release, which stays at PyPI. What is not known is absent."""

    filename: str = _ABSENT
    url: str = _ABSENT
    packagetype: str = _ABSENT
    python_version: str = _ABSENT
    requires_python: str = _ABSENT
    digests: Digests = _ABSENT
    size: int = _absent("Bytes.")
    upload_time_iso_8601: datetime = _ABSENT
    yanked: bool = _ABSENT


class Contributor(Answer):
    """Who contributed to the repository."""

    username: str
    avatar_url: str
    contributions: int


_TYPES: Mapping[str, Any] = {
    "string": str,
    "string[]": list[str],
    "int64": int,
    "bool": bool,
    "float": float,
}
_OBJECTS: Mapping[str, Any] = {
    "project_urls": dict[str, str],
    "urls": list[File],
    "contributors": list[Contributor],
    "health_score_breakdown": dict[str, Any],
}


def _model(name: str, doc: str, fields: Iterable[str], base: type[BaseModel] = Answer) -> type[BaseModel]:
    definitions: dict[str, Any] = {}
    for field_name in fields:
        field = _FIELDS[field_name]
        kind = _OBJECTS.get(field_name) or _TYPES[field.type]
        always = not field.optional and field.index
        definitions[field_name] = (kind, Field(description=field.help) if always else _absent(field.help))
    model: type[BaseModel] = create_model(name, __base__=base, __doc__=doc, **definitions)
    return model


#: The field that only a list with `specifier` has.
MATCHING = "matching_versions"


class _Matching(Answer):
    matching_versions: list[str] = _absent(
        "With `specifier`: its releases that are like it, the newest first."
    )


PackageSummary = _model(
    "PackageSummary",
    "A package as its latest release describes it. What is not known is absent.",
    SUMMARY_FIELDS,
    _Matching,
)
ReleaseSummary = _model("ReleaseSummary", "A release of a package.", RELEASE_FIELDS)
ReleaseDetail = _model(
    "ReleaseDetail",
    "A release with all that is known of it. Text, repository, downloads and health stand on the latest "
    "release and on the newest one of each framework version. What is not known is absent.",
    DOCUMENT_FIELDS,
)


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
    """What to look up: at most 100 names and repositories together are answered."""

    names: list[Name] = Field(default=[], max_length=MAX_ASKED)
    repositories: list[Text] = Field(default=[], max_length=MAX_ASKED)


class FoundName(Answer):
    """A name that was asked for, and its package."""

    asked: str
    package: PackageSummary | None  # type: ignore[valid-type]  # made from the schema


class FoundRepository(Answer):
    """A repository that was asked for, and the packages that are of it."""

    asked: str
    packages: list[PackageSummary]  # type: ignore[valid-type]  # made from the schema


class LookupResult(Answer):
    """Each that was asked for, in that order."""

    names: list[FoundName]
    repositories: list[FoundRepository]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
