"""What all documents of an index say together: for each package and repository the newest figures.

pyf.aggregator has a document for each release, under any spelling of a name, and its enrichers wrote to
different ones of them. So figures of GitHub and downloads are looked for apart; those of one time stay
together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeVar

import msgspec

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.store.records import TAKEN_OVER, DownloadFacts, RepositoryFacts, RepositoryLink
from pyf_scrapy.takeover.parsing import Downloads, GithubFigures, OldDocument

#: The source of pyf.aggregator's downloads.
SOURCE: Final = "pypistats"


class _Rank(NamedTuple):
    """The greater, the better: newer figures, more of them, of a newer release; the rest makes it one."""

    at: int
    figures: int
    uploaded_at: int
    id: str


@dataclass
class Figures:
    """The newest of what the documents added so far say; in any order they come to the same.

    `github` and `downloads` are by normalized name, `repositories` and `contributors` by key.
    """

    names: set[str] = field(default_factory=set)
    github: dict[str, tuple[_Rank, GithubFigures]] = field(default_factory=dict)
    repositories: dict[str, tuple[_Rank, GithubFigures]] = field(default_factory=dict)
    contributors: dict[str, tuple[_Rank, tuple[Contributor, ...]]] = field(default_factory=dict)
    downloads: dict[str, tuple[_Rank, Downloads]] = field(default_factory=dict)

    def add(self, document: OldDocument) -> None:
        """Take what a document says, where it is the newest."""
        self.names.add(document.name)
        if document.github is not None:
            key = document.github.repository.key
            rank = _rank(document, document.github.updated_at, document.github)
            _keep(self.github, document.name, rank, document.github)
            _keep(self.repositories, key, rank, document.github)
            if document.contributors:
                _keep(self.contributors, key, rank, document.contributors)
        if document.downloads is not None:
            rank = _rank(document, document.downloads.asked_at, document.downloads)
            _keep(self.downloads, document.name, rank, document.downloads)

    def links(self) -> Iterator[RepositoryLink]:
        """Of which repositories packages are; only they themselves say so."""
        for name, (_, github) in sorted(self.github.items()):
            repository = github.repository
            yield RepositoryLink(
                name,
                repository.key,
                TAKEN_OVER,
                url=repository.url,
                proof=Proof.CLAIMED,
                candidates=(repository.key,),
            )

    def repository_facts(self) -> Iterator[RepositoryFacts]:
        """What is known of these repositories."""
        for key in sorted({github.repository.key for _, github in self.github.values()}):
            github = self.repositories[key][1]
            yield RepositoryFacts(
                key,
                "ok",
                TAKEN_OVER,
                record=RepositoryRecord(
                    node_id="",
                    owner=github.repository.owner,
                    name=github.repository.name,
                    updated_at=github.updated_at,
                    stars=github.stars,
                    watchers=github.watchers,
                    open_issues_and_pulls=github.open_issues,
                ),
                contributors=self.contributors[key][1] if key in self.contributors else None,
                contributors_at=TAKEN_OVER if key in self.contributors else None,
            )

    def download_facts(self) -> Iterator[DownloadFacts]:
        """How often packages were downloaded."""
        for name, (_, downloads) in sorted(self.downloads.items()):
            yield DownloadFacts(
                name,
                SOURCE,
                TAKEN_OVER,
                DownloadCounts(
                    SOURCE,
                    _day_before(downloads.asked_at),
                    last_day=downloads.last_day,
                    last_week=downloads.last_week,
                    last_month=downloads.last_month,
                    total=downloads.total,
                ),
            )


_K = TypeVar("_K")
_V = TypeVar("_V")


def _keep(table: dict[_K, tuple[_Rank, _V]], key: _K, rank: _Rank, value: _V) -> None:
    if key not in table or rank > table[key][0]:
        table[key] = rank, value


def _rank(document: OldDocument, at: int | None, figures: msgspec.Struct) -> _Rank:
    known = sum(value is not None for value in msgspec.structs.astuple(figures))
    return _Rank(at or 0, known, document.uploaded_at, document.id)


def _day_before(asked_at: int | None) -> int:
    """The day that figures are of (midnight UTC, epoch seconds); 0 = not known."""
    if asked_at is None:
        return 0
    midnight = datetime.fromtimestamp(asked_at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(0, int((midnight - timedelta(days=1)).timestamp()))
