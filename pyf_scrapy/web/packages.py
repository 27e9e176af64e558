"""All that is known of one package, from the index, the catalogue and the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

import typesense
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.lookup import did_you_mean
from pyf_scrapy.parsers.records import Role, Vulnerability
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.queries import show
from pyf_scrapy.store.records import TAKEN_OVER
from pyf_scrapy.web.catalogue import Packages, Row
from pyf_scrapy.web.site import Site
from pyf_scrapy.web.specifiers import read_requirement

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
#: Packages that need this one, which are named.
MOST_DEPENDENTS = 100


@dataclass(frozen=True)
class Dependency:
    """A requirement as it is written: the package it names, the rest of it as text, the extra it is for ("" =
    none), whether the profile has the package. What cannot be read has its text as its name."""

    text: str
    name: str
    normalized_name: str = ""
    wants: str = ""
    extra: str = ""
    is_known: bool = False


@dataclass(frozen=True)
class Dependent:
    """A package that requires another one: its row, its requirements of it as they are written, and what the
    first of these says."""

    row: Row
    requirements: tuple[str, ...]
    wants: str


@dataclass(frozen=True)
class Known:
    """What is known of a package besides its older releases.

    `dependents` are the healthiest of the `dependents_found` packages of the profile whose latest release
    requires it; `repository_at` is when its forge was asked last (epoch seconds).
    """

    latest: Document
    dependencies: list[Dependency]
    dependents: list[Dependent]
    dependents_found: int
    vulnerabilities: list[Vulnerability] = field(default_factory=list)
    roles: tuple[Role, ...] = ()
    repository_at: int | None = None


def known_package(site: Site, packages: Packages, profile: Profile, name: str) -> Known:
    """A package of a profile by any spelling; `packages` are those of the profile.

    Raises NotFoundError, which offers similar names.
    """
    latest = site.search(lambda client: _latest(client, profile, name))
    normalized = latest["name_normalized"]
    needing = _needing(packages, normalized)
    record = next(site.store.latest_records([normalized]), None)
    return Known(
        latest=latest,
        dependencies=[dependency(text, packages) for text in latest["requires_dist"]],
        dependents=[
            _dependent(row, normalized) for row in nsmallest(MOST_DEPENDENTS, needing, key=_unhealthiness)
        ],
        dependents_found=len(needing),
        vulnerabilities=[
            known for known in (record.vulnerabilities if record else None) or () if not known.withdrawn
        ],
        roles=(record.roles if record else None) or (),
        repository_at=_repository_at(site, normalized),
    )


def releases(site: Site, profile: Profile, name: str) -> list[Document]:
    """The releases of a package for its page, the latest first."""
    return site.search(
        lambda client: show(client, profile.collection, name, all_versions=True, fields=RELEASE_FIELDS)
    )


def latest_document(site: Site, profile: Profile, name: str, fields: Sequence[str]) -> Document:
    """These fields of the latest release. Raises NotFoundError."""
    found = site.search(lambda client: show(client, profile.collection, name, fields=fields))
    if not found:
        raise NotFoundError(f"{profile.name} has no package {name[:100]!r}")
    return found[0]


def dependency(text: str, packages: Packages) -> Dependency:
    """What a requirement says; `packages` are those of the profile."""
    read = read_requirement(text)
    if read is None:
        return Dependency(text, text)
    name = str(canonicalize_name(read.name))
    return Dependency(text, read.name, name, _wants(read), _extra(read), name in packages.by_name)


def by_extra(dependencies: Iterable[Dependency]) -> dict[str, list[Dependency]]:
    """Dependencies by the extra that they are for: first those that are always needed, "" is their key."""
    grouped: dict[str, list[Dependency]] = {"": []}
    for one in dependencies:
        grouped.setdefault(one.extra, []).append(one)
    return {extra: some for extra, some in grouped.items() if some}


def _latest(client: typesense.Client, profile: Profile, name: str) -> Document:
    found = show(client, profile.collection, name)
    if not found:
        similar = did_you_mean(client, profile.collection, name)
        raise NotFoundError(f"{profile.name} has no package {name[:100]!r}{similar}")
    return found[0]


def _repository_at(site: Site, normalized_name: str) -> int | None:
    link = site.store.links([normalized_name]).get(normalized_name)
    if link is None or link.key is None:
        return None
    age = site.store.repository_ages([link.key]).get(link.key)
    return None if age is None or age.fetched_at == TAKEN_OVER else age.fetched_at


def _needing(packages: Packages, name: str) -> list[Row]:
    """The packages whose latest release requires this one; a requirement that cannot be read is none."""
    others = map(packages.by_name.__getitem__, packages.needed_by.get(name, ()))
    return [row for row in others if any(map(read_requirement, row.requires[name]))]


def _unhealthiness(row: Row) -> tuple[int, str]:
    """Sorts the healthiest first; those whose health is not known come last."""
    return -row.shown.get("health_score", -1), row.name


def _dependent(row: Row, name: str) -> Dependent:
    """How a package requires another one: what always holds comes before what an extra asks for."""
    read = {text: one for text in row.requires[name] if (one := read_requirement(text)) is not None}
    first = min(read.values(), key=lambda one: bool(_extra(one)))
    extra = f"for [{_extra(first)}]" if _extra(first) else ""
    return Dependent(row, tuple(read), " ".join(filter(None, (_wants(first), extra))))


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
