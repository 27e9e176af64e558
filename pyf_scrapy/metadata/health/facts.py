"""What a health score is made of: facts that were fetched, and the date that they are judged on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from msgspec import Struct

from pyf_scrapy.metadata import documentation
from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import DownloadCounts, Metadata, ProjectRecord, RepositoryRecord

#: What proves a repository; that the package links to it is no proof.
PROOFS = frozenset({Proof.ATTESTED, Proof.NAMED})

# A run keeps the date of its start for days; uploads and pushes made meanwhile are not from the future.
DAYS_AHEAD = 7

_EPOCH = date(1970, 1, 1)
_SECONDS_A_DAY = 86_400


class HealthFacts(Struct, frozen=True):
    """All that is known of a package. None = not known, which is neither good nor bad.

    `status` is PyPI's marker ("active", "archived", "quarantined", "deprecated": PEP 792), `removed` = gone
    from PyPI. `proof` says how sure it is that `repository` is the package's (the values of `Proof`),
    `repository_at` when it was fetched (epoch seconds). `description` is that of the latest
    release, None when it could not be rendered.
    """

    releases: tuple[Release, ...]
    description: Description | None
    project: ProjectRecord | None = None
    status: str | None = None
    removed: bool = False
    repository: RepositoryRecord | None = None
    repository_url: str | None = None
    proof: str | None = None
    repository_at: int | None = None
    downloads: DownloadCounts | None = None


@dataclass(frozen=True)
class Case:
    """Facts and the date (UTC) that they are judged on."""

    facts: HealthFacts
    now: date

    @cached_property
    def latest(self) -> Release:
        """The release that is judged. Raises ValueError when there is none."""
        return max(self.facts.releases, key=lambda release: release.sortable)

    @property
    def metadata(self) -> Metadata:
        """That of the latest release."""
        return self.latest.metadata

    @cached_property
    def text_size(self) -> tuple[int, int]:
        """Characters of the description and words before its changelog."""
        return documentation.text_size(self.metadata, self.facts.description)

    @property
    def proven(self) -> bool:
        """Whether the repository is the package's by more than its own word."""
        return self.facts.proof in PROOFS

    def age(self, moment: int) -> int:
        """Whole days from a moment (epoch seconds) to the date; negative for one to come."""
        return (self.now - _EPOCH).days - moment // _SECONDS_A_DAY
