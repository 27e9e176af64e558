"""`verify`: store, index, book-keeping and PyPI side by side."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyf_scrapy.exceptions import FetchError, ParseError, SearchError
from pyf_scrapy.lookup import existing_collection, maker
from pyf_scrapy.metadata.renderer import Renderer
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.session import open_store, store_url
from pyf_scrapy.store import CollectionRow, Store
from pyf_scrapy.store.database import Database
from pyf_scrapy.verify.asking import GivenUpError, PyPI
from pyf_scrapy.verify.differences import Difference, Kind, Progress, Report, counted
from pyf_scrapy.verify.index import Collection, IndexComparison, held_documents
from pyf_scrapy.verify.pypi import compare


@dataclass(frozen=True)
class Extent:
    """About how many packages PyPI is asked (None: all, 0: none), and the seed they are chosen with."""

    sample: int | None
    seed: int | None = None


def verify(
    settings: Mapping[str, Any],
    collection: str,
    profiles: Iterable[Profile],
    extent: Extent,
    now: date,
    progress: Progress,
) -> Report:
    """Compare everything about a collection as it was last crawled; nothing is changed.

    The search server is started if need be. `profiles` name the command that makes a collection. Raises
    SearchError, StoreError or UsageProblem, also where there is nothing to compare.
    """
    begin = f"begin with {maker(collection, profiles)}"
    missing = f"nothing was crawled for {collection!r} in {settings['PYF_DATA_DIR']}"
    if not Database(store_url(settings)).is_there:
        raise SearchError(f"{missing}; {begin}")
    with open_store(settings, of_any_pypi=extent.sample == 0) as store:
        row = store.collection(collection)
        if row is None:
            known = ", ".join(row.collection for row in store.collections()) or "no collection"
            raise SearchError(f"{missing}, which knows {known}; {begin}")
        profile = Profile.from_definition({**row.definition, "releases": row.releases})
        documents, found = _compare_index(settings, store, row, profile, profiles, now, progress)
        members = list(store.members(profile))
        names, seed = _chosen(members, extent)
        asking = _Asking(store, profile, progress)
        if names:
            asyncio.run(asking.ask(settings, names))
    differences = [*found, *asking.differences]
    return Report(
        collection=collection,
        profile=profile.key,
        packages=len(members),
        documents=documents,
        to_ask=len(names),
        asked=asking.asked,
        seed=seed,
        stopped=asking.stopped,
        counts=counted([*differences, *asking.unreachable]),
        differences=differences,
        unreachable=asking.unreachable,
    )


def _compare_index(
    settings: Mapping[str, Any],
    store: Store,
    row: CollectionRow,
    profile: Profile,
    profiles: Iterable[Profile],
    now: date,
    progress: Progress,
) -> tuple[int, list[Difference]]:
    """How many documents the index has, and what differs."""
    alias = row.collection
    found = []
    with existing_collection(settings, alias, profiles) as client:
        behind = get(client, path("collections", alias)) or {}
        name, count = str(behind.get("name", alias)), int(behind.get("num_documents", 0))
        if name != row.physical:
            detail = f"the store knows {row.physical} behind {alias}, the index has {name} there"
            found.append(Difference(None, None, Kind.BOOKKEEPING, detail))
        held = held_documents(client, name, lambda done: progress("Reading the index", done, count))
        documents = sum(map(len, held.values()))
        made = row.definition
        source = made.get("downloads", "pypistats")
        compared = Collection(alias, name, profile, made.get("descriptions") == "all", source)

        async def run() -> list[Difference]:
            # Rendered anew: a wrong entry of the cache is what a proof has to find.
            renderer = Renderer.from_settings(settings, cached=False)
            try:
                comparison = IndexComparison(store, client, compared, renderer, now)
                return await comparison.differences(held, progress)
            finally:
                await renderer.close()

        found += asyncio.run(run())
    return documents, found


def _chosen(members: list[str], extent: Extent) -> tuple[list[str], int | None]:
    """The packages that PyPI is asked about, and the seed by which the same are chosen again."""
    if extent.sample is None or extent.sample == 0:
        return (members if extent.sample is None else []), None
    seed = secrets.randbelow(10**6) if extent.seed is None else extent.seed
    chance = random.Random(seed)  # noqa: S311  (has to be repeatable)
    return sorted(chance.sample(members, min(extent.sample, len(members)))), seed


class _Asking:
    """Asks about some packages and keeps what came of it."""

    def __init__(self, store: Store, profile: Profile, progress: Progress) -> None:
        self.store = store
        self.profile = profile
        self.progress = progress
        self.differences: list[Difference] = []
        self.unreachable: list[Difference] = []
        self.asked = 0
        self.stopped: str | None = None

    async def ask(self, settings: Mapping[str, Any], names: list[str]) -> None:
        """Ask about all of `names`, or until PyPI should be left alone."""
        async with PyPI(settings) as pypi:
            for name in names:
                self.progress("Asking PyPI", self.asked, len(names))
                self.asked += 1
                try:
                    await self._ask(pypi, name)
                except GivenUpError as error:
                    self.stopped = f"PyPI was not asked any further: {error}"
                    self._not_reached(name, error)
                    return
                except (FetchError, ParseError) as error:
                    self._not_reached(name, error)

    async def _ask(self, pypi: PyPI, name: str) -> None:
        said = await pypi.ask(name)
        # Loaded afterwards: what a crawl stored meanwhile is not behind.
        stored = self.store.load_package(name)
        if stored is not None:
            self.differences += compare(stored, said, self.profile.releases)

    def _not_reached(self, name: str, error: Exception) -> None:
        self.unreachable.append(Difference(name, None, Kind.UNREACHABLE, str(error)))
