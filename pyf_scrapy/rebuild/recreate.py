"""`recreate`: the next version of a collection, from the store alone, and the switch to it.

The live collection is searched and written all the time. Whatever goes wrong before the switch leaves it as
it is and removes the half-built one; what is left of a killed run is removed by the next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import typesense

from pyf_scrapy.exceptions import PyfError, RecreateError, UsageProblem
from pyf_scrapy.rebuild.filling import Filler, first_few
from pyf_scrapy.search.administration import (
    delete_collection,
    drop_collection,
    exists,
    list_aliases,
    new_version,
)
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.collections import create_physical, ids_by_package
from pyf_scrapy.search.marks import Marking
from pyf_scrapy.search.relevance import Carried, carry_over
from pyf_scrapy.search.switch import switch
from pyf_scrapy.session import Session, Target
from pyf_scrapy.store import Indexed
from pyf_scrapy.store.indexing import shape_of
from pyf_scrapy.store.rebuilding import Rebuild
from pyf_scrapy.sync.removal import too_many
from pyf_scrapy.verify.differences import Progress

logger = logging.getLogger(__name__)

#: So few dirty packages are sent while all other writers wait, so many rounds are made to come to that.
FEW = 50
ROUNDS = 10


@dataclass
class Recreated:
    """What was done: `old_documents` and `documents` are the numbers in the old and the new collection,
    `synonyms` and `overrides` those (or sets of them) that were carried over,
    `old_kept` why the old one was not deleted though it was asked for, `refused` why documents or packages
    are not in the new one (only with `accept_losses`)."""

    collection: str
    old: str
    new: str
    old_documents: int
    documents: int
    packages: int
    aliases: tuple[str, ...]
    synonyms: int
    overrides: int
    seconds: float
    old_deleted: bool = False
    old_kept: str = ""
    refused: dict[str, str] = field(default_factory=dict)


async def recreate(
    settings: Mapping[str, Any],
    target: Target,
    now: date,
    progress: Progress,
    *,
    accept_losses: bool = False,
    delete_old: bool = False,
) -> Recreated:
    """Build the next version of the target's collection and let it take the place of the live one.

    `accept_losses`: also when documents are refused, very many packages do not belong to it any more, or the
    live collection has packages that the store does not know. Raises RecreateError, SearchError, StoreError,
    AlreadyRunningError; unless the switch was made, the live collection is as it was.
    """
    session = Session("recreate", settings, [target], now)
    try:
        await session.open()
        return await _Recreation(session, progress, accept_losses=accept_losses).run(delete_old=delete_old)
    finally:
        await session.close()


class _Recreation:
    def __init__(self, session: Session, progress: Progress, *, accept_losses: bool) -> None:
        self.session = session
        self.store = session.store
        self.profile = session.profiles[0]
        self.alias = self.profile.collection
        self.old = session.collections[self.alias].name
        self.progress = progress
        self.accept_losses = accept_losses
        self.moved: tuple[str, ...] = ()
        self.carried = Carried()
        self.before: dict[str, set[str]] = {}

    @property
    def client(self) -> typesense.Client:
        """Another one when the server that starts by itself had to be started again."""
        return self.session.connection.client

    async def run(self, *, delete_old: bool) -> Recreated:
        began = time.monotonic()
        self._discard()  # what a killed run has left
        old_documents = self._check_known()
        new = new_version(self.client, self.alias)
        filler = Filler(
            self.store, self.session.connection, new, self.profile, self.session.now, self.session.settings
        )
        try:
            try:
                packages, documents = await self._replace(new, filler)
            finally:
                await filler.close()  # before anything is removed that it still sends to
        except BaseException:
            self._discard()
            raise
        self._verify_switch(new)
        kept = self._delete_old() if delete_old else ""
        seconds = time.monotonic() - began
        return Recreated(
            collection=self.alias,
            old=self.old,
            new=new,
            old_documents=old_documents,
            documents=documents,
            packages=packages,
            aliases=self.moved,
            synonyms=len(self.carried.synonyms),
            overrides=len(self.carried.overrides),
            seconds=round(seconds, 1),
            old_deleted=delete_old and not kept,
            old_kept=kept,
            refused=filler.refused,
        )

    async def _replace(self, new: str, filler: Filler) -> tuple[int, int]:
        """Make the new collection and switch to it; how many packages and documents it has."""
        self._create(new)
        await self._fill(filler, new)
        with self.store.index_lock(self.alias):
            await self._fill(filler, new)
            numbers = self._verify(new, filler)
            self._carry_over(new)
            self.moved = switch(self.store, self.client, self.alias, new)
            Marking(self.store, self.client, self.alias).renew()
        return numbers

    def _delete_old(self) -> str:
        """Why the old collection is still there, "" if it is not."""
        try:
            delete_collection(self.client, self.old)
        except UsageProblem as problem:  # somebody has pointed another alias to it
            return str(problem)
        return ""

    def _check_known(self) -> int:
        """How many documents the live collection has. Refuses packages that would be lost."""
        self.progress("Reading the live collection", 0, 0)
        held = ids_by_package(self.client, self.old)
        unknown = held.keys() - self.store.revisions(held).keys()
        if unknown and not self.accept_losses:
            raise RecreateError(
                f"{self.old} has packages of which the store knows nothing ({len(unknown):,}): "
                f"{first_few(unknown)}. They would be lost: a crawl fetches them, "
                "`scrapy collections import` takes over figures of another system, "
                "--accept-losses goes on without them"
            )
        self.before = held
        return sum(map(len, held.values()))

    def _create(self, new: str) -> None:
        known = self.store.collection(self.alias)
        assert known is not None, "the session has opened it"
        connection = self.session.connection
        begun = Rebuild(self.old, new, connection.identity)
        self.store.save_rebuild(self.alias, begun)
        created_at = create_physical(self.client, new)
        self.store.save_rebuild(self.alias, begun._replace(created=True))
        self._carry_over(new)
        self.store.open_collection(
            new, known.definition, known.releases, new, created_at, connection.identity
        )

    def _carry_over(self, new: str) -> None:
        """Synonyms and overrides, also those that somebody has made meanwhile."""
        more = carry_over(self.client, self.session.connection.version, self.old, new)
        self.carried = Carried(self.carried.synonyms + more.synonyms, self.carried.overrides + more.overrides)

    async def _fill(self, filler: Filler, new: str) -> None:
        """Send everything, then what was written meanwhile, until there is little left."""
        for _ in range(ROUNDS):
            if await filler.fill(self.progress) <= FEW and not self._absent(new):
                return

    def _absent(self, new: str) -> list[str]:
        """Packages that the live collection has and the new one not yet: while they were being sent others
        have stored newer facts of them. Of what both have the new one may be behind for a moment: whoever
        stored newer facts sends them after the switch."""
        waiting = list(self.store.dirty(new, self.profile))
        had, has = self.store.indexed(self.alias, waiting), self.store.indexed(new, waiting)
        return [name for name in waiting if name in had and name not in has]

    def _verify(self, new: str, filler: Filler) -> tuple[int, int]:
        """How many packages and documents the new collection has. Raises RecreateError unless these are, by
        their ids, those that the store says, all of them, as the live collection is made by now."""
        if filler.refused and not self.accept_losses:
            name, reason = min(filler.refused.items())
            raise RecreateError(
                f"{len(filler.refused):,} refused, of {first_few(filler.given_up)}; for example {name}: "
                f"{reason}. --accept-losses goes on without them"
            )
        if list_aliases(self.client).get(self.alias) != self.old:
            raise RecreateError(f"the alias {self.alias} was pointed elsewhere meanwhile: run it again")
        live, made = self.store.collection(self.alias), self.store.collection(new)
        assert live is not None, "the session has opened it"
        assert made is not None, "it was noted when it was created"
        if (live.definition, shape_of(live)[2:]) != (made.definition, shape_of(made)[2:]):
            raise RecreateError(f"another run has changed how {self.alias} is made: run it again")
        held = ids_by_package(self.client, new)
        noted = self.store.indexed(new, self.store.indexed_names(new))
        names = (held.keys() | noted.keys()) - filler.given_up
        wrong = [name for name in names if not _agree(held, noted, name)]
        wrong += [name for name in self._absent(new) if name not in filler.given_up]
        if wrong:
            raise RecreateError(f"{new} does not have what was sent to it: {first_few(set(wrong))}")
        gone = self.before.keys() - held.keys() - filler.given_up
        are_many = too_many(len(gone), len(self.before)) or (gone and not held)
        if are_many and not self.accept_losses:
            raise RecreateError(
                f"{len(gone):,} of {len(self.before):,} packages of {self.old} do not belong to the profile "
                f"any more: {first_few(gone)}. --accept-losses believes it"
            )
        return len(held), sum(map(len, held.values()))

    def _verify_switch(self, new: str) -> None:
        pointing = list_aliases(self.client)
        if wrong := [alias for alias in self.moved if pointing.get(alias) != new]:
            raise RecreateError(f"pointed elsewhere just after the switch to {new}: {first_few(wrong)}")
        if get(self.client, path("collections", self.alias)) is None:
            raise RecreateError(f"{self.alias} cannot be reached after the switch to {new}")

    def _discard(self) -> None:
        """Remove a half-built collection, this run's or that of a killed one."""
        begun = self.store.rebuild(self.alias)
        if begun is None or begun.switching:
            return
        try:
            if begun.server == self.session.connection.identity and self._is_ours(begun):
                drop_collection(self.client, begun.new)
            self.store.drop_rebuild(self.alias)
        except PyfError as error:
            logger.warning("%s is left half-built, the next run removes it (%s)", begun.new, error)

    def _is_ours(self, begun: Rebuild) -> bool:
        """Whether a collection of this name is the half-built one, and not of somebody who took the name."""
        if not exists(self.client, begun.new) or begun.new in list_aliases(self.client).values():
            return False
        held = ids_by_package(self.client, begun.new)
        if not begun.created:
            return not held
        noted = self.store.indexed(begun.new, held)
        return all(name in noted and ids <= set(noted[name].hashes) for name, ids in held.items())


def _agree(held: Mapping[str, set[str]], noted: Mapping[str, Indexed], name: str) -> bool:
    hashes = noted[name].hashes if name in noted else {}
    return held.get(name, set()) == set(hashes)
