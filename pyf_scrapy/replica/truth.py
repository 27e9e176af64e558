"""What is true in a replica: its projects and releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pyf_scrapy.replica.histories import OrderKey, order_key

QUARANTINED = "quarantined"


class Release(msgspec.Struct, frozen=True):
    """One release. `uploaded` is in microseconds since 1970 UTC, `kinds` are the files' kinds (files.py)."""

    version: str
    uploaded: int
    kinds: tuple[str, ...]
    classifiers: tuple[str, ...]
    requires_python: str | None = None
    yanked: bool = False
    yanked_reason: str | None = None
    own_json: bool = True
    """False: `/pypi/NAME/VERSION/json` is a 404 although the project JSON lists the release."""
    info: dict[str, Any] = {}
    """Values that replace those of `info`, from an event."""
    serial: int = 0
    """That of the event that published it, 0: there from the start."""
    files: str | None = None
    """Where its files are, from an event: then its wheels are real ones."""


class Advisory(msgspec.Struct, frozen=True):
    """A known weakness of one release, in the words of `vulnerabilities`."""

    version: str
    content: dict[str, Any]


class Project(msgspec.Struct, frozen=True):
    """One project; `releases` are in the order in which they were published."""

    number: int
    name: str
    normalized_name: str
    serial: int
    releases: tuple[Release, ...]
    words: tuple[str, ...]
    """Words that stand in the README of this project and of no other."""
    status: str = "active"
    status_reason: str | None = None
    hostile: bool = False
    created: int = 0
    """When the name was taken, in microseconds since 1970 UTC."""
    roles: tuple[tuple[str, str], ...] | None = None
    """(role, user) as an event set them; None: invented."""
    organization: str | None = None
    """As an event set it, "" = none; None: invented."""
    advisories: tuple[Advisory, ...] = ()
    """Those that events added."""
    shared_repository: str | None = None
    """The repository of several packages that it is developed in; None: it has one of its own."""

    @property
    def repository(self) -> str:
        """Owner and name of the repository that its metadata name, at GitHub."""
        return self.shared_repository or f"{self.words[0]}-{self.words[1]}/{self.name}"

    @property
    def latest(self) -> Release | None:
        """The release that PyPI shows: not yanked before yanked, stable before pre-release, then newest."""
        return latest_of(self.releases)

    @property
    def quarantined(self) -> bool:
        """True when the index leaves it out, its JSON is a 404 and its page shows no file."""
        return self.status == QUARANTINED

    def claims(self, classifier: str) -> bool:
        """Whether the latest release has the classifier or one below it."""
        below = f"{classifier} :: "
        return any(text == classifier or text.startswith(below) for text in self.classifiers)

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The classifiers of the latest release, which decide about membership."""
        return self.latest.classifiers if self.latest else ()

    def release(self, version: str) -> Release | None:
        """The release that `/pypi/NAME/VERSION/json` answers with.

        As on PyPI the version need not be spelled as listed, unless two releases share one version.
        """
        for release in self.releases:
            if release.version == version:
                return release
        wanted = order_key(version)
        equal = [release for release in self.releases if order_key(release.version) == wanted]
        return equal[0] if len(equal) == 1 else None


def latest_of(releases: Sequence[Release]) -> Release | None:
    """PyPI's choice among releases (warehouse, legacy/api/json.py)."""
    if not releases:
        return None
    if len(releases) == 1:
        return releases[0]
    return max(releases, key=_preference)


def _preference(release: Release) -> tuple[bool, bool, OrderKey]:
    key = order_key(release.version)
    return (not release.yanked, not key.is_prerelease, key)
