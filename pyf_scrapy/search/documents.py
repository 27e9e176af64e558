"""From a package's facts to its Typesense documents: one per release, a pure function of facts and date.

Long text, GitHub's facts, downloads and health stand on the latest release and on the newest release of each
framework version. Facts of the package that change without a release (serial, vulnerabilities) stand on the
latest release only, so that the others stay as they are and need not be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import Health
from pyf_scrapy.metadata.releases import (
    Release,
    framework_versions,
    latest_for,
    python_versions,
    text_versions,
)
from pyf_scrapy.metadata.versions import VersionFields, version_fields
from pyf_scrapy.parsers.records import DownloadCounts, File, ProjectRecord
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.cleaning import (
    MAX_ITEM,
    decoded_words,
    html,
    items,
    line,
    people,
    short_license,
    text,
    url,
    within,
)
from pyf_scrapy.store.records import ACTIVE, RepositoryFacts, RepositoryLink, Standing

# Bytes as JSON; together with the lists a document stays below about 1 MB.
MAX_DESCRIPTION = 300_000
MAX_MAIN_CONTENT = 120_000
MAX_CHANGELOG = 120_000
MAX_FIRST_CHAPTER = 50_000
MAX_FILES = 60_000
MAX_PROJECT_URLS = 30_000

#: Rises when documents of the same facts become others: then all are sent again.
FORMAT: Final = 2

#: The field that says when a document was computed, not what it says.
CALCULATED: Final = "health_score_last_calculated"
_REGISTRY: Final = "pypi"


class Package(Protocol):
    """What `documents` reads of a package; `items.PackageItem` has it."""

    @property
    def name(self) -> str: ...
    @property
    def normalized_name(self) -> str: ...
    @property
    def serial(self) -> int: ...
    @property
    def project(self) -> ProjectRecord | None: ...
    @property
    def releases(self) -> Sequence[Release]: ...
    @property
    def versions(self) -> Mapping[str, VersionFields]: ...
    @property
    def descriptions(self) -> Mapping[str, Description]: ...
    @property
    def health(self) -> Health | None: ...
    @property
    def standing(self) -> Standing | None: ...
    @property
    def link(self) -> RepositoryLink | None: ...
    @property
    def repository(self) -> RepositoryFacts | None: ...
    @property
    def downloads(self) -> DownloadCounts | None: ...


def document_id(normalized_name: str, version: str) -> str:
    """The id of a release's document: "plone-api==2.0", with the version as PyPI lists it."""
    return f"{normalized_name}=={line(version)}"


def documents(
    package: Package, profile: Profile, now: date, *, all_texts: bool = False
) -> list[dict[str, Any]]:
    """The documents of a package for the collection of a profile, newest release first.

    `profile.releases` limits them to the newest N. `all_texts` puts long text and health on every document
    (the setting DESCRIPTIONS=all). A package without releases has none.
    """
    newest_first = sorted(package.releases, key=lambda release: release.sortable, reverse=True)
    kept = newest_first[: profile.releases]
    newest_for = latest_for(package.releases)
    with_text = {release.version for release in kept} if all_texts else set(text_versions(package.releases))
    made = []
    for release in kept:
        document = (
            _release_fields(package, release) | _metadata_fields(release) | _address_fields(package, release)
        )
        document["latest_for"] = items(newest_for.get(release.version))
        document["is_latest"] = release is newest_first[0]
        if document["is_latest"]:
            document |= _latest_fields(package)
        if release.version in with_text:
            document |= _text_fields(package.descriptions.get(release.version), document["summary"])
            document |= _repository_fields(package.link, package.repository)
            document |= _download_fields(package.downloads)
            document |= _health_fields(package.health, now)
        made.append(document)
    return made


def document_hash(document: Mapping[str, Any]) -> bytes:
    """8 bytes that differ when two documents say different things; the date of calculation does not count."""
    said = {name: value for name, value in document.items() if name != CALCULATED}
    return blake2b(msgspec.json.encode(said, order="sorted"), digest_size=8).digest()


