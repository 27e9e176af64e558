"""Which repositories a package says are its own, best first, and why none can be asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from pyf_scrapy.metadata.labels import Kind, rank
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.repository_proof import Proof, declared_packages, proof
from pyf_scrapy.metadata.repository_urls import Repository, is_on_github, repository_of
from pyf_scrapy.parsers.records import Metadata

__all__ = [
    "MOST_CANDIDATES",
    "PROBLEMS",
    "Link",
    "Proof",
    "Repository",
    "candidates",
    "declared_packages",
    "links",
    "problem",
    "proof",
    "repository_of",
]

MOST_CANDIDATES: Final = 10  # repositories that are tried for one package

#: Why a package has no figures of a repository: reason -> sentence. The first two and `not_found` are those
#: of pyf.aggregator. A renamed or moved repository is no problem: GitHub leads on to it.
PROBLEMS: Final[dict[str, str]] = {
    "no_repo_url": "No GitHub URL in package metadata",
    "malformed_identifier": "Malformed repository identifier",
    "other_forge": "Repository is not on GitHub",
    "not_found": "Repository not found (404)",
    "blocked": "Repository blocked by GitHub",
    "unavailable": "GitHub gave no usable answer",
}


class Link(msgspec.Struct, frozen=True):
    """That a release says a repository is its own, and where. Show `repository.url`, not `url`."""

    repository: Repository
    url: str  # as written: neither cleaned nor safe, may hold a password
    label: str  # of project_urls as written, or the name of the metadata's field
    version: str  # of the release, as PyPI lists it


def links(metadata: Metadata) -> tuple[Link, ...]:
    """Return the repositories that a release's links lead to, on any forge, best first, each once.

    The order is: labels that mean source (PEP 753's before others), home page, download, changelog,
    documentation, issue tracker, others. A link that asks for money never tells where the source is.
    """
    return _links(metadata, metadata.version)


def candidates(releases: Sequence[Release]) -> tuple[Link, ...]:
    """Return the repositories on GitHub to try in turn, each once, at most `MOST_CANDIDATES`.

    The newest release's come first, then those of older ones, for when the first are dead. Where the best
    link of a release leads to another forge, only links to GitHub whose label means source count, and
    older releases not at all: what a project left behind on GitHub no longer tells about it.
    """
    found: dict[str, Link] = {}
    for release in _newest_first(releases):
        claimed = _links(release.metadata, release.version)
        moved = bool(claimed) and not claimed[0].repository.is_github
        for link in claimed:
            if link.repository.is_github and not (moved and rank(link.label)[0] is not Kind.SOURCE):
                found.setdefault(link.repository.key, link)
        if moved or len(found) >= MOST_CANDIDATES:
            break
    return tuple(found.values())[:MOST_CANDIDATES]


def problem(releases: Sequence[Release]) -> str | None:
    """Return why there are no candidates, as a key of `PROBLEMS`, or None if there are some.

    The newest release that says anything decides: "other_forge" if it links to a repository elsewhere,
    "malformed_identifier" if a link other than for funding leads to github.com but to no repository.
    """
    if candidates(releases):
        return None
    for release in _newest_first(releases):
        if links(release.metadata):
            return "other_forge"
        if any(is_on_github(url) for _, url in _urls(release.metadata)):
            return "malformed_identifier"
    return "no_repo_url"


def _newest_first(releases: Sequence[Release]) -> list[Release]:
    return sorted(releases, key=lambda release: release.sortable, reverse=True)


def _links(metadata: Metadata, version: str) -> tuple[Link, ...]:
    found: dict[str, Link] = {}
    for label, url in _urls(metadata):
        repository = repository_of(url)
        if repository is not None:
            found.setdefault(repository.key, Link(repository, url, label, version))
    return tuple(found.values())


def _urls(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """Yield labels and addresses, those that tell best where the source is first, those for funding not."""
    fields = {
        "home_page": metadata.home_page,
        "download_url": metadata.download_url,
        "docs_url": metadata.docs_url,
        "bugtrack_url": metadata.bugtrack_url,
    }
    written = (*(metadata.project_urls or {}).items(), *fields.items())
    ranked = [(rank(label), label, url) for label, url in written if url]
    for (kind, _), label, url in sorted(ranked, key=lambda entry: entry[0]):
        if kind is not Kind.FUNDING:
            yield label, url
