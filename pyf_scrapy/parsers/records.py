"""What PyPI says about a project, as typed records. None means "not reported", which is not "no".

Records are frozen, survive a round trip through msgpack, and every field that may be absent has a default,
so that records stored by an older program still load.
"""

from __future__ import annotations

import msgspec


class File(msgspec.Struct, frozen=True):
    """One distribution file of a release."""

    filename: str = ""
    url: str = ""  # as reported, also relative; not checked
    packagetype: str = ""  # "sdist", "bdist_wheel", ...; "" from the Simple API, which does not say
    python_version: str = ""
    size: int | None = None  # bytes
    sha256: str = ""  # 64 hexadecimal digits
    upload_time: int | None = None  # epoch seconds, UTC
    requires_python: str | None = None
    yanked: bool | None = None
    yanked_reason: str | None = None


class ProjectOutline(msgspec.Struct, frozen=True):
    """What decides whether a project belongs to a profile."""

    name: str
    normalized_name: str
    serial: int | None  # None where the document has none
    classifiers: tuple[str, ...]


class Metadata(msgspec.Struct, frozen=True):
    """The `info` of one release, cleaned: empty texts and the word UNKNOWN are None.

    An empty list stays apart from a missing one, but for classifiers.
    """

    name: str
    version: str
    summary: str | None = None
    description: str | None = None
    description_content_type: str | None = None
    keywords: tuple[str, ...] | None = None
    license: str | None = None
    license_expression: str | None = None
    license_files: tuple[str, ...] | None = None
    classifiers: tuple[str, ...] = ()
    author: str | None = None
    author_email: str | None = None
    maintainer: str | None = None
    maintainer_email: str | None = None
    requires_python: str | None = None
    platform: str | None = None
    package_url: str | None = None
    project_url: str | None = None
    project_urls: dict[str, str] | None = None
    release_url: str | None = None
    requires_dist: tuple[str, ...] | None = None
    provides_extra: tuple[str, ...] | None = None
    docs_url: str | None = None
    bugtrack_url: str | None = None
    home_page: str | None = None
    download_url: str | None = None
    yanked: bool | None = None
    yanked_reason: str | None = None
    dynamic: tuple[str, ...] | None = None


class Vulnerability(msgspec.Struct, frozen=True):
    """An advisory on the release that PyPI calls latest (or on the release asked for)."""

    id: str = ""
    aliases: tuple[str, ...] = ()
    summary: str | None = None
    fixed_in: tuple[str, ...] = ()
    link: str | None = None
    withdrawn: str | None = None  # the time of withdrawal as reported


class Role(msgspec.Struct, frozen=True):
    """A person's role in a project ("Owner", "Maintainer")."""

    role: str
    user: str


class ProjectRecord(msgspec.Struct, frozen=True):
    """A project with the metadata of the release that PyPI calls latest."""

    name: str  # display name
    normalized_name: str  # PEP 503
    version: str
    serial: int | None
    metadata: Metadata
    files: dict[str, tuple[File, ...]] | None = None  # by version as listed; None = absent or not read
    latest_files: tuple[File, ...] = ()
    vulnerabilities: tuple[Vulnerability, ...] | None = None
    organization: str | None = None
    roles: tuple[Role, ...] | None = None

    @property
    def outline(self) -> ProjectOutline:
        """What decides whether it belongs to a profile."""
        return ProjectOutline(self.name, self.normalized_name, self.serial, self.metadata.classifiers)


class ReleaseRecord(msgspec.Struct, frozen=True):
    """One release by its own JSON."""

    name: str
    normalized_name: str
    version: str
    serial: int | None
    metadata: Metadata
    files: tuple[File, ...] = ()
    vulnerabilities: tuple[Vulnerability, ...] | None = None
    organization: str | None = None
    roles: tuple[Role, ...] | None = None


class Contributor(msgspec.Struct, frozen=True):
    """Who contributed to a repository, and how many commits."""

    login: str
    contributions: int
    avatar_url: str = ""  # as reported; not checked


class RepositoryRecord(msgspec.Struct, frozen=True):
    """A repository as GitHub reports it, by REST or GraphQL. None = not reported, which is not "no" or 0."""

    node_id: str  # "" = taken over from pyf.aggregator, which did not keep it
    owner: str
    name: str
    archived: bool | None = None
    disabled: bool | None = None
    fork: bool | None = None
    parent: str | None = None  # "owner/name" of what it is a fork of
    created_at: int | None = None  # epoch seconds UTC, as all times
    pushed_at: int | None = None
    updated_at: int | None = None  # moves with each star: no sign of work
    stars: int | None = None
    forks: int | None = None
    watchers: int | None = None  # REST's subscribers_count; its watchers_count is the stars
    open_issues: int | None = None  # without pull requests
    open_pull_requests: int | None = None
    license: str | None = None  # SPDX identifier; NOASSERTION is None
    topics: tuple[str, ...] | None = None
    homepage: str | None = None  # as reported; not checked
    description: str | None = None
    latest_release: str | None = None  # its tag
    latest_release_at: int | None = None
    packages: tuple[str, ...] | None = None  # normalized names that its project files give; None = not looked
    open_issues_and_pulls: int | None = None  # together: all that REST tells; upstream's "open issues"


class DownloadCounts(msgspec.Struct, frozen=True):
    """Downloads of a project by one source; the sources count differently. None = it does not tell."""

    source: str  # "pypistats" or "clickpy"
    as_of: int  # epoch seconds of the day (UTC midnight) that the figures are of; 0 = not known
    last_day: int | None = None
    last_week: int | None = None
    last_month: int | None = None
    total: int | None = None
