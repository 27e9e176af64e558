"""Batches of documents on their way to the index, and the book-keeping that makes "done" true."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from pyf_scrapy.exceptions import PyfError, SearchError
from pyf_scrapy.search.changes import Change
from pyf_scrapy.search.collections import delete_documents, import_documents
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.search.marks import Marking
from pyf_scrapy.store import Shape, Store

_encode = msgspec.json.Encoder().encode

#: Largest body of one import request; a package with very many releases is sent in several.
MOST_BYTES = 4 * 1024 * 1024

#: Seconds after which a batch renews the mark again; that takes as long as a small batch.
RENEWED_EVERY = 10.0

#: Packages, each with the ids of the documents that are sent or deleted.
Touched = list[tuple[str, list[str]]]


@dataclass
class Result:
    """What became of one change: `rejected` maps document ids to the server's reason.

    `superseded`: newer facts of the package were stored meanwhile, or the collection wants other documents;
    it was not sent.
    """

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

    @classmethod
    def of(cls, name: str, revision: int, change: Change) -> Entry:
        return cls(name, revision, change, [_encode(document) for document in change.documents])


class Batch:
    """Sends entries to one collection, wherever the store says by now that it is. Blocking: runs in a thread.

    The order is what keeps a killed or overtaken sender harmless: under the collection's lock between
    processes, entries whose revision is not the store's any more are passed over, and so are those made for
    another number of releases, for other texts or for another server than the store knows by now; those whose
    base is not the store's, because the collection was made anew for example, are compared anew; the ids to
    be sent or deleted are noted *before* that, the revision is set *after* the server has answered for each
    document. A sender that loses the lock on the way sets none, and puts all in doubt that it has sent.

    The mark changes with the first batch and every RENEWED_EVERY seconds, before it is noted as sent: a
    copy of the server that was made during a run is known as an older one, however the run ends.
    """

    def __init__(self, store: Store, connection: Connection, alias: str) -> None:
        self.store = store
        self.connection = connection
        self.alias = alias
        self._renewed_at = -math.inf  # monotonic

    def send(self, entries: Sequence[Entry]) -> list[Result]:
        """One result per entry. Raises SearchError if the server failed as a whole, StoreError."""
        results: dict[int, Result] = {}
        begun: list[Touched] = []
        try:
            with self.store.index_lock(self.alias):
                # A package may be there twice, as stored and as fetched: one after the other.
                for turn in _turns(entries):
                    results |= self._send([(place, entries[place]) for place in turn], begun)
        except PyfError:
            # If the lock was lost its next holder may have noted newer documents as sent before these came.
            for touched in begun:
                self.store.doubt_index(self.alias, touched)
            raise
        return [results[place] for place in range(len(entries))]

    def _send(self, placed: Sequence[tuple[int, Entry]], begun: list[Touched]) -> dict[int, Result]:
        results = {place: Result(superseded=True) for place, _ in placed}
        shape = self.store.shape(self.alias)
        if shape is None or shape.server != self.connection.identity:
            return results
        sent = self._current(placed, shape)
        if not sent:
            return results
        mark = self._mark(shape)
        begun.append([(entry.name, entry.change.touched) for entry in sent.values()])
        self.store.begin_index(self.alias, begun[-1])
        lines = [line for entry in sent.values() for line in entry.lines]
        reasons = iter(self._import(shape.physical, lines))
        self._delete(shape.physical, [id_ for entry in sent.values() for id_ in entry.change.deleted])
        if mark is not None:
            self.connection.retried(mark.renew)
            self._renewed_at = time.monotonic()
        for place, entry in sent.items():
            results[place] = _result(entry, reasons)
        whole = [entry for place, entry in sent.items() if not results[place].rejected]
        self.store.finish_index(
            self.alias, [(e.name, e.revision, e.change.hashes) for e in whole if e.change.hashes]
        )
        self.store.forget_indexed(self.alias, [e.name for e in whole if not e.change.hashes])
        return results

    def _current(self, placed: Sequence[tuple[int, Entry]], shape: Shape) -> dict[int, Entry]:
        """The entries that are still true, on the base of what the collection holds now."""
        placed = [(place, entry) for place, entry in placed if _is_made_for(shape, entry.change)]
        names = [entry.name for _, entry in placed]
        revisions = self.store.revisions(names)
        indexed = self.store.indexed(self.alias, names)
        current = {}
        for place, entry in placed:
            if revisions.get(entry.name) == entry.revision:
                before = indexed[entry.name].hashes if entry.name in indexed else {}
                if before != entry.change.before:
                    entry = Entry.of(entry.name, entry.revision, replace(entry.change, before=before))
                current[place] = entry
        return current

    def _mark(self, shape: Shape) -> Marking | None:
        """The mark of the collection if it is to be renewed: one that is made anew has none yet."""
        if shape.physical == self.alias or time.monotonic() < self._renewed_at + RENEWED_EVERY:
            return None
        mark = self.connection.retried(lambda client: Marking(self.store, client, self.alias))
        if mark.is_doubtful:
            raise SearchError(
                "the search server was put back from an older copy meanwhile: run the same command again"
            )
        return mark

    def _import(self, physical: str, lines: list[bytes]) -> list[str | None]:
        reasons: list[str | None] = []
        for portion in _portions(lines, MOST_BYTES):
            send = partial(import_documents, collection=physical, lines=portion)
            reasons += self.connection.retried(send)
        return reasons

    def _delete(self, physical: str, ids: list[str]) -> None:
        if ids:
            self.connection.retried(partial(delete_documents, collection=physical, ids=ids))


def _is_made_for(shape: Shape, change: Change) -> bool:
    """Whether the documents are as the collection wants them, whichever one stands behind the alias."""
    return change.shape is not None and change.shape._replace(physical=shape.physical) == shape


def _result(entry: Entry, reasons: Iterator[str | None]) -> Result:
    result = Result(deleted=len(entry.change.deleted))
    for document in entry.change.documents:
        reason = next(reasons)
        if reason is None:
            result.stored += 1
        else:
            result.rejected[document["id"]] = reason
    return result


def _turns(entries: Sequence[Entry]) -> list[list[int]]:
    """Places of entries in turns, so that no turn has two entries of one package."""
    turns: list[list[int]] = []
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries):
        turn = seen[entry.name] = seen.get(entry.name, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(place)
    return turns


class Batcher:
    """Collects entries and sends them when they are many, large, or have waited long enough.

    `add` returns when the batch of its entry was answered for: that is the back-pressure. One batch is
    under way at a time; what comes meanwhile goes together. `documents` and `size` (bytes) bound a batch,
    `linger` is in seconds.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Entry]], list[Result]],
        *,
        documents: int,
        size: int,
        linger: float,
    ) -> None:
        self.send = send
        self.most_documents = documents
        self.most_bytes = size
        self.linger = linger
        self._waiting: list[tuple[Entry, asyncio.Future[Result]]] = []
        self._documents = 0
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def add(self, name: str, revision: int, change: Change) -> Result:
        """Send one package's change with the next batch. Raises SearchError if the server failed."""
        entry = Entry.of(name, revision, change)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((entry, answered))
        self._documents += len(entry.lines)
        self._bytes += sum(map(len, entry.lines))
        if self._documents >= self.most_documents or self._bytes >= self.most_bytes:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self.linger, self._lingered)
        return await answered

    async def close(self) -> None:
        """Send what waits and come back when all is answered for."""
        self._flush()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _lingered(self) -> None:
        self._is_due = True
        if not self._tasks:
            self._flush()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._is_due and not self._tasks:
            self._flush()

    def _flush(self) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._documents = self._bytes = 0
        task = asyncio.get_running_loop().create_task(self._send(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._sent)

    async def _send(self, waiting: list[tuple[Entry, asyncio.Future[Result]]]) -> None:
        async with self._one_at_a_time:
            try:
                results = await asyncio.to_thread(self.send, [entry for entry, _ in waiting])
            except Exception as error:  # whoever waits for the batch must learn of it
                for _, answered in waiting:
                    if not answered.done():
                        answered.set_exception(error)
                return
        for (_, answered), result in zip(waiting, results, strict=True):
            if not answered.done():
                answered.set_result(result)


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
