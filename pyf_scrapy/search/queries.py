"""Searching packages: the defaults as data, one row per package, and all releases of one package.

A package is searched by what its latest release says: one document, so there is nothing to group, which
costs Typesense more than the search itself. Where a query names a framework version ("gallery plone 5.2"),
the newest release for that version is searched too, and packages that claim it come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import typesense

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.named_versions import named_versions

#: Typesense's own limit.
MAX_PER_PAGE = 250
_MAX_PAGE = 1_000_000
MAX_QUERY = 400  # characters
MAX_FACET_VALUES = 250


class QueryField(NamedTuple):
    """A field that is searched: its weight, how many typos a word may have, and what counts as a hit.

    `prefix`: the query's last word may be the beginning of one; `infix`: it may be any part of one, which is
    tried when nothing else is found.
    """

    name: str
    weight: int
    typos: int = 0
    prefix: bool = False
    infix: bool = False


QUERY_FIELDS = (
    QueryField("name", 12, typos=2, prefix=True, infix=True),
    QueryField("keywords", 9, typos=1, prefix=True),
    QueryField("title", 8, typos=1, prefix=True),
    QueryField("summary", 7, typos=1, prefix=True),
    QueryField("framework_versions", 6),
    QueryField("first_chapter", 4, typos=1),
    QueryField("main_content", 3),
    QueryField("author", 3, typos=1),
    QueryField("maintainer", 2, typos=1),
    QueryField("changelog", 1),
)
FACETS = ("framework_versions", "python_versions")
LATEST = "is_latest:true"
#: For searches in which a package has several documents.
GROUPED: dict[str, Any] = {"group_by": "name_normalized", "group_limit": 1}
#: After the preferences of a query.
ORDER = "_text_match:desc,health_score:desc"
PER_PAGE = 20

#: The keys of a row; a field that a document lacks is None.
ROW_FIELDS = (
    "name",
    "name_normalized",
    "version",
    "summary",
    "health_score",
    "upload_timestamp",
    "framework_versions",
    "python_versions",
    "license",
    "yanked",
    "is_latest",
    "latest_for",
    "github_stars",
    "download_last_month",
    "vulnerabilities",
    "project_status",
)

_SEPARATORS = re.compile(r"[-_.\s]+")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_AFTER_COLON = re.compile(r":\s*\([\s(]*")


@dataclass(frozen=True)
class SearchResult:
    """One page of packages. `found` counts packages on all pages; `facets`: field -> value -> packages."""

    found: int
    page: int
    per_page: int
    rows: list[dict[str, Any]]
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


def filter_value(value: str) -> str:
    """`value` quoted for a filter ("classifiers:=" + filter_value("Framework :: Plone")).

    Typesense's quotes cannot be escaped, so backticks are left out, and a parenthesis after a colon, which
    0.24.1 takes for the beginning of a place even in quotes. As symbols they are not indexed either.
    """
    return f"`{_AFTER_COLON.sub(':', value.replace('`', ''))}`"


def search_defaults() -> dict[str, Any]:
    """The parameters of a search that are the same for every query; front ends get them as a preset."""
    return _query_parameters() | {
        "filter_by": LATEST,
        "sort_by": ORDER,
        "facet_by": ",".join(FACETS),
        "max_facet_values": MAX_FACET_VALUES,
        "include_fields": ",".join(ROW_FIELDS),
        "per_page": PER_PAGE,
    }


def search(
    client: typesense.Client,
    collection: str,
    query: str,
    *,
    page: int = 1,
    per_page: int = PER_PAGE,
    filter_by: str = "",
    sort_by: str = "",
    facet_by: Sequence[str] = FACETS,
    facet_query: str = "",
    all_releases: bool = False,
) -> SearchResult:
    """Search a collection or alias; an empty query finds everything.

    `filter_by`, `sort_by` and `facet_query` are Typesense's. With `all_releases` older releases are searched
    too; a package whose latest release matches comes first, each in its best matching release. Raises
    UsageProblem for an impossible page, SearchError when Typesense cannot answer (an unknown field in a
    filter, no collection).
    """
    if not 1 <= page <= _MAX_PAGE or not 1 <= per_page <= MAX_PER_PAGE:
        raise UsageProblem(
            f"page {page} of {per_page} packages: use page 1 to {_MAX_PAGE}, 1 to {MAX_PER_PAGE} packages"
        )
    query = query.strip()[:MAX_QUERY]
    versions = named_versions(client, collection, query)
    if all_releases:
        scope, order = "", "is_latest:desc,_text_match:desc,version_sortable:desc"
    else:
        scope = " || ".join([LATEST, *_claims(versions)])
        order = f"{_preferences(query, versions)}{ORDER}"
    grouped = all_releases or bool(versions)
    filters = [f"({part})" for part in (scope, filter_by) if part]
    result = searches(
        client,
        [
            search_defaults()
            | (GROUPED if grouped else {})
            | {
                "collection": collection,
                "q": query or "*",
                "filter_by": " && ".join(filters),
                "sort_by": sort_by or order,
                "facet_by": ",".join(facet_by),
                "facet_query": facet_query,
                "page": page,
                "per_page": per_page,
            }
        ],
    )[0]
    # Typesense 0.24.1 may, very rarely, show a group without hits.
    groups = [group["hits"][:1] for group in result["grouped_hits"]] if grouped else [result["hits"]]
    return SearchResult(
        found=result["found"],
        page=page,
        per_page=per_page,
        rows=[{name: hit["document"].get(name) for name in ROW_FIELDS} for hits in groups for hit in hits],
        facets=_facets(result),
    )


def show(
    client: typesense.Client,
    collection: str,
    name: str,
    *,
    all_versions: bool = False,
    fields: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The documents of a package, newest release first; without `all_versions` the latest only.

    `name` in any spelling; `fields` are those wanted, none = all. An empty list where the collection has no
    such package.
    """
    wanted = {"include_fields": ",".join(("name_normalized", *fields))} if fields else {}
    normalized = normalize(name)
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        result = searches(
            client,
            [
                {
                    "collection": collection,
                    "q": "*",
                    "query_by": "name",
                    "filter_by": f"name_normalized:={filter_value(normalized)}",
                    "sort_by": "version_sortable:desc",
                    "page": page,
                    "per_page": MAX_PER_PAGE if all_versions else 1,
                    **wanted,
                }
            ],
        )[0]
        hits = [hit["document"] for hit in result["hits"]]
        # The filter compares words, and Typesense cuts very long ones.
        found += [document for document in hits if document["name_normalized"] == normalized]
        if not all_versions or len(hits) < MAX_PER_PAGE:
            return found
        page += 1


