"""What the API says of packages and releases: names, types and phrases are those of the index's schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from pyf_scrapy.search.schema import SCHEMA, VERSION_FIELDS
from pyf_scrapy.web.catalogue import SUMMARY_FIELDS

_FIELDS = {field.name: field for field in SCHEMA}

#: What only pyf.aggregator's collections have, and what serves the index itself.
_HIDDEN = frozenset(
    {"identifier", "name_sortable", "registry", "version_raw", "version_sortable", "repository_url"}
)
DOCUMENT_FIELDS = tuple(name for name in _FIELDS if name not in _HIDDEN and not name.startswith("npm_"))


def absent(description: str | None = None) -> Any:
    """A field that is left out where it is not known; it is never null."""
    return Field(
        default=None, description=description, json_schema_extra=lambda schema: schema.pop("default", None)
    )


ABSENT = absent()


class Answer(BaseModel):
    """The base of all answers: what is not described is not sent."""

    model_config = ConfigDict(extra="forbid")


class Digests(Answer):
    """Digests of a file; hexadecimal."""

    sha256: str = ABSENT


class File(Answer):
    """A file of a release, which stays at PyPI. What is not known is absent."""

    filename: str = ABSENT
    url: str = ABSENT
    packagetype: str = ABSENT
    python_version: str = ABSENT
    requires_python: str = ABSENT
    digests: Digests = ABSENT
    size: int = absent("Bytes.")
    upload_time_iso_8601: datetime = ABSENT
    yanked: bool = ABSENT


class Contributor(Answer):
    """Who contributed to the repository."""

    username: str
    avatar_url: str
    contributions: int


class HealthPoint(Answer):
    """What one rule gave, or, being a limit, took (negative points)."""

    rule: str
    axis: str
    points: int
    maximum: int
    evidence: str = Field(description="Why.")
    source: str = Field(description="Who said so.")
    when: int = absent("The moment of the fact, epoch seconds.")
    remedy: str = absent("What would raise it.")


class HealthRemedy(Answer):
    """Something to do."""

    remedy: str
    gain: int | None = Field(description="Points that this alone gives; null where facts are missing.")
    rules: list[str] = Field(description="The rules that it is about.")


class HealthAxis(Answer):
    """The rules of one axis together."""

    points: int
    maximum: int
    cut: int = Field(description="What limits took; 0 or negative.")
    confidence: int = Field(description="Per cent of the weight of its rules that are known.")


class HealthBreakdown(BaseModel):
    """The score explained: `points` sum to it. pyf.aggregator's keys are there, too."""

    model_config = ConfigDict(extra="allow")

    points: list[HealthPoint] = ABSENT
    remedies: list[HealthRemedy] = absent("What would raise the score, the most first.")
    axes: dict[str, HealthAxis] = ABSENT
    confidence: int = absent("Per cent of what the rules ask that is known.")
    version: int = absent("Of the rules.")


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
    "health_score_breakdown": HealthBreakdown,
}


def document_model(
    name: str, doc: str, fields: Iterable[str], base: type[BaseModel] = Answer
) -> type[BaseModel]:
    """The type of an answer with these fields of documents."""
    definitions: dict[str, Any] = {}
    for field_name in fields:
        field = _FIELDS[field_name]
        kind = _OBJECTS.get(field_name) or _TYPES[field.type]
        always = not field.optional and field.index
        definitions[field_name] = (kind, Field(description=field.help) if always else absent(field.help))
    model: type[BaseModel] = create_model(name, __base__=base, __doc__=doc, **definitions)
    return model


#: The field that only a list with `specifier` has.
MATCHING = "matching_versions"


class _Matching(Answer):
    matching_versions: list[str] = absent(
        "With `specifier`: its releases that are like it, the newest first."
    )


PackageSummary = document_model(
    "PackageSummary",
    "A package as its latest release describes it. What is not known is absent.",
    SUMMARY_FIELDS,
    _Matching,
)
ReleaseSummary = document_model("ReleaseSummary", "A release of a package.", VERSION_FIELDS)
ReleaseDetail = document_model(
    "ReleaseDetail",
    "A release with all that is known of it. Text, repository, downloads and health stand on the latest "
    "release and on the newest one of each framework version. What is not known is absent.",
    DOCUMENT_FIELDS,
)
