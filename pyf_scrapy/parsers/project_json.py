"""The JSON of a project (/pypi/NAME/json) and of a release (/pypi/NAME/VERSION/json) -> typed records.

Keys after warehouse's `legacy/api/json.py` and https://docs.pypi.org/api/json/; documents of 2015 and later
are understood. None means "not reported". What a record cannot do without (name, version, the structure of
the file lists) raises ParseError; any other field of a wrong type reads as not reported.
"""

from __future__ import annotations

from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.records import (
    File,
    Metadata,
    ProjectOutline,
    ProjectRecord,
    ReleaseRecord,
    Role,
    Vulnerability,
)
from pyf_scrapy.parsers.wire import NULL

__all__ = [
    "File",
    "Metadata",
    "ProjectOutline",
    "ProjectRecord",
    "ReleaseRecord",
    "Role",
    "Vulnerability",
    "parse_outline",
    "parse_project",
    "parse_release",
]

Raw = msgspec.Raw

_PROJECT: Final = "project JSON"
_RELEASE: Final = "release JSON"


class _Info(msgspec.Struct):
    name: Raw = NULL
    version: Raw = NULL
    summary: Raw = NULL
    description: Raw = NULL
    description_content_type: Raw = NULL
    keywords: Raw = NULL
    license: Raw = NULL
    license_expression: Raw = NULL
    license_files: Raw = NULL
    classifiers: Raw = NULL
    author: Raw = NULL
    author_email: Raw = NULL
    maintainer: Raw = NULL
    maintainer_email: Raw = NULL
    requires_python: Raw = NULL
    platform: Raw = NULL
    package_url: Raw = NULL
    project_url: Raw = NULL
    project_urls: Raw = NULL
    release_url: Raw = NULL
    requires_dist: Raw = NULL
    provides_extra: Raw = NULL
    docs_url: Raw = NULL
    bugtrack_url: Raw = NULL
    home_page: Raw = NULL
    download_url: Raw = NULL
    yanked: Raw = NULL
    yanked_reason: Raw = NULL
    dynamic: Raw = NULL


class _Head(msgspec.Struct):
    """A document without its `releases`: the key is skipped, not built."""

    info: _Info
    last_serial: Raw = NULL
    urls: Raw = NULL
    vulnerabilities: Raw = NULL
    ownership: Raw = NULL


class _Whole(_Head):
    releases: Raw = NULL


class _OutlineInfo(msgspec.Struct):
    name: Raw = NULL
    version: Raw = NULL
    classifiers: Raw = NULL


class _Outline(msgspec.Struct):
    """What decides whether a project is of any profile; all else is skipped, not built."""

    info: _OutlineInfo
    last_serial: Raw = NULL


class _File(msgspec.Struct):
    filename: Raw = NULL
    url: Raw = NULL
    packagetype: Raw = NULL
    python_version: Raw = NULL
    size: Raw = NULL
    digests: Raw = NULL
    upload_time: Raw = NULL
    upload_time_iso_8601: Raw = NULL
    requires_python: Raw = NULL
    yanked: Raw = NULL
    yanked_reason: Raw = NULL


class _NoFiles(msgspec.Struct, forbid_unknown_fields=True):
    """`{}` where `[]` is meant, as some servers have it."""


class _Vulnerability(msgspec.Struct):
    id: Raw = NULL
    aliases: Raw = NULL
    summary: Raw = NULL
    fixed_in: Raw = NULL
    link: Raw = NULL
    withdrawn: Raw = NULL


class _Role(msgspec.Struct):
    role: Raw = NULL
    user: Raw = NULL


class _Ownership(msgspec.Struct):
    organization: Raw = NULL
    roles: Raw = NULL


_outline: Final = msgspec.json.Decoder(_Outline)
_head: Final = msgspec.json.Decoder(_Head)
_whole: Final = msgspec.json.Decoder(_Whole)
_files: Final = msgspec.json.Decoder(list[_File] | None)
_releases: Final = msgspec.json.Decoder(dict[str, list[_File] | _NoFiles | None] | None)
_vulnerabilities: Final = msgspec.json.Decoder(list[_Vulnerability] | None)
_ownership: Final = msgspec.json.Decoder(_Ownership | None)
_roles: Final = msgspec.json.Decoder(list[_Role] | None)


def parse_outline(body: bytes) -> ProjectOutline:
    """Read of the answer of /pypi/NAME/json what decides whether the rest of it is of use: most projects of
    PyPI are of no profile.

    Raises ParseError only, though not for what is wrong with the rest.
    """
    with wire.parsing(_PROJECT):
        document = _outline.decode(body)
        name = wire.checked_name(_PROJECT, "info.name", wire.verbatim(document.info.name))
        wire.checked_version(_PROJECT, "info.version", wire.verbatim(document.info.version))
        return ProjectOutline(
            name=name,
            normalized_name=canonicalize_name(name),
            serial=wire.count(document.last_serial),
            classifiers=wire.texts(document.info.classifiers) or (),
        )