def normalize(name: str) -> str:
    """A name after PEP 503, also when its words are typed with blanks between them."""
    return _SEPARATORS.sub("-", name.strip()).lower()


def _preferences(query: str, versions: Sequence[str]) -> str:
    """The first key of the order: who has that name, or that word in its name, or claims the versions named.

    The words are also tried as one: "easy form" prefers thicket.easyform to a text with both words.
    """
    conditions = []
    if _NAME.fullmatch(name := normalize(query)):
        conditions = [f"name_normalized:={filter_value(name)}", f"name:{filter_value(name.replace('-', ''))}"]
    condition = " || ".join([*conditions, *_claims(versions)])
    return f"_eval({condition}):desc," if condition else ""


def _claims(versions: Iterable[str]) -> list[str]:
    # One condition each: a list's commas would end the sort key.
    return [f"latest_for:={filter_value(version)}" for version in versions]


def _query_parameters() -> dict[str, Any]:
    """What is searched and how, from `QUERY_FIELDS`."""

    def each(values: Iterable[object]) -> str:
        return ",".join(str(value).lower() for value in values)

    return {
        "query_by": each(field.name for field in QUERY_FIELDS),
        "query_by_weights": each(field.weight for field in QUERY_FIELDS),
        "num_typos": each(field.typos for field in QUERY_FIELDS),
        "prefix": each(field.prefix for field in QUERY_FIELDS),
        "infix": each("fallback" if field.infix else "off" for field in QUERY_FIELDS),
        "split_join_tokens": "always",
        "highlight_fields": "none",
    }


def _facets(result: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        facet["field_name"]: {count["value"]: count["count"] for count in facet["counts"]}
        for facet in result["facet_counts"]
    }
