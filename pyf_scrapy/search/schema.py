"""The schema of a collection, as data: Typesense gets it from `schema`, docs/documents.md from `SCHEMA`.

Names and types are those of pyf.aggregator, so that its web front end and scripts go on working, with these
differences: every whole number is int64 (an int32 overflows silently on Typesense 0.24.1, and `auto` fields
cannot be sorted before the first value came), and what pyf.aggregator stores without indexing it (health,
requires_python, ...) can be searched, filtered and sorted. Free-form objects are `auto` with `index: false`:
typed sub-fields make the server reject documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: pyf.aggregator's separators, then brackets and punctuation: without these Typesense glues "easy(form)",
#: "key=value" and "<li>item" to one word each.
TOKEN_SEPARATORS = [*".-_@/", *"<>()[]{},;:=|"]
#: So that "c++" and "c#" are words of their own and not "c".
SYMBOLS_TO_INDEX = ["+", "#"]
DEFAULT_SORTING_FIELD = "name_sortable"

#: What a list of a package's releases says of each.
VERSION_FIELDS = (
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

Origin = Literal["seeds", "upstream", "added"]


@dataclass(frozen=True)
class Field:
    """One field of a document.

    `origin` says who asked for the name: the READMEs that promised it to users ("seeds"), pyf.aggregator's
    schema or documents ("upstream"), or this project ("added"). `help` is its phrase in docs/documents.md.
    """

    name: str
    type: str
    help: str
    origin: Origin
    facet: bool = False
    sort: bool = False
    optional: bool = False
    index: bool = True
    infix: bool = False

    def definition(self) -> dict[str, Any]:
        """The field as Typesense's API takes it; flags at their default are left out."""
        definition: dict[str, Any] = {"name": self.name, "type": self.type}
        if not self.index:
            return definition | {"index": False, "optional": True}
        for flag in ("facet", "sort", "optional", "infix"):
            if getattr(self, flag):
                definition[flag] = True
        return definition


def _shown(name: str, field_type: str, help_: str, origin: Origin) -> Field:
    """A field that is stored and given back, not searched."""
    return Field(name, field_type, help_, origin, optional=True, index=False)


def _figure(name: str, help_: str, origin: Origin, *, facet: bool = False) -> Field:
    """A number that only some documents have."""
    return Field(name, "int64", help_, origin, facet=facet, sort=True, optional=True)


