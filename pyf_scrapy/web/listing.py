"""The lists of the API: packages, releases and values, filtered and cut into pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.queries import MAX_PER_PAGE, normalize, show
from pyf_scrapy.search.schema import VERSION_FIELDS
from pyf_scrapy.web.api_documents import DOCUMENT_FIELDS, MATCHING
from pyf_scrapy.web.asked import SORT_FIELDS
from pyf_scrapy.web.catalogue import Catalogue, Row
from pyf_scrapy.web.cursors import decode_cursor, encode_cursor, query_digest
from pyf_scrapy.web.filters import Filters, Page, passes
from pyf_scrapy.web.quoting import all_of, is_value
from pyf_scrapy.web.relevance import relevant
from pyf_scrapy.web.site import Site
from pyf_scrapy.web.specifiers import requirement

ListedField = Literal["authors", "maintainers", "keywords", "classifiers"]

#: What releases are ordered by; no two of a package have the same.
_ORDER = "version_sortable"
_HIGHEST = 2**63  # no figure is

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """One page of a list; `next` is the cursor of the following one."""

    found: int
    rows: list[dict[str, Any]]
    next: str | None


def list_packages(site: Site, catalogue: Catalogue, profile: Profile, filters: Filters) -> Listing:
    """The packages that pass the filters: as they are to be sorted, else by name, or by relevance where words
    are asked for.

    Raises NotFoundError for a cursor of another query, StoreError, SearchError.
    """
    packages = catalogue.packages(profile.collection)
    known = packages.by_name
    names = filters.asked_names()
    tests = filters.tests()
    matching: Mapping[str, list[str]] = {}
    if filters.specifier:
        matching = _matching_versions(site, profile, known.keys() & (names or ()), filters.specifier)
        tests.append(lambda row: row.name in matching)
    rows: Sequence[Row]
    if filters.q is not None:
        digest = _digest("search", profile, filters)
        rows, found, following = relevant(site, profile, filters, tests, known, digest)
    else:
        some = packages.after("") if names is None else map(known.__getitem__, sorted(known.keys() & names))
        passing = [row for row in some if passes(row, tests)]
        place = _place(filters)
        if filters.sort is not None:
            passing.sort(key=place)
        rows, following = _cut(passing, filters, _digest("packages", profile, filters), place)
        found = len(passing)
    return Listing(found, [shown_row(row, matching.get(row.name)) for row in rows], following)


def list_releases(site: Site, profile: Profile, name: str, page: Page) -> Listing:
    """The releases of a package, the latest first. Raises NotFoundError."""
    documents = _documents(site, profile, name, fields=(_ORDER, *VERSION_FIELDS))
    digest = _digest(f"releases/{normalize(name)}", profile, page)
    start = 0
    if page.cursor is not None:
        last = decode_cursor(page.cursor, digest)
        start = _first(documents, lambda document: document[_ORDER] < last)
    some = documents[start : start + page.limit]
    more = start + len(some) < len(documents)
    following = encode_cursor(digest, some[-1][_ORDER]) if more else None
    return Listing(len(documents), [shown(document, VERSION_FIELDS) for document in some], following)


def list_values(catalogue: Catalogue, profile: Profile, field: ListedField, page: Page) -> Listing:
    """The values that a field has in the latest releases, with numbers of packages, in code point order."""
    counts: Counter[str] = Counter()
    for row in catalogue.packages(profile.collection).by_name.values():
        counts.update(_values(row, field))
    counts.pop("", None)
    rows, following = _cut(
        sorted(counts.items()), page, _digest(f"values/{field}", profile, page), lambda row: row[0]
    )
    return Listing(len(counts), [{"value": value, "packages": number} for value, number in rows], following)


def release(site: Site, profile: Profile, name: str, version: str) -> dict[str, Any]:
    """All of a release. Raises NotFoundError."""
    normalized = normalize(name)
    search = {
        "collection": profile.collection,
        "q": "*",
        "query_by": "name",
        "filter_by": all_of((is_value("name_normalized", normalized), is_value("version_raw", version))),
        "per_page": MAX_PER_PAGE,
    }
    for hit in site.search(lambda client: searches(client, [search]))[0]["hits"]:
        document = hit["document"]  # the filter compares words
        if (document["name_normalized"], document["version"]) == (normalized, version):
            return shown(document, DOCUMENT_FIELDS)
    raise NotFoundError(f"{profile.name} has no release {version[:100]!r} of {name[:100]!r}")


def shown(document: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Those fields of a document that it has."""
    return {name: document[name] for name in fields if document.get(name) is not None}


