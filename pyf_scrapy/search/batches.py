"""Batches of documents on their way to the index, and the book-keeping that makes "done" true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec

from pyf_scrapy.search.collections import delete_documents, import_documents
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.store import Store

_encode = msgspec.json.Encoder().encode

#: Largest body of one import request; a package with very many releases is sent in several.
MOST_BYTES = 4 * 1024 * 1024


class Change(Protocol):
    """What one package means for one collection (items.CollectionChange)."""

    @property
    def documents(self) -> list[dict[str, Any]]: ...
    @property
    def deleted(self) -> list[str]: ...
    @property
    def hashes(self) -> dict[str, bytes]: ...
    @property
    def before(self) -> dict[str, bytes]: ...


@dataclass
class Outcome:
    """What became of one change: `rejected` maps document ids to the server's reason."""

    stored: int = 0
    deleted: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    superseded: bool = False


@dataclass
class Entry:
    """One package's change in a batch; `lines` are its documents as JSON."""

    name: str
    revision: int
    change: Change
    lines: list[bytes]


class Batch:
    """Sends entries to one collection. Blocking: runs in a thread.

    The order is what keeps a killed or overtaken sender harmless: under the collection's lock between
    processes, entries whose revision or base is not the store's any more are passed over; the ids to be
    sent are noted *before* sending, the revision is set *after* the server has answered for each document.
    """

    def __init__(self, store: Store, connection: Connection, alias: str, collection: str) -> None:
        self.store = store
        self.connection = connection
        self.alias = alias
        self.collection = collection

    def send(self, entries: Sequence[Entry]) -> list[Outcome]:
        """One outcome per entry. Raises SearchError if the server failed as a whole."""
        with self.store.index_lock(self.alias):
            current = self._current(entries)
            sent = [entry for entry, is_current in zip(entries, current, strict=True) if is_current]
            self.store.begin_index(
                self.alias, [(e.name, [d["id"] for d in e.change.documents]) for e in sent]
            )
            reasons = self._import([line for entry in sent for line in entry.lines])
            self._delete([id_ for entry in sent for id_ in entry.change.deleted])
            outcomes = self._outcomes(entries, current, iter(reasons))
            self._finish(entries, outcomes)
        return outcomes

    def _current(self, entries: Sequence[Entry]) -> list[bool]:
        names = [entry.name for entry in entries]
        revisions = self.store.revisions(names)
        indexed = self.store.indexed(self.alias, names)
        current = []
        for entry in entries:
            known = indexed.get(entry.name)
            before: Mapping[str, bytes] = known.hashes if known is not None else {}
            current.append(revisions.get(entry.name) == entry.revision and before == entry.change.before)
        return current

    def _import(self, lines: list[bytes]) -> list[str | None]:
        reasons: list[str | None] = []
        for portion in _portions(lines, MOST_BYTES):
            send = partial(import_documents, collection=self.collection, lines=portion)
            reasons += self.connection.retried(send)
        return reasons

    def _delete(self, ids: list[str]) -> None:
        if ids:
            self.connection.retried(partial(delete_documents, collection=self.collection, ids=ids))

    def _outcomes(
        self, entries: Sequence[Entry], current: Sequence[bool], reasons: Iterator[str | None]
    ) -> list[Outcome]:
        outcomes = []
        for entry, is_current in zip(entries, current, strict=True):
            if not is_current:
                outcomes.append(Outcome(superseded=True))
                continue
            outcome = Outcome(deleted=len(entry.change.deleted))
            for document in entry.change.documents:
                reason = next(reasons)
                if reason is None:
                    outcome.stored += 1
                else:
                    outcome.rejected[document["id"]] = reason
            outcomes.append(outcome)
        return outcomes

    def _finish(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        done, gone = [], []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome.superseded or outcome.rejected:
                continue
            if entry.change.hashes:
                done.append((entry.name, entry.revision, entry.change.hashes))
            else:
                gone.append(entry.name)
        self.store.finish_index(self.alias, done)
        self.store.forget_indexed(self.alias, gone)


class Batcher:
    """Collects entries and sends them when they are many, large, or have waited long enough.

    `add` returns when the batch of its entry was answered for: that is the back-pressure. One batch is
    under way at a time. `documents` and `size` (bytes) bound a batch, `linger` is in seconds.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Entry]], list[Outcome]],
        *,
        documents: int,
        size: int,
        linger: float,
    ) -> None:
        self.send = send
        self.most_documents = documents
        self.most_bytes = size
        self.linger = linger
        self._waiting: list[tuple[Entry, asyncio.Future[Outcome]]] = []
        self._documents = 0
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def add(self, name: str, revision: int, change: Change) -> Outcome:
        """Send one package's change with the next batch. Raises SearchError if the server failed."""
        entry = Entry(name, revision, change, [_encode(document) for document in change.documents])
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((entry, answered))
        self._documents += len(entry.lines)
        self._bytes += sum(map(len, entry.lines))
        if self._documents >= self.most_documents or self._bytes >= self.most_bytes:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self.linger, self._flush)
        return await answered

    async def close(self) -> None:
        """Send what waits and come back when all is answered for."""
        self._flush()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._documents = self._bytes = 0
        task = asyncio.get_running_loop().create_task(self._send(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, waiting: list[tuple[Entry, asyncio.Future[Outcome]]]) -> None:
        async with self._one_at_a_time:
            try:
                outcomes = await asyncio.to_thread(self.send, [entry for entry, _ in waiting])
            except Exception as error:  # whoever waits for the batch must learn of it
                for _, answered in waiting:
                    if not answered.done():
                        answered.set_exception(error)
                return
        for (_, answered), outcome in zip(waiting, outcomes, strict=True):
            if not answered.done():
                answered.set_result(outcome)


def _portions(lines: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    """`lines` in pieces of at most `size` bytes (a longer single line is a piece of its own)."""
    portion: list[bytes] = []
    filled = 0
    for line in lines:
        if portion and filled + len(line) > size:
            yield portion
            portion, filled = [], 0
        portion.append(line)
        filled += len(line)
    if portion:
        yield portion
