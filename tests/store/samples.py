"""Invented facts, short to write down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyf_scrapy.parsers.project_json import File, Metadata, ProjectRecord
from pyf_scrapy.store import Check, PackageFacts

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


def files(version: str, *, yanked: bool = False, reason: str | None = None) -> tuple[File, ...]:
    return (File(filename=f"some_pkg-{version}.tar.gz", size=1, yanked=yanked, yanked_reason=reason),)


def project(
    *versions: str,
    name: str = "Some.Pkg",
    serial: int = 10,
    classifiers: tuple[str, ...] = PLONE,
    yanked: Iterable[str] = (),
    listed: bool = True,
) -> ProjectRecord:
    """A project whose latest version is the first one given."""
    by_version = {v: files(v, yanked=v in yanked, reason="broken") for v in versions}
    return ProjectRecord(
        name=name,
        normalized_name=name.lower().replace(".", "-"),
        version=versions[0],
        serial=serial,
        metadata=metadata(versions[0], name=name, classifiers=classifiers),
        files=by_version if listed else None,
        latest_files=by_version[versions[0]],
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
) -> PackageFacts:
    record = project(
        *versions, name=name, serial=serial, classifiers=classifiers, yanked=yanked, listed=listed
    )
    return PackageFacts(project=record, serial=serial, releases=releases or {}, at=at)


def check(
    name: str,
    serial: int = 10,
    classifiers: tuple[str, ...] = ("Topic :: Utilities",),
    status: str = "active",
) -> Check:
    return Check(name.lower().replace(".", "-"), name, serial, classifiers, status, at=1000)
