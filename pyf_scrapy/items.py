"""The one unit that flows through every spider and pipeline: a package with all its releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import msgspec

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import Health, HealthFacts, health
from pyf_scrapy.metadata.releases import Release, combine
from pyf_scrapy.metadata.versions import VersionFields
from pyf_scrapy.parsers.records import DownloadCounts, ProjectRecord
from pyf_scrapy.search.changes import Change
from pyf_scrapy.store import ACTIVE, GONE, RepositoryFacts, RepositoryLink, Standing, Store, StoredPackage

# Feed exporters know dataclasses and plain values, not msgspec's structs.
_PLAIN = {"serializer": msgspec.to_builtins}


def _standing(standing: Standing | None) -> str | None:
    """PEP 792's marker, which is what a feed export shows of it."""
    return standing.status if standing is not None else None


@dataclass
class PackageItem:
    """A package: facts from the spider, computations from the pipelines.

    `profiles` are the keys of the crawl's profiles that the package belongs to, `leaving` those whose
    collection still holds it although it does not belong any more. `project` is None for a package that
    never belonged to any: it is only noted as checked. `standing` is what PyPI says beside the serial.
    `stored` = made of what the store has, not of an answer of PyPI; `fresh` = as new as was promised;
    `promised` = the serial that an index lists; `keys` note the entries of feeds that named it; `settled` =
    nothing is left to do about it; `noted` = why that is not so is in the store's failures; `all_texts` =
    `descriptions` are of all releases that have any.
    """

    name: str
    normalized_name: str
    serial: int
    classifiers: tuple[str, ...]
    revision: int = 0
    status: str = "active"
    profiles: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    project: ProjectRecord | None = field(default=None, metadata=_PLAIN)
    releases: tuple[Release, ...] = field(default=(), metadata=_PLAIN)
    link: RepositoryLink | None = field(default=None, metadata=_PLAIN)
    repository: RepositoryFacts | None = field(default=None, metadata=_PLAIN)
    downloads: DownloadCounts | None = field(default=None, metadata=_PLAIN)
    standing: Standing | None = field(default=None, metadata={"serializer": _standing})
    stored: bool = False
    fresh: bool = True
    promised: int | None = None
    keys: tuple[str, ...] = ()
    settled: bool = False
    noted: bool = False
    failures: list[str] = field(default_factory=list)
    versions: dict[str, VersionFields] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    all_texts: bool = False
    health: Health | None = field(default=None, metadata=_PLAIN)
    changes: dict[str, Change] = field(default_factory=dict)


def package_item(package: StoredPackage, source: str) -> PackageItem:
    """The item of a package as the store has it, with the downloads that `source` counted."""
    return PackageItem(
        name=package.name,
        normalized_name=package.normalized_name,
        serial=package.serial,
        revision=package.revision,
        classifiers=package.classifiers,
        status=package.status,
        project=package.project,
        releases=combine(package.project, package.releases),
        standing=package.standing,
        link=package.link,
        repository=package.repository,
        downloads=package.downloads.get(source),
        stored=True,
    )


def stored_item(store: Store, normalized_name: str, source: str) -> PackageItem | None:
    """The item of what the store has: a package, or only a checked project that never belonged to a profile
    though an index has it. None for an unknown project. `source` is whose downloads it shows."""
    package = store.load_package(normalized_name)
    if package is not None:
        return package_item(package, source)
    row = store.project(normalized_name)
    if row is None:
        return None
    return PackageItem(
        name=row.name,
        normalized_name=normalized_name,
        serial=row.serial,
        revision=row.revision,
        classifiers=row.classifiers,
        status=row.status,
        stored=True,
    )


def health_of(item: PackageItem, now: date) -> Health | None:
    """The health of a package on a date (UTC), by all that its item carries; None without releases.

    Its descriptions have to be there.
    """
    if not item.releases:
        return None
    facts = HealthFacts(
        releases=item.releases,
        description=item.descriptions.get(item.releases[0].version),
        project=item.project,
        # What is not known counts as active, as in the store: else documents would change without news.
        status=(item.standing.status if item.standing is not None else None) or ACTIVE,
        removed=item.status in GONE,
        repository=item.repository.record if item.repository is not None else None,
        repository_url=item.link.url if item.link is not None else None,
        proof=item.link.proof if item.link is not None else None,
        repository_at=item.repository.fetched_at if item.repository is not None else None,
        downloads=item.downloads,
    )
    return health(facts, now)
