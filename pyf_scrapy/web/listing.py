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
from pyf_scrapy.search.queries import MAX_PER_PAGE, normalize, search, show
from pyf_scrapy.web.api_models import DOCUMENT_FIELDS, MATCHING, RELEASE_FIELDS
from pyf_scrapy.web.catalogue import Catalogue, Row
from pyf_scrapy.web.cursors import decode_cursor, encode_cursor, query_digest
from pyf_scrapy.web.filters import Filters, Page, Test
from pyf_scrapy.web.quoting import all_of, is_one_of, is_value
from pyf_scrapy.web.site import Site
from pyf_scrapy.web.specifiers import requirement

ListedField = Literal["authors", "maintainers", "keywords", "classifiers"]

_HITS = 100  # of a search, read at once
_NAMED = 500  # packages that the search server can be asked for by name
_MOST_READ = 2_000  # hits that are looked at for one page: others of them may pass no filter
_DEEPEST = 20_000  # hits after which a search has no further page

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """One page of a list; `next` is the cursor of the following one."""

    found: int
    rows: list[dict[str, Any]]
    next: str | None


def list_packages(site: Site, catalogue: Catalogue, profile: Profile, filters: Filters) -> Listing:
    """The packages that pass the filters: by name, or by relevance where words are asked for.

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
    if filters.q is not None:
        rows, found, following = _relevant(site, profile, filters, known, tests)
    else:
        some = packages.after("") if names is None else map(known.__getitem__, sorted(known.keys() & names))
        passing = [row for row in some if _passes(row, tests)]
        rows, following = _cut(passing, filters, _digest("packages", profile, filters), lambda row: row.name)
        found = len(passing)
    return Listing(found, [_shown(row, matching.get(row.name)) for row in rows], following)


def list_releases(site: Site, profile: Profile, name: str, page: Page) -> Listing:
    """The releases of a package, the latest first. Raises NotFoundError."""
    documents = _documents(site, profile, name, fields=RELEASE_FIELDS)
    digest = _digest(f"releases/{normalize(name)}", profile, page)
    start = 0 if page.cursor is None else int(decode_cursor(page.cursor, digest, int))
    some = documents[start : start + page.limit]
    end = start + len(some)
    following = encode_cursor(digest, end) if end < len(documents) else None
    return Listing(len(documents), [shown(document, RELEASE_FIELDS) for document in some], following)


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


def release(site: Site, profile: Profile, name: str, version: str | None = None) -> dict[str, Any]:
    """All of a release, of the latest one where no version is named. Raises NotFoundError."""
    if version is None:
        return shown(_documents(site, profile, name, latest=True)[0], DOCUMENT_FIELDS)
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


def look_up(
    catalogue: Catalogue, profile: Profile, names: Iterable[str], keys: Iterable[str | None]
) -> tuple[list[dict[str, Any] | None], list[list[dict[str, Any]]]]:
    """The packages of these names, and those of each of these repositories, in the order asked for."""
    packages = catalogue.packages(profile.collection).by_name
    of_names = [packages.get(normalize(name)) for name in names]
    wanted = list(keys)
    by_key: dict[str, list[dict[str, Any]]] = {key: [] for key in wanted if key is not None}
    if by_key:
        for name in sorted(packages):
            for key in packages[name].repositories & by_key.keys():
                by_key[key].append(_shown(packages[name]))
    return (
        [None if row is None else _shown(row) for row in of_names],
        [by_key[key] if key is not None else [] for key in wanted],
    )


def shown(document: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Those fields of a document that it has."""
    return {name: document[name] for name in fields if document.get(name) is not None}


def _relevant(
    site: Site, profile: Profile, filters: Filters, packages: Mapping[str, Row], tests: Sequence[Test]
) -> tuple[Sequence[Row], int, str | None]:
    """The hits of a search that pass, from the cursor on; how many the words find; the next cursor.

    Where few packages pass, the words are searched in these alone. Where many do, all hits are looked at.
    """
    digest = _digest("search", profile, filters)
    start = 0 if filters.cursor is None else int(decode_cursor(filters.cursor, digest, int))
    condition = ""
    if tests:
        passing = [name for name, row in packages.items() if _passes(row, tests)]
        if not passing:
            return [], 0, None
        if len(passing) <= _NAMED:
            condition = is_one_of("name_normalized", passing)
    rows: list[Row] = []
    position, found = start, 0
    while position - start < _MOST_READ and position < _DEEPEST:
        page, skipped = divmod(position, _HITS)
        result = site.search(
            lambda client, page=page: search(  # type: ignore[misc]  # bound at once
                client,
                profile.collection,
                filters.q or "",
                page=page + 1,
                per_page=_HITS,
                filter_by=condition,
                facet_by=(),
            )
        )
        found = result.found
        for hit in result.rows[skipped:]:
            row = packages.get(hit["name_normalized"])
            if row is not None and _passes(row, tests):
                if len(rows) == filters.limit:
                    return rows, found, encode_cursor(digest, position)
                rows.append(row)
            position += 1
        if len(result.rows) < _HITS:
            return rows, found, None
    return rows, found, encode_cursor(digest, position) if position < _DEEPEST else None


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


def _documents(
    site: Site, profile: Profile, name: str, *, fields: Sequence[str] = (), latest: bool = False
) -> list[dict[str, Any]]:
    """The documents of a package, the latest first. Raises NotFoundError where there is none."""
    found = site.search(
        lambda client: show(
            client,
            profile.collection,
            name,
            all_versions=not latest,
            fields=("name_normalized", *fields) if fields else (),
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
        last = decode_cursor(page.cursor, digest, str)
        start = next((place for place, row in enumerate(rows) if key(row) > str(last)), len(rows))
    some = rows[start : start + page.limit]
    more = start + len(some) < len(rows)
    return some, encode_cursor(digest, key(some[-1])) if more else None


def _digest(kind: str, profile: Profile, page: Page) -> bytes:
    query = page.model_dump(exclude={"limit", "cursor"}, exclude_defaults=True)
    return query_digest({"kind": kind, "collection": profile.collection, **query})


def _passes(row: Row, tests: Iterable[Test]) -> bool:
    return all(test(row) for test in tests)


def _shown(row: Row, matching: list[str] | None = None) -> dict[str, Any]:
    return {**row.shown, MATCHING: matching} if matching is not None else dict(row.shown)


def _values(row: Row, field: ListedField) -> Iterable[str]:
    if field == "keywords":
        return set(row.shown["keywords"])
    if field == "classifiers":
        return set(row.classifiers)
    return {row.shown["author" if field == "authors" else "maintainer"]}
