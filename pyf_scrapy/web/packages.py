"""One package for its page, from the index and the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import typesense
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.lookup import did_you_mean
from pyf_scrapy.parsers.records import Role, Vulnerability
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.queries import LATEST, MAX_PER_PAGE, show
from pyf_scrapy.store.records import TAKEN_OVER
from pyf_scrapy.web.quoting import all_of, has_words, is_one_of
from pyf_scrapy.web.site import Site

Document = dict[str, Any]

#: What the table of releases shows of each.
RELEASE_FIELDS = (
    "version",
    "upload_timestamp",
    "requires_python",
    "framework_versions",
    "is_latest",
    "is_prerelease",
    "latest_for",
    "yanked",
    "yanked_reason",
    "partial",
)
_DEPENDENT_FIELDS = ("name", "name_normalized", "summary", "health_score", "requires_dist")
#: Packages that need this one, which are looked at.
MOST_DEPENDENTS = 100


@dataclass(frozen=True)
class Dependency:
    """A requirement: the package it names, the rest of it as text, whether the profile has the package."""

    name: str
    normalized_name: str
    wants: str
    is_known: bool = False


@dataclass(frozen=True)
class Dependent:
    """A package that requires another one, and which of it."""

    name: str
    normalized_name: str
    summary: str
    health_score: int | None
    wants: str


@dataclass(frozen=True)
class PackagePage:
    """All that the page of a package shows. `dependencies`: by extra, "" first. `dependents_found` counts
    those of which `dependents` are the healthiest; `repository_at` is when its forge was asked last."""

    latest: Document
    releases: Sequence[Document]
    dependencies: dict[str, list[Dependency]]
    dependents: list[Dependent]
    dependents_found: int
    vulnerabilities: list[Vulnerability] = field(default_factory=list)
    roles: tuple[Role, ...] = ()
    repository_at: int | None = None


def package_page(site: Site, profile: Profile, name: str) -> PackagePage:
    """The page of a package by any spelling. Raises NotFoundError, which offers similar names."""
    return site.search(lambda client: _page(client, site, profile, name))


def latest_document(site: Site, profile: Profile, name: str, fields: Sequence[str]) -> Document:
    """These fields of the latest release. Raises NotFoundError."""
    found = site.search(lambda client: show(client, profile.collection, name, fields=fields))
    if not found:
        raise NotFoundError(f"{profile.name} has no package {name[:100]!r}")
    return found[0]


def parsed(requirement: str) -> tuple[Requirement, str] | None:
    """A requirement (PEP 508) and the extra that it is for, "" for none; None for one that is none."""
    try:
        read = Requirement(requirement)
    except (InvalidRequirement, RecursionError):
        return None
    return read, _extra(read)


def _page(client: typesense.Client, site: Site, profile: Profile, name: str) -> PackagePage:
    collection = profile.collection
    found = show(client, collection, name)
    if not found:
        raise NotFoundError(
            f"{profile.name} has no package {name[:100]!r}{did_you_mean(client, collection, name)}"
        )
    latest = found[0]
    normalized = latest["name_normalized"]
    dependents, count = _dependents(client, collection, normalized)
    record = next(site.store.latest_records([normalized]), None)
    return PackagePage(
        latest=latest,
        releases=show(client, collection, normalized, all_versions=True, fields=RELEASE_FIELDS),
        dependencies=_dependencies(client, collection, latest["requires_dist"]),
        dependents=dependents,
        dependents_found=count,
        vulnerabilities=[
            known for known in (record.vulnerabilities if record else None) or () if not known.withdrawn
        ],
        roles=(record.roles if record else None) or (),
        repository_at=_repository_at(site, normalized),
    )


def _repository_at(site: Site, normalized_name: str) -> int | None:
    link = site.store.links([normalized_name]).get(normalized_name)
    if link is None or link.key is None:
        return None
    age = site.store.repository_ages([link.key]).get(link.key)
    return None if age is None or age.fetched_at == TAKEN_OVER else age.fetched_at


def _dependencies(
    client: typesense.Client, collection: str, requirements: Iterable[str]
) -> dict[str, list[Dependency]]:
    """By extra: those that are always needed first. What is no requirement is shown as it is."""
    by_extra: dict[str, list[Dependency]] = {"": []}
    for text in requirements:
        read = parsed(text)
        if read is None:
            by_extra[""].append(Dependency(text, "", ""))
        else:
            requirement, extra = read
            name = canonicalize_name(requirement.name)
            by_extra.setdefault(extra, []).append(Dependency(requirement.name, name, _wants(requirement)))
    names = {one.normalized_name for some in by_extra.values() for one in some} - {""}
    known = set(_known(client, collection, sorted(names)))
    return {
        extra: [
            Dependency(one.name, one.normalized_name, one.wants, one.normalized_name in known) for one in some
        ]
        for extra, some in by_extra.items()
        if some
    }


def _known(client: typesense.Client, collection: str, names: Sequence[str]) -> Iterator[str]:
    """Those of the names that the collection has."""
    for start in range(0, len(names), MAX_PER_PAGE):
        some = names[start : start + MAX_PER_PAGE]
        yield from (
            hit["document"]["name_normalized"]
            for hit in searches(
                client,
                [
                    {
                        "collection": collection,
                        "q": "*",
                        "query_by": "name",
                        "filter_by": all_of((LATEST, is_one_of("name_normalized", some))),
                        "include_fields": "name_normalized",
                        "per_page": MAX_PER_PAGE,
                    }
                ],
            )[0]["hits"]
        )


def _dependents(
    client: typesense.Client, collection: str, normalized_name: str
) -> tuple[list[Dependent], int]:
    """The healthiest packages whose latest release requires this one, and how many have its words."""
    result = searches(
        client,
        [
            {
                "collection": collection,
                "q": "*",
                "query_by": "name",
                "filter_by": all_of((LATEST, has_words("requires_dist", normalized_name))),
                "sort_by": "health_score:desc",
                "include_fields": ",".join(_DEPENDENT_FIELDS),
                "per_page": MOST_DEPENDENTS,
            }
        ],
    )[0]
    found = []
    for hit in result["hits"]:
        document = hit["document"]
        for text in document["requires_dist"]:
            read = parsed(text)
            # The filter compares words: "plone-api-extra" has those of "plone-api" too.
            if read is not None and canonicalize_name(read[0].name) == normalized_name:
                found.append(
                    Dependent(
                        document["name"],
                        document["name_normalized"],
                        document["summary"],
                        document.get("health_score"),
                        _wants(read[0]),
                    )
                )
                break
    complete = result["found"] <= MOST_DEPENDENTS
    return found, len(found) if complete else result["found"]


def _wants(requirement: Requirement) -> str:
    """What a requirement says besides the name: extras, versions, when."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    versions = str(requirement.specifier) or (f"@ {requirement.url}" if requirement.url else "")
    marker = str(requirement.marker) if requirement.marker and not _extra(requirement) else ""
    return " ".join(filter(None, (extras, versions, f"if {marker}" if marker else "")))


def _extra(requirement: Requirement) -> str:
    """The extra that a marker asks for; one that asks for several things counts for the first."""
    if requirement.marker is None:
        return ""
    words = str(requirement.marker).split('extra == "')
    return words[1].partition('"')[0] if len(words) > 1 else ""
