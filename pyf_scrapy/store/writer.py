"""`StoreWriter`: writes of many coroutines, a batch at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.records import Check, Failure, PackageFacts, UnstorableError, Verified
from pyf_scrapy.store.scores import Score
from pyf_scrapy.store.store import Store

#: Most writes in one batch.
BATCH = 500

#: Least seconds between the beginnings of two batches. The transaction costs more than what a few answers
#: bring: a check takes 195 us in a batch of 2, 33 us in one of 20 (SQLite).
INTERVAL = 0.02

# Writes many elements in one transaction; returns a result for each, or None when there are none.
_Kind = Callable[[Sequence[Any]], Sequence[Any] | None]


class _Write(NamedTuple):
    kind: _Kind
    element: Any
    done: asyncio.Future[Any]


class StoreWriter:
    """The asyncio face of a `Store`, for coroutines of one event loop; made inside it or before.

    While one batch is committed, the next one gathers: each batch is one transaction for each kind of
    write. A call returns when its own element is committed, and raises when that element could not be
    stored: UnstorableError for this one alone, StoreError when the database failed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Write] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._next_batch = 0.0

    async def check(self, check: Check) -> int | None:
        """`Store.record_checks` for one project: its revision, None when something newer is stored. What was
        taken has not failed any more, at any stage."""
        revision: int | None = await self._write(self._check, check)
        return revision

    async def save(self, facts: PackageFacts) -> int:
        """`Store.save_packages` for one package; returns its revision."""
        revision: int = await self._write(self._store.save_packages, facts)
        return revision

    async def verify(self, verified: Verified) -> bool:
        """`Store.save_verified` for one package; True when its marker changed."""
        changed: bool = await self._write(self._store.save_verified, verified)
        return changed

    async def fail(self, normalized_name: str, stage: str, reason: str, at: int) -> None:
        """`Store.record_failures` for one package."""
        await self._write(self._store.record_failures, Failure(normalized_name, stage, reason, at))

    async def clear(self, names: Iterable[str], stage: str | None = None) -> None:
        """`Store.clear_failures`."""
        await self._write(self._clear, (tuple(names), stage))

    async def dequeue(self, normalized_name: str) -> None:
        """`Store.dequeue` for one package."""
        await self._write(self._store.dequeue, normalized_name)

    async def score(self, normalized_name: str, score: int, at: int) -> None:
        """`Store.note_scores` for one package."""
        await self._write(self._store.note_scores, Score(normalized_name, score, at))

    async def close(self) -> None:
        """Write what is waiting and end the thread; later calls raise StoreError. The store stays open."""
        self._closed = True
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _write(self, kind: _Kind, element: Any) -> Any:
        if self._closed:
            raise StoreError("the store's writer is closed")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Write(kind, element, done))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        batch: list[_Write] = []
        try:
            while self._waiting:
                await asyncio.sleep(self._next_batch - loop.time())
                self._next_batch = loop.time() + INTERVAL
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                results = await loop.run_in_executor(self._thread, _write_batch, batch)
                for write, result in zip(batch, results, strict=True):
                    if write.done.done():
                        continue  # its caller was cancelled
                    if isinstance(result, Exception):
                        write.done.set_exception(result)
                    else:
                        write.done.set_result(result)
        finally:
            self._task = None
            for write in (*batch, *self._waiting):  # the loop is being torn down: nobody may wait forever
                write.done.cancel()

    def _check(self, checks: Sequence[Check]) -> Sequence[int | None]:
        revisions = self._store.record_checks(checks)
        taken = (check for check, revision in zip(checks, revisions, strict=True) if revision is not None)
        self._store.clear_failures(check.normalized_name for check in taken)
        return revisions

    def _clear(self, elements: Sequence[tuple[tuple[str, ...], str | None]]) -> None:
        by_stage: defaultdict[str | None, list[str]] = defaultdict(list)
        for names, stage in elements:
            by_stage[stage] += names
        for stage, cleared in by_stage.items():
            self._store.clear_failures(cleared, stage)


def _write_batch(batch: Sequence[_Write]) -> list[Any]:
    """The result or the error of each write."""
    results: list[Any] = [None] * len(batch)
    kinds: defaultdict[_Kind, list[int]] = defaultdict(list)
    for place, write in enumerate(batch):
        kinds[write.kind].append(place)
    for kind, places in kinds.items():
        for place, result in zip(places, _results(kind, [batch[p].element for p in places]), strict=True):
            results[place] = result
    return results


def _results(kind: _Kind, elements: Sequence[Any]) -> Sequence[Any]:
    try:
        return kind(elements) or [None] * len(elements)
    except Exception as error:  # whatever it is, it belongs to the callers, and the others must be served
        if len(elements) == 1 or (isinstance(error, StoreError) and not isinstance(error, UnstorableError)):
            return [error] * len(elements)
    return [result for element in elements for result in _results(kind, [element])]