def _release_fields(package: Package, release: Release) -> dict[str, Any]:
    fields = package.versions.get(release.version)
    if fields is None:
        fields = version_fields(release.version, yanked=release.yanked)
    identifier = document_id(package.normalized_name, release.version)
    document: dict[str, Any] = {
        "id": identifier,
        "identifier": identifier,
        "name": line(package.name, MAX_ITEM),
        "name_normalized": package.normalized_name,
        "name_sortable": line(package.name, MAX_ITEM).lower(),
        "registry": _REGISTRY,
        "version": line(release.version),
        "version_raw": line(fields.raw),
        "version_major": fields.major,
        "version_minor": fields.minor,
        "version_bugfix": fields.bugfix,
        "version_postfix": line(fields.postfix),
        "version_sortable": fields.sortable,
        "is_prerelease": fields.is_prerelease,
        "upload_timestamp": max(release.upload_time or 0, 0),
        "yanked": release.yanked,
        "partial": release.partial,
        "description": "",
    }
    if release.yanked and (reason := line(release.yanked_reason)):
        document["yanked_reason"] = reason
    return document


def _metadata_fields(release: Release) -> dict[str, Any]:
    metadata = release.metadata
    return {
        "summary": line(metadata.summary),
        "keywords": items(metadata.keywords),
        "classifiers": items(metadata.classifiers),
        "framework_versions": items(framework_versions(metadata.classifiers)),
        "python_versions": items(python_versions(metadata.classifiers)),
        "requires_dist": items(metadata.requires_dist),
        "author": decoded_words(line(metadata.author)) or people(metadata.author_email),
        "author_email": line(metadata.author_email),
        "maintainer": decoded_words(line(metadata.maintainer)) or people(metadata.maintainer_email),
        "maintainer_email": line(metadata.maintainer_email),
        "license": short_license(metadata.license, metadata.license_expression),
        "platform": line(metadata.platform),
        "description_content_type": line(metadata.description_content_type, MAX_ITEM),
        **_given(
            requires_python=line(metadata.requires_python, MAX_ITEM),
            license_expression=line(metadata.license_expression, MAX_ITEM),
            license_files=items(metadata.license_files),
            provides_extra=items(metadata.provides_extra),
            dynamic=items(metadata.dynamic),
        ),
    }


def _address_fields(package: Package, release: Release) -> dict[str, Any]:
    metadata = release.metadata
    of_project = package.project.metadata if package.project else metadata
    page = url(metadata.project_url) or url(of_project.project_url)
    if page and not page.endswith("/"):
        page += "/"  # pyf-gui appends the version
    own_page = f"{page}{quote(line(release.version), safe='')}/" if page else ""
    return {
        "bugtrack_url": url(metadata.bugtrack_url),
        **_given(
            home_page=url(metadata.home_page),
            docs_url=url(metadata.docs_url),
            download_url=url(metadata.download_url),
            package_url=url(metadata.package_url) or url(of_project.package_url),
            project_url=page,
            release_url=url(metadata.release_url) or own_page,
            project_urls=_labelled(metadata.project_urls),
            urls=within(map(_file, release.files), MAX_FILES),
        ),
    }


def _latest_fields(package: Package) -> dict[str, Any]:
    document: dict[str, Any] = {"serial": package.serial}
    if package.project is not None and package.project.vulnerabilities is not None:
        document["vulnerabilities"] = sum(not known.withdrawn for known in package.project.vulnerabilities)
    standing = package.standing
    return document | _given(
        # Nearly all are active, and not to know is no more: the documents would differ without any news.
        project_status=line(standing.status, MAX_ITEM) if standing and standing.status != ACTIVE else None,
        organization=line(package.project.organization, MAX_ITEM) if package.project else None,
        recreated_timestamp=standing.recreated_at if standing else None,
    )


