"""What a replica is made of. The same options give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.frameworks import FAMILIES
from pyf_scrapy.replica.words import FIRST, SECOND, TAILS

MOST_PROJECTS = len(FIRST) * len(SECOND) * len(TAILS)


@dataclass(frozen=True)
class Options:
    """The content of a replica; shares are between 0 and 1. Raises ReplicaError when it cannot be made.

    `members` sets the exact number of packages of a family (`{"plone": 4000}`); families left out get their
    usual share of all projects, or none when `only_members` is set. `now` is the clock that dates are
    relative to.
    """

    projects: int = 5000
    seed: int = 7
    now: datetime = datetime(2026, 11, 1, 12, tzinfo=UTC)
    members: Mapping[str, int] = field(default_factory=dict)
    only_members: bool = False
    unhinted: float = 0.1
    """Share of the members whose name does not tell the framework."""
    decoys: float = 0.1
    """Packages named like members that are none, as a share of the members."""
    empty: float = 0.01
    """Share of the projects that are listed without any release."""
    missing: float = 0.02
    """Share of the projects one of whose releases has no JSON of its own (404)."""
    hostile: bool = True
    """Scripts in READMEs, `javascript:` addresses, control characters in summaries."""
    most_releases: int = 200
    updates: int = 100
    """Releases in the feed of releases."""
    packages: int = 40
    """Projects in the feed of new projects."""
    monorepos: float = 0.0
    """Share of the projects that name a repository of about six packages as theirs."""
    gone_repositories: float = 0.02
    """Share of the other repositories that are deleted or, one in ten of these, blocked."""
    moved_repositories: float = 0.03
    """Share of them that have another owner than the metadata of their package say."""

    def __post_init__(self) -> None:
        if not 1 <= self.projects <= MOST_PROJECTS:
            raise ReplicaError(f"projects: {self.projects} is not between 1 and {MOST_PROJECTS}")
        if not 1 <= self.most_releases <= 10_000:
            raise ReplicaError(f"most_releases: {self.most_releases} is not between 1 and 10000")
        for name in ("updates", "packages"):
            if not 1 <= getattr(self, name) <= 10_000:
                raise ReplicaError(f"{name}: {getattr(self, name)} is not between 1 and 10000")
        for name in (
            "unhinted",
            "decoys",
            "empty",
            "missing",
            "monorepos",
            "gone_repositories",
            "moved_repositories",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ReplicaError(f"{name}: {getattr(self, name)} is not a share between 0 and 1")
        if self.now.tzinfo is None or not 2015 <= self.now.year <= 9000:
            raise ReplicaError(f"now: {self.now} needs a time zone and a year after 2014")
        for key, count in self.members.items():
            if key not in FAMILIES:
                raise ReplicaError(f"members: unknown family {key!r}; known: {', '.join(FAMILIES)}")
            if count < 0:
                raise ReplicaError(f"members: {key}={count} is negative")

    @property
    def shared_repositories(self) -> int:
        """The number of repositories of several packages."""
        return max(1, round(self.projects * self.monorepos / 6)) if self.monorepos else 0

    def counts(self) -> dict[str, int]:
        """The number of members of each family."""
        counts = {}
        for key, family in FAMILIES.items():
            usual = 0 if self.only_members else round(self.projects * family.share)
            counts[key] = self.members.get(key, usual)
        return counts
