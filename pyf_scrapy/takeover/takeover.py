"""`scrapy collections import`: the figures of pyf.aggregator's index go to the store, its names to the queue.

What is taken over waits in the store until the packages are there, and gives way to any answer of GitHub or
pypistats. Nothing is written before all documents were read, so an import that failed is simply done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pyf_scrapy.session import open_store
from pyf_scrapy.store import TAKEN_OVER, RepositoryFacts, RepositoryLink, Store
from pyf_scrapy.store.database import chunks
from pyf_scrapy.takeover.merging import Figures
from pyf_scrapy.takeover.parsing import Unused, parse_document
from pyf_scrapy.takeover.source import origin
from pyf_scrapy.verify.differences import Progress

#: What the store notes of names that were queued here.
QUEUED_BY: Final = "collections import"

#: Most entries of a list in a report, so that a hostile index does not fill the memory; all are counted.
MOST_LISTED: Final = 100_000

_NEWS = 1_000  # documents between two words to `progress`


@dataclass
class Unusable:
    """What was not taken over: all counted by reason, the first MOST_LISTED listed."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    listed: list[Unused] = field(default_factory=list)

    def add(self, some: Iterable[Unused]) -> None:
        """Count these, and list them if there is room."""
        for one in some:
            self.count += 1
            self.reasons[one.reason] += 1
            if len(self.listed) < MOST_LISTED:
                self.listed.append(one)


@dataclass(frozen=True)
class Report:
    """What came of an import. `server`: "embedded" or the address of where it was read.

    `documents` were read, of these `refused` whole. The others are of `packages`, so many `with_github`
    figures (of `repositories`) and `with_downloads`; `unusable_figures` in them could not be taken. `queued`:
    names that the store does not know, with which the next `pypi` run begins.
    """

    collection: str
    server: str
    documents: int
    packages: int
    with_github: int
    with_downloads: int
    repositories: int
    queued: int
    refused: Unusable
    unusable_figures: Unusable


def take_over(settings: Mapping[str, Any], collection: str, now: int, progress: Progress) -> Report:
    """Take over a collection (or alias) of pyf.aggregator; `now` in epoch seconds.

    It is read from the server of IMPORT_TYPESENSE_HOST, if that is set, else from our own, and never written
    to. Raises SearchError, StoreError and UsageProblem.
    """
    figures, refused, unusable = Figures(), Unusable(), Unusable()
    documents = 0
    with origin(settings, collection) as found, open_store(settings) as store:
        for documents, document in enumerate(found.documents(), 1):
            if documents % _NEWS == 1:
                progress("Reading the old index", documents, found.count)
            parsed = parse_document(document, now)
            if isinstance(parsed, Unused):
                refused.add([parsed])
            else:
                unusable.add(parsed.unused)
                figures.add(parsed)
        progress("Writing to the store", 0, len(figures.names))
        _save(store, figures)
        queued = _enqueue(store, figures.names, now)
    return Report(
        collection=found.collection,
        server=found.server,
        documents=documents,
        packages=len(figures.names),
        with_github=len(figures.github),
        with_downloads=len(figures.downloads),
        repositories=len({github.repository.key for _, github in figures.github.values()}),
        queued=queued,
        refused=refused,
        unusable_figures=unusable,
    )


def _save(store: Store, figures: Figures) -> None:
    for repositories in chunks(figures.repository_facts()):
        store.save_repositories(_newer(store, repositories))
    for links in chunks(figures.links()):
        store.save_links(_newer_links(store, links), ahead=True)
    for downloads in chunks(figures.download_facts()):
        store.save_downloads(downloads, ahead=True)


def _newer(store: Store, facts: Sequence[RepositoryFacts]) -> list[RepositoryFacts]:
    """Those that are not older than what another import brought; the store itself prefers all answers."""
    known = store.repositories(one.key for one in facts)
    return [
        one
        for one in facts
        if one.key not in known
        or known[one.key].fetched_at != TAKEN_OVER
        or _updated(known[one.key]) <= _updated(one)
    ]


def _newer_links(store: Store, links: Sequence[RepositoryLink]) -> list[RepositoryLink]:
    """Those that another import did not bring with a newer repository; the store itself prefers all that was
    looked at here. For after the repositories are stored."""
    known = store.links(link.normalized_name for link in links)
    keys = {link.key for link in (*links, *known.values()) if link.key is not None}
    updated = {key: _updated(facts) for key, facts in store.repositories(keys).items()}

    def at(link: RepositoryLink) -> int:
        return updated.get(link.key or "", 0)

    return [
        link
        for link in links
        if (before := known.get(link.normalized_name)) is None
        or before.checked_at != TAKEN_OVER
        or at(before) <= at(link)
    ]


def _updated(facts: RepositoryFacts) -> int:
    return (facts.record.updated_at if facts.record is not None else None) or 0


def _enqueue(store: Store, names: Iterable[str], now: int) -> int:
    """Let the next `pypi` begin with those that the store does not know. Returns how many these are."""
    queued = 0
    for some in chunks(sorted(names)):
        known = store.revisions(some)
        unknown = [name for name in some if name not in known]
        store.enqueue(unknown, now, QUEUED_BY)
        queued += len(unknown)
    return queued
