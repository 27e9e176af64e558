"""Invented facts, short to write down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.project_json import File, Metadata, ProjectRecord, Role
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.store import (
    Check,
    DownloadFacts,
    PackageFacts,
    PageSaid,
    RepositoryFacts,
    RepositoryLink,
    RepositoryState,
    Verified,
)

PLONE = ("Framework :: Plone", "Framework :: Plone :: 6.0")


def metadata(version: str, *, name: str = "Some.Pkg", classifiers: tuple[str, ...] = PLONE) -> Metadata:
    return Metadata(
        name=name,
        version=version,
        summary=f"Summary of {version}",
        description=f"# {name} {version}\n\nétude \x00 " * 20,
        classifiers=classifiers,
        requires_dist=(),
        project_urls={"Homepage": "https://example.org/"},
    )


def files(
    version: str, *, yanked: bool = False, reason: str | None = None, uploaded: int | None = None
) -> tuple[File, ...]:
    """`uploaded`: when, which also stands for other contents."""
    file = File(
        filename=f"some_pkg-{version}.tar.gz",
        size=1,
        sha256="" if uploaded is None else f"{uploaded:064}",
        upload_time=uploaded,
        yanked=yanked,
        yanked_reason=reason,
    )
    return (file,)


def project(
    *versions: str,
    name: str = "Some.Pkg",
    serial: int = 10,
    classifiers: tuple[str, ...] = PLONE,
    yanked: Iterable[str] = (),
    listed: bool = True,
    uploaded: int | None = None,
    owner: str | None = None,
) -> ProjectRecord:
    """A project whose latest version is the first one given."""
    by_version = {v: files(v, yanked=v in yanked, reason="broken", uploaded=uploaded) for v in versions}
    return ProjectRecord(
        name=name,
        normalized_name=name.lower().replace(".", "-"),
        version=versions[0],
        serial=serial,
        metadata=metadata(versions[0], name=name, classifiers=classifiers),
        files=by_version if listed else None,
        latest_files=by_version[versions[0]],
        roles=None if owner is None else (Role("Owner", owner),),
    )


def facts(
    *versions: str,
    name: str = "Some.Pkg",
    serial: int = 10,
    classifiers: tuple[str, ...] = PLONE,
    yanked: Iterable[str] = (),
    listed: bool = True,
    releases: Mapping[str, Metadata | None] | None = None,
    at: int = 1000,
    uploaded: int | None = None,
    owner: str | None = None,
    promised: int | None = None,
    etag: str | None = None,
) -> PackageFacts:
    record = project(
        *versions,
        name=name,
        serial=serial,
        classifiers=classifiers,
        yanked=yanked,
        listed=listed,
        uploaded=uploaded,
        owner=owner,
    )
    return PackageFacts(record, serial, releases or {}, at, promised, etag)


def check(
    name: str,
    serial: int = 10,
    classifiers: tuple[str, ...] = ("Topic :: Utilities",),
    status: str = "active",
    at: int = 1000,
    promised: int | None = None,
) -> Check:
    return Check(name.lower().replace(".", "-"), name, serial, classifiers, status, at, promised)


def gone(name: str, serial: int = 10, at: int = 2000) -> Check:
    return check(name, serial, classifiers=(), status="vanished", at=at)


def verified(
    name: str, status: str | None = None, reason: str | None = None, at: int = 3000, etag: str = '"p"'
) -> Verified:
    """PyPI's marker, read from a page."""
    return Verified(name, at, PageSaid(status, reason, etag))


def repository(
    key: str,
    state: RepositoryState = "ok",
    *,
    at: int = 2000,
    stars: int | None = None,
    created_at: int | None = None,
    commits: int | None = None,
    asked_at: int | None = None,
) -> RepositoryFacts:
    """With a record if `stars` are given, with a contributor if `commits` are."""
    _, owner, name = key.split("/")
    record = RepositoryRecord(f"R_{name}", owner, name, created_at=created_at, stars=stars)
    return RepositoryFacts(
        key,
        state,
        at,
        etag=None if stars is None else f'"{stars}"',
        node_id=None if stars is None else record.node_id,
        record=None if stars is None else record,
        contributors=None if commits is None else (Contributor("ann", commits),),
        contributors_at=asked_at,
    )


def link(
    name: str, key: str | None = None, *, at: int = 2000, proof: Proof | None = None, url: str | None = None
) -> RepositoryLink:
    """A link to a repository; without one, with the problem of having none."""
    problem = "no_repo_url" if key is None else None
    return RepositoryLink(name, key, at, url=url, proof=proof, problem=problem)


def downloads(
    name: str, day: int | None = 1, *, at: int = 2000, source: str = "pypistats", as_of: int = 0
) -> DownloadFacts:
    """Figures of the day `as_of`; `day` None = the source does not know the package."""
    counts = None if day is None else DownloadCounts(source, as_of, last_day=day)
    return DownloadFacts(name, source, at, counts)