def _text_fields(description: Description | None, summary: str) -> dict[str, Any]:
    if description is None:
        return _given(first_chapter=summary)
    main_content = text(description.main_content, MAX_MAIN_CONTENT)
    first_chapter = text(description.first_chapter, MAX_FIRST_CHAPTER)
    return {
        "description": html(description.html, MAX_DESCRIPTION, f"{first_chapter}\n\n{main_content}"),
        **_given(
            title=line(description.title),
            # As in pyf.aggregator the summary comes first, so that one field holds all that introduces it.
            first_chapter="\n\n".join(filter(None, (summary, first_chapter))),
            main_content=main_content,
            changelog=text(description.changelog, MAX_CHANGELOG),
        ),
    }


def _repository_fields(link: RepositoryLink | None, facts: RepositoryFacts | None) -> dict[str, Any]:
    """What GitHub says of the repository that the package links to; nothing when it is not known there."""
    record = facts.record if facts is not None else None
    if link is None or facts is None or record is None:
        return {}
    taken_over = not record.node_id  # until GitHub is asked, what pyf.aggregator showed is shown here
    numbers = {
        "github_stars": record.stars,
        "github_watchers": record.watchers,
        "github_forks": record.forks,
        "github_open_issues": record.open_issues_and_pulls if taken_over else record.open_issues,
        "github_open_pull_requests": record.open_pull_requests,
        # Not `updated_at`, which moves with each star.
        "github_updated": record.updated_at if taken_over else record.pushed_at,
    }
    document: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if record.archived is not None:
        document["github_archived"] = record.archived
    return document | _given(
        github_url=url(f"https://github.com/{record.owner}/{record.name}"),
        github_license=line(record.license, MAX_ITEM),
        github_topics=items(record.topics),
        github_proof=line(link.proof, MAX_ITEM),
        contributors=[
            {
                "username": login,
                "avatar_url": url(one.avatar_url),
                "contributions": one.contributions,
            }
            for one in facts.contributors or ()
            if (login := line(one.login, MAX_ITEM))
        ],
    )


def _download_fields(counts: DownloadCounts | None) -> dict[str, Any]:
    if counts is None:
        return {}
    numbers = {
        "download_last_day": counts.last_day,
        "download_last_week": counts.last_week,
        "download_last_month": counts.last_month,
        "download_total": counts.total,
    }
    document: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    return document | _given(download_updated=counts.as_of, download_source=counts.source)


def _health_fields(health: Health | None, now: date) -> dict[str, Any]:
    if health is None:
        return {}
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return {
        "health_score": health.score,
        "health_score_breakdown": health.breakdown,
        CALCULATED: int(midnight.timestamp()),
    }


def _labelled(addresses: Mapping[str, str] | None) -> dict[str, str]:
    """Label -> address, without the labels whose value is none (in PyPI's answers "UNKNOWN" is one)."""
    safe = (
        (name, address)
        for label, value in (addresses or {}).items()
        if (name := line(label, MAX_ITEM)) and (address := url(value))
    )
    return dict(within(safe, MAX_PROJECT_URLS))


def _file(file: File) -> dict[str, Any]:
    """A file under the names of PyPI's JSON, which pyf.aggregator's users know."""
    described = _given(
        filename=line(file.filename, MAX_ITEM),
        url=url(file.url),
        packagetype=line(file.packagetype, MAX_ITEM),
        python_version=line(file.python_version, MAX_ITEM),
        requires_python=line(file.requires_python, MAX_ITEM),
        digests={"sha256": file.sha256} if file.sha256 else {},
    )
    if file.size is not None:
        described["size"] = file.size
    if file.upload_time is not None:
        described["upload_time_iso_8601"] = datetime.fromtimestamp(file.upload_time, UTC).isoformat()
    if file.yanked is not None:
        described["yanked"] = file.yanked
    return described


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: optional fields are absent rather than empty."""
    return {name: value for name, value in fields.items() if value}