def parse_project(body: bytes) -> ProjectRecord:
    """Read the answer of /pypi/NAME/json. Raises ParseError only."""
    with wire.parsing(_PROJECT):
        document = _whole.decode(body)
        metadata = _metadata(_PROJECT, document.info)
        ownership = wire.optional(_ownership, document.ownership)
        return ProjectRecord(
            name=metadata.name,
            normalized_name=canonicalize_name(metadata.name),
            version=metadata.version,
            serial=wire.count(document.last_serial),
            metadata=metadata,
            files=_files_by_version(document),
            latest_files=_file_list(_PROJECT, document.urls),
            vulnerabilities=_vulnerability_list(document.vulnerabilities),
            organization=wire.text(ownership.organization) if ownership else None,
            roles=_role_list(ownership.roles) if ownership else None,
        )


def parse_release(body: bytes) -> ReleaseRecord:
    """Read the answer of /pypi/NAME/VERSION/json; `releases`, which old answers carry, is skipped.

    Raises ParseError only.
    """
    with wire.parsing(_RELEASE):
        document = _head.decode(body)
        metadata = _metadata(_RELEASE, document.info)
        ownership = wire.optional(_ownership, document.ownership)
        return ReleaseRecord(
            name=metadata.name,
            normalized_name=canonicalize_name(metadata.name),
            version=metadata.version,
            serial=wire.count(document.last_serial),
            metadata=metadata,
            files=_file_list(_RELEASE, document.urls),
            vulnerabilities=_vulnerability_list(document.vulnerabilities),
            organization=wire.text(ownership.organization) if ownership else None,
            roles=_role_list(ownership.roles) if ownership else None,
        )


def _metadata(what: str, info: _Info) -> Metadata:
    return Metadata(
        name=wire.checked_name(what, "info.name", wire.verbatim(info.name)),
        version=wire.checked_version(what, "info.version", wire.verbatim(info.version)),
        summary=wire.text(info.summary),
        description=_description(info.description),
        description_content_type=wire.text(info.description_content_type),
        keywords=_keywords(info.keywords),
        license=wire.text(info.license),
        license_expression=wire.text(info.license_expression),
        license_files=wire.texts(info.license_files),
        classifiers=wire.texts(info.classifiers) or (),
        author=wire.text(info.author),
        author_email=wire.text(info.author_email),
        maintainer=wire.text(info.maintainer),
        maintainer_email=wire.text(info.maintainer_email),
        requires_python=wire.text(info.requires_python),
        platform=wire.text(info.platform),
        package_url=wire.text(info.package_url),
        project_url=wire.text(info.project_url),
        project_urls=wire.mapping(info.project_urls),
        release_url=wire.text(info.release_url),
        requires_dist=wire.texts(info.requires_dist),
        provides_extra=wire.texts(info.provides_extra),
        docs_url=wire.text(info.docs_url),
        bugtrack_url=wire.text(info.bugtrack_url),
        home_page=wire.text(info.home_page),
        download_url=wire.text(info.download_url),
        yanked=wire.flag(info.yanked),
        yanked_reason=wire.text(info.yanked_reason),
        dynamic=wire.texts(info.dynamic),
    )


def _description(raw: msgspec.Raw) -> str | None:
    source = wire.verbatim(raw, wire.MAX_DESCRIPTION)
    if source is None or wire.known(source) is None:
        return None
    return source.replace("\0", "")


def _keywords(raw: msgspec.Raw) -> tuple[str, ...] | None:
    """Old tools sent one text with commas or blanks, the standard asks for commas."""
    joined = wire.text(raw)
    if joined is None:
        return None
    words = joined.split(",") if "," in joined else joined.split()
    return tuple(word for word in map(str.strip, words) if word) or None


def _files_by_version(document: _Whole) -> dict[str, tuple[File, ...]] | None:
    releases = wire.required(_PROJECT, "releases", _releases, document.releases)
    if releases is None:
        return None
    return {
        wire.checked_version(_PROJECT, "release", version): tuple(map(_file, files))
        if isinstance(files, list)
        else ()
        for version, files in releases.items()
    }


def _file_list(what: str, raw: msgspec.Raw) -> tuple[File, ...]:
    return tuple(map(_file, wire.required(what, "urls", _files, raw) or ()))


def _file(file: _File) -> File:
    return File(
        filename=wire.text(file.filename) or "",
        url=wire.text(file.url) or "",
        packagetype=wire.text(file.packagetype) or "",
        python_version=wire.text(file.python_version) or "",
        size=wire.count(file.size),
        sha256=wire.sha256(file.digests),
        upload_time=wire.epoch(wire.text(file.upload_time_iso_8601) or wire.text(file.upload_time)),
        requires_python=wire.text(file.requires_python),
        yanked=wire.flag(file.yanked),
        yanked_reason=wire.text(file.yanked_reason),
    )


def _vulnerability_list(raw: msgspec.Raw) -> tuple[Vulnerability, ...] | None:
    advisories = wire.optional(_vulnerabilities, raw)
    if advisories is None:
        return None
    return tuple(
        Vulnerability(
            id=wire.text(advisory.id) or "",
            aliases=wire.texts(advisory.aliases) or (),
            summary=wire.text(advisory.summary),
            fixed_in=wire.texts(advisory.fixed_in) or (),
            link=wire.text(advisory.link),
            withdrawn=wire.text(advisory.withdrawn),
        )
        for advisory in advisories
    )


def _role_list(raw: msgspec.Raw) -> tuple[Role, ...] | None:
    holders = wire.optional(_roles, raw)
    if holders is None:
        return None
    pairs = ((wire.text(holder.role), wire.text(holder.user)) for holder in holders)
    return tuple(Role(role=role, user=user) for role, user in pairs if role and user)
