"""The search index compared with the store's facts and with what the store noted of the index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

import msgspec
import typesense

from pyf_scrapy.metadata.renderer import Renderer
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.collections import iter_documents
from pyf_scrapy.search.documents import CALCULATED, document_hash
from pyf_scrapy.search.queries import show
from pyf_scrapy.store import Indexed, Store, StoredPackage
from pyf_scrapy.store.database import chunks
from pyf_scrapy.verify.derivation import Derived, calculated_on, derive, member
from pyf_scrapy.verify.differences import Difference, Kind, Progress

_AT_ONCE = 32  # packages in memory: each may be a megabyte
_LOOKS = 5  # at a package that a crawl is writing at the same time
_NEWS = 500  # documents read between two words about it

_encode = msgspec.json.Encoder(order="sorted").encode


class Held(NamedTuple):
    """What is kept of a document of the index: hash, and the date it gives (epoch seconds) as it gives it."""

    hash: bytes
    calculated: int | None


class Collection(NamedTuple):
    """What is compared: a collection (`alias` as the store calls it, `name` behind it) and its profile.

    `all_texts` and `source` (of downloads) are what its documents were made with.
    """

    alias: str
    name: str
    profile: Profile
    all_texts: bool
    source: str = "pypistats"


def held_documents(
    client: typesense.Client, collection: str, progress: Callable[[int], None]
) -> dict[str, dict[str, Held]]:
    """All documents of a collection by package (as their ids name it) and id, read as a stream.

    Raises SearchError.
    """
    found: dict[str, dict[str, Held]] = {}
    dates: dict[int, int] = {}  # few: an int of its own for every document would cost more than the hashes
    for number, document in enumerate(iter_documents(client, collection)):
        found.setdefault(_package(document["id"]), {})[document["id"]] = _held(document, dates)
        if number % _NEWS == 0:
            progress(number)
    return found


class IndexComparison:
    """Compares package by package. What is changed by a crawl meanwhile is looked at again."""

    def __init__(
        self, store: Store, client: typesense.Client, collection: Collection, renderer: Renderer, now: date
    ) -> None:
        self.store = store
        self.client = client
        self.collection = collection
        self.renderer = renderer
        self.now = now

    async def differences(self, held: dict[str, dict[str, Held]], progress: Progress) -> list[Difference]:
        """All differences, by package. Empties `held`. Raises SearchError, StoreError."""
        alias, profile = self.collection.alias, self.collection.profile
        waiting = set(self.store.dirty(alias, profile))
        found = [_waiting(name) for name in waiting]
        members = [name for name in self.store.members(profile) if name not in waiting]
        strangers = (held.keys() | set(self.store.indexed_names(alias))) - waiting - set(members)
        done, total = 0, len(members) + len(strangers)
        for names in chunks([*members, *sorted(strangers)], _AT_ONCE):
            progress("Comparing packages", done, total)
            packages = {package.normalized_name: package for package in self.store.load_packages(names)}
            noted = self.store.indexed(alias, names)
            results = await asyncio.gather(
                *(
                    self._package(name, packages.get(name), noted.get(name), held.pop(name, {}))
                    for name in names
                )
            )
            found += [difference for result in results for difference in result]
            done += len(names)
        return sorted(found, key=lambda difference: difference.package or "")

    async def _package(
        self, name: str, package: StoredPackage | None, noted: Indexed | None, held: Mapping[str, Held]
    ) -> list[Difference]:
        derived = await self._derived(package)
        if not any(self._kinds(derived, noted, held)):
            return []
        # A closer look: at the documents themselves, and whether they and the facts are of one moment.
        for _ in range(_LOOKS):
            before = self._state(name)
            documents = self._documents(name, held)
            package = self.store.load_package(name)
            _, noted = after = self._state(name)
            if before == after and (package is None or package.revision == after[0]):
                if self._is_dirty(name, package, noted):
                    return [_waiting(name)]
                derived = await self._derived(package)
                return list(self._named(name, derived, noted, documents))
        return [_waiting(name)]

    async def _derived(self, package: StoredPackage | None) -> Derived | None:
        """None for a package of which the collection should have nothing."""
        collection = self.collection
        found = member(package, collection.profile)
        if found is None:
            return None
        return await derive(
            found,
            collection.profile,
            self.now,
            self.renderer,
            all_texts=collection.all_texts,
            source=collection.source,
        )

    def _is_dirty(self, name: str, package: StoredPackage | None, noted: Indexed | None) -> bool:
        """The rule of `Store.dirty` for one package."""
        if (found := member(package, self.collection.profile)) is not None:
            return noted is None or noted.revision != found.revision
        return noted is not None and self.store.project(name) is not None

    def _state(self, name: str) -> tuple[int | None, Indexed | None]:
        """What every crawl changes that changes a package or sends it."""
        noted = self.store.indexed(self.collection.alias, [name]).get(name)
        return self.store.revisions([name]).get(name), noted

    def _documents(self, name: str, held: Mapping[str, Held]) -> dict[str, dict[str, Any]]:
        """The package's documents as they are now, also such as were found under its name but call themselves
        something else."""
        collection = self.collection.name
        found = {
            document["id"]: document for document in show(self.client, collection, name, all_versions=True)
        }
        for id_ in held.keys() - found.keys():
            document = get(self.client, path("collections", collection, "documents", id_))
            if document is not None:
                found[id_] = document
        return {id_: document for id_, document in found.items() if _package(id_) == name}

    def _kinds(
        self, derived: Derived | None, noted: Indexed | None, held: Mapping[str, Held]
    ) -> Iterator[tuple[str, Kind, str]]:
        """Document id, what differs, and what is said of it; of a different one the fields say more."""
        # Of any date: making them for one that no document has would double the work.
        dates = (date for document in held.values() if (date := calculated_on(document.calculated)))
        wanted = derived.documents(next(dates, None)) if derived is not None else {}
        for id_ in wanted.keys() - held.keys():
            yield id_, Kind.MISSING, "the store has this release, the index has no document of it"
        for id_ in held.keys() - wanted.keys():
            what = "package that does not belong" if derived is None else "release that is unknown"
            yield id_, Kind.SURPLUS, f"the index has a document of a {what}"
        for id_ in held.keys() & wanted.keys():
            assert derived is not None
            own = derived.documents(calculated_on(held[id_].calculated))[id_]
            if document_hash(own) != held[id_].hash:
                yield id_, Kind.DIFFERENT, ""
        hashes = noted.hashes if noted is not None else {}
        for id_ in hashes.keys() - held.keys():
            yield id_, Kind.BOOKKEEPING, "noted as sent, but not in the index"
        for id_ in held.keys() - hashes.keys():
            yield id_, Kind.BOOKKEEPING, "in the index, but not noted as sent"
        for id_ in held.keys() & hashes.keys():
            if hashes[id_] and hashes[id_] != held[id_].hash:
                yield id_, Kind.BOOKKEEPING, "not what was noted as sent"

    def _named(
        self,
        name: str,
        derived: Derived | None,
        noted: Indexed | None,
        documents: Mapping[str, dict[str, Any]],
    ) -> Iterator[Difference]:
        held = {id_: _held(document, {}) for id_, document in documents.items()}
        for id_, kind, detail in sorted(self._kinds(derived, noted, held)):
            if kind is Kind.DIFFERENT:
                assert derived is not None
                own = derived.documents(calculated_on(held[id_].calculated))[id_]
                detail = ", ".join(_fields(own, documents[id_]))
            yield Difference(name, id_, kind, detail)


def _held(document: Mapping[str, Any], dates: dict[int, int]) -> Held:
    calculated = document.get(CALCULATED)
    if not isinstance(calculated, int):
        return Held(document_hash(document), None)
    return Held(document_hash(document), dates.setdefault(calculated, calculated))


def _fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields that differ as JSON, which is how `document_hash` sees them."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if name != CALCULATED and _encoded(one, name) != _encoded(other, name)
    ]


def _encoded(document: Mapping[str, Any], name: str) -> bytes:
    return _encode(document[name]) if name in document else b""


def _package(id_: str) -> str:
    return id_.partition("==")[0]


def _waiting(name: str) -> Difference:
    detail = "stored facts are not in the index yet: the next crawl sends them"
    return Difference(name, None, Kind.WAITING, detail)
