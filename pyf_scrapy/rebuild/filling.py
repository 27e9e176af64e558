"""Fills a collection from stored facts, package by package, until nothing of it is dirty."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.metadata.renderer import Renderer
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.batches import Batch, Batcher
from pyf_scrapy.search.changes import change
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.store import Indexed, Store, StoredPackage
from pyf_scrapy.verify.derivation import derive, member
from pyf_scrapy.verify.differences import Progress

_AT_ONCE = 32  # packages in memory: each may be a megabyte


class Filler:
    """Sends what the store has of a profile's packages to the collection noted as `collection`.

    `refused` has why a document or a package is missing, by document id or package name; `given_up` are the
    names of their packages.
    """

    def __init__(
        self,
        store: Store,
        connection: Connection,
        collection: str,
        profile: Profile,
        now: date,
        settings: Mapping[str, Any],
    ) -> None:
        self.store = store
        self.collection = collection
        self.profile = profile
        self.now = now
        self.all_texts = settings["DESCRIPTIONS"] == "all"
        self.source = str(settings["DOWNLOADS_SOURCE"])
        self.refused: dict[str, str] = {}
        self.given_up: set[str] = set()
        self._is_begun = False
        self._renderer = Renderer.from_settings(settings)
        self._batcher = Batcher(
            Batch(store, connection, collection).send,
            documents=int(settings["TYPESENSE_BATCH_DOCUMENTS"]),
            size=int(settings["TYPESENSE_BATCH_BYTES"]),
            linger=float(settings["TYPESENSE_BATCH_LINGER"]),
        )

    async def fill(self, progress: Progress) -> int:
        """Send what is dirty now; return how many packages that were. Raises SearchError, StoreError."""
        doing = "Sending what was written meanwhile" if self._is_begun else "Making documents"
        self._is_begun = True
        dirty = self.store.dirty(self.collection, self.profile)
        names = [name for name in dirty if name not in self.given_up]
        done, places = 0, asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            nonlocal done
            async with places:
                await self._package(name)
            done += 1
            progress(doing, done, len(names))

        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(one(name))
        except ExceptionGroup as errors:  # the first one has cancelled the others
            raise errors.exceptions[0] from None
        return len(names)

    async def close(self) -> None:
        """End the processes that render."""
        await self._batcher.close()
        await self._renderer.close()

    async def _package(self, name: str) -> None:
        package, indexed = await asyncio.to_thread(self._stored, name)
        try:
            documents = await self._documents(package)
        except PyfError:
            raise
        except Exception as error:  # whatever a stranger's metadata does costs this package, by name
            self.given_up.add(name)
            self.refused[name] = f"its documents cannot be made: {type(error).__name__}: {error}"
            return
        revision = package.revision if package is not None else self._revision(name)
        made = change(documents, indexed.hashes, self.store.shape(self.collection))
        result = await self._batcher.add(name, revision, made)
        if result.rejected:
            self.given_up.add(name)
            self.refused |= result.rejected

    def _stored(self, name: str) -> tuple[StoredPackage | None, Indexed]:
        indexed = self.store.indexed(self.collection, [name]).get(name, Indexed(None))
        return self.store.load_package(name), indexed

    def _revision(self, name: str) -> int:
        return self.store.revisions([name]).get(name, 0)

    async def _documents(self, package: StoredPackage | None) -> list[dict[str, Any]]:
        """Of a package that does not belong here any more: none."""
        found = member(package, self.profile)
        if found is None:
            return []
        derived = await derive(
            found,
            self.profile,
            self.now,
            self._renderer,
            all_texts=self.all_texts,
            source=self.source,
        )
        return list(derived.documents(self.now).values())


def first_few(names: Iterable[str], most: int = 5) -> str:
    """A list for a message: "a, b, c, d, e and 12 more"."""
    listed = sorted(names)
    shown = ", ".join(listed[:most])
    return shown + (f" and {len(listed) - most:,} more" if len(listed) > most else "")