SCHEMA: tuple[Field, ...] = (
    # Which package and release
    Field("identifier", "string", "the id: normalized name, `==`, version", "upstream", facet=True),
    Field("name", "string", "name as its authors write it", "seeds", facet=True, infix=True),
    Field("name_normalized", "string", "name after PEP 503; one value per package", "added", facet=True),
    Field("name_sortable", "string", "name in lower case", "upstream", facet=True, sort=True),
    Field("registry", "string", "`pypi`", "upstream", facet=True, optional=True),
    Field("version", "string", "version as PyPI lists it", "seeds"),
    Field("version_raw", "string", "the same, to filter and sort by", "upstream", facet=True, sort=True),
    Field("version_major", "int64", "first number of the version", "seeds", sort=True),
    Field("version_minor", "int64", "second number", "seeds", sort=True),
    Field("version_bugfix", "int64", "third number", "seeds", sort=True),
    Field("version_postfix", "string", "what follows the third number", "upstream", sort=True),
    Field(
        "version_sortable",
        "string",
        "its string order is that of the releases",
        "upstream",
        facet=True,
        sort=True,
    ),
    Field("is_prerelease", "bool", "alpha, beta, candidate or development release", "added", facet=True),
    Field("is_latest", "bool", "the release that PyPI calls latest", "added", facet=True),
    Field(
        "latest_for", "string[]", "framework versions for which it is the newest release", "added", facet=True
    ),
    Field("upload_timestamp", "int64", "first upload, epoch seconds; 0 = unknown", "seeds", sort=True),
    Field("yanked", "bool", "withdrawn by its authors", "upstream", facet=True),
    _shown("yanked_reason", "string", "why it was withdrawn", "upstream"),
    Field("partial", "bool", "PyPI has no metadata of its own for this release", "added", facet=True),
    # What its authors say about it
    Field("summary", "string", "one line", "seeds"),
    Field("keywords", "string[]", "keywords", "seeds", facet=True),
    Field("classifiers", "string[]", "trove classifiers", "seeds", facet=True),
    Field("framework_versions", "string[]", "`Plone 6.0`, from the classifiers", "upstream", facet=True),
    Field("python_versions", "string[]", "`Python 3.12`, from the classifiers", "upstream", facet=True),
    Field("requires_python", "string", "Python versions it installs on", "seeds", optional=True),
    Field("requires_dist", "string[]", "requirements", "seeds"),
    Field("provides_extra", "string[]", "names of its extras", "added", optional=True),
    Field("author", "string", "author; without one, the names in author_email", "seeds"),
    Field("author_email", "string", "addresses of the authors", "upstream"),
    Field("maintainer", "string", "maintainer; without one, the names in maintainer_email", "upstream"),
    Field("maintainer_email", "string", "addresses of the maintainers", "upstream"),
    Field("license", "string", "license in short", "seeds"),
    Field("license_expression", "string", "SPDX expression", "added", facet=True, optional=True),
    _shown("license_files", "string[]", "names of its license files", "added"),
    Field("platform", "string", "platform", "upstream"),
    _shown("dynamic", "string[]", "metadata fields that the build computes", "added"),
    # Its text, plain but for `description`: on the latest release and on the newest of a framework version
    Field("title", "string", "first heading of the README", "upstream", optional=True),
    Field(
        "first_chapter",
        "string",
        "summary, README up to its second heading",
        "upstream",
        optional=True,
    ),
    Field("main_content", "string", "the rest of the README", "upstream", optional=True),
    Field("changelog", "string", "its changelog", "upstream", optional=True),
    Field("description", "string", "README as sanitised HTML", "seeds"),
    Field("description_content_type", "string", "media type of the README", "upstream"),
    # Addresses: http and https only
    _shown("home_page", "string", "home page", "seeds"),
    _shown("docs_url", "string", "documentation on PyPI's own host", "seeds"),
    _shown("project_urls", "auto", "label -> address", "seeds"),
    _shown("package_url", "string", "page on PyPI", "upstream"),
    _shown("project_url", "string", "page on PyPI, with `/` at its end", "upstream"),
    _shown("release_url", "string", "page of the release on PyPI", "upstream"),
    _shown("repository_url", "string", "source code, as given by other registries", "upstream"),
    Field("bugtrack_url", "string", "bug tracker", "upstream"),
    _shown("download_url", "string", "where to download it", "added"),
    _shown("urls", "auto", "files of the release", "upstream"),
    # Its state, on the latest release
    Field("serial", "int64", "PyPI's serial (latest release)", "added", sort=True, optional=True),
    Field(
        "project_status",
        "string",
        "PyPI's word on it if it is not active: `archived`",
        "added",
        facet=True,
        optional=True,
    ),
    Field("organization", "string", "who owns it on PyPI, if no person", "added", facet=True, optional=True),
    _figure("recreated_timestamp", "its name was another project's until then, epoch seconds", "added"),
    _figure("vulnerabilities", "known vulnerabilities (latest release)", "added", facet=True),
    # Computed, on the documents that carry text
    _figure("health_score", "0 to 100", "seeds", facet=True),
    _shown("health_score_breakdown", "auto", "points, problems and bonuses by part, and each point", "seeds"),
    _figure("health_score_last_calculated", "day of calculation, epoch seconds", "upstream"),
    # GitHub
    _figure("github_stars", "stars", "seeds", facet=True),
    _figure("github_watchers", "who watches it (subscribers)", "seeds", facet=True),
    _figure("github_forks", "forks", "added"),
    _figure("github_open_issues", "open issues without pull requests; needs a token", "seeds", facet=True),
    _figure("github_open_pull_requests", "open pull requests; needs a token", "added"),
    _figure("github_updated", "last push, epoch seconds", "seeds", facet=True),
    Field("github_archived", "bool", "archived by its owner", "added", facet=True, optional=True),
    Field(
        "github_license", "string", "SPDX identifier of what GitHub found", "added", facet=True, optional=True
    ),
    Field("github_topics", "string[]", "topics", "added", facet=True, optional=True),
    Field(
        "github_proof",
        "string",
        "is it the package's own? `attested`, `named` or `claimed`",
        "added",
        facet=True,
        optional=True,
    ),
    _shown("github_url", "string", "repository", "seeds"),
    _shown("contributors", "auto", "the five who contributed most", "upstream"),
    # Downloads
    _figure("download_last_day", "downloads in the last day", "seeds", facet=True),
    _figure("download_last_week", "in the last week", "seeds", facet=True),
    _figure("download_last_month", "in the last month", "seeds", facet=True),
    _figure("download_total", "in total, where known", "seeds", facet=True),
    _figure("download_updated", "day of the figures, epoch seconds", "seeds"),
    Field(
        "download_source",
        "string",
        "who counted: `pypistats` or `clickpy`",
        "added",
        facet=True,
        optional=True,
    ),
    # npm packages, which pyf.aggregator keeps in the same collection
    Field("npm_scope", "string", "scope of an npm package", "upstream", facet=True, optional=True),
    Field("npm_quality_score", "float", "npm's score, 0 to 1", "upstream", sort=True, optional=True),
    Field("npm_popularity_score", "float", "npm's score, 0 to 1", "upstream", sort=True, optional=True),
    Field("npm_maintenance_score", "float", "npm's score, 0 to 1", "upstream", sort=True, optional=True),
    Field("npm_final_score", "float", "npm's score", "upstream", sort=True, optional=True),
)


def schema(name: str) -> dict[str, Any]:
    """The body of Typesense's "create collection" for a collection called `name`."""
    return {
        "name": name,
        "fields": [field.definition() for field in SCHEMA],
        "enable_nested_fields": True,
        "token_separators": TOKEN_SEPARATORS,
        "symbols_to_index": SYMBOLS_TO_INDEX,
        "default_sorting_field": DEFAULT_SORTING_FIELD,
    }