def _matching_versions(
    site: Site, profile: Profile, names: Iterable[str], specifiers: Iterable[str]
) -> dict[str, list[str]]:
    """For each package that has any: its releases that one of the specifiers takes, the newest first.

    As installers do, pre-releases are taken where nothing else is, and yanked releases only by their exact
    version (PEP 592).
    """
    wanted: dict[str, list[SpecifierSet]] = {}
    for name, specifier in map(requirement, specifiers):
        wanted.setdefault(name, []).append(specifier)
    matching = {}
    for name in names:
        documents = _documents(site, profile, name, fields=("version", "yanked"))
        taken = {version for specifier in wanted[name] for version in _taken(documents, specifier)}
        if taken:
            matching[name] = [one["version"] for one in documents if one["version"] in taken]
    return matching


def _taken(documents: Iterable[Mapping[str, Any]], specifier: SpecifierSet) -> list[str]:
    exact = any(one.operator == "==" and not one.version.endswith(".*") for one in specifier)
    versions = [one["version"] for one in documents if exact or not one["yanked"]]
    return list(specifier.filter(filter(_is_version, versions)))


def _is_version(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


def _documents(site: Site, profile: Profile, name: str, *, fields: Sequence[str]) -> list[dict[str, Any]]:
    """The documents of a package, the latest first. Raises NotFoundError where there is none."""
    found = site.search(
        lambda client: show(
            client,
            profile.collection,
            name,
            all_versions=True,
            fields=("name_normalized", *fields),
        )
    )
    if not found:
        raise NotFoundError(f"{profile.name} has no package {name[:100]!r}")
    return found


def _cut(
    rows: Sequence[T], page: Page, digest: bytes, key: Callable[[T], str]
) -> tuple[Sequence[T], str | None]:
    """The page of rows, which are in the order of their keys, and the cursor of the next one."""
    start = 0
    if page.cursor is not None:
        last = decode_cursor(page.cursor, digest)
        start = _first(rows, lambda row: key(row) > last)
    some = rows[start : start + page.limit]
    more = start + len(some) < len(rows)
    return some, encode_cursor(digest, key(some[-1])) if more else None


def _place(filters: Filters) -> Callable[[Row], str]:
    """What tells where a package stands in a list: its name, behind the value that is sorted by."""
    if filters.sort is None:
        return lambda row: row.name
    field = SORT_FIELDS[filters.sort]
    return lambda row: f"{_HIGHEST - row.shown.get(field, -1):020d} {row.name}"


def _first(rows: Sequence[T], is_behind: Callable[[T], bool]) -> int:
    """The place of the first row that is behind where a page ended; the end where there is none."""
    return next((place for place, row in enumerate(rows) if is_behind(row)), len(rows))


def _digest(kind: str, profile: Profile, page: Page) -> bytes:
    query = page.model_dump(exclude={"limit", "cursor"}, exclude_defaults=True)
    return query_digest({"kind": kind, "collection": profile.collection, **query})


def shown_row(row: Row, matching: list[str] | None = None) -> dict[str, Any]:
    """A package of a list; `matching`: the versions that a specifier takes."""
    return {**row.shown, MATCHING: matching} if matching is not None else dict(row.shown)


def _values(row: Row, field: ListedField) -> Iterable[str]:
    if field == "keywords":
        return set(row.shown["keywords"])
    if field == "classifiers":
        return set(row.classifiers)
    return {row.shown["author" if field == "authors" else "maintainer"]}
