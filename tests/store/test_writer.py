"""The asyncio face: what fails here loses acknowledged writes or stops the crawl for one bad package."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import event

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store import Store, StoreWriter, UnstorableError

from .samples import check, facts, verified


@pytest_asyncio.fixture
async def writer(store: Store) -> AsyncIterator[StoreWriter]:
    writer = StoreWriter(store)
    yield writer
    await writer.close()


async def test_what_was_awaited_is_stored(store: Store, writer: StoreWriter, url: str) -> None:
    assert await writer.save(facts("1.0")) == 1
    await writer.check(check("a"))
    await writer.fail("a", "project", "HTTP 500", 1000)
    with Store(url) as other:
        assert dict(other.iter_serials()) == {"a": 10, "some-pkg": 10}
        assert [row.reason for row in other.failures()] == ["HTTP 500"]
        await writer.clear(["a"])
        assert other.failures() == []


async def test_many_writes_are_few_transactions(store: Store, writer: StoreWriter) -> None:
    """One transaction for each would be a disk's wait for each."""
    begun = 0

    def count(statement: str) -> None:
        nonlocal begun
        begun += statement == "BEGIN IMMEDIATE"

    event.listen(
        store._database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: count(statement),
    )
    names = [f"p{number}" for number in range(1200)]
    revisions = await asyncio.gather(*(writer.save(facts("1.0", name=name)) for name in names))
    assert revisions == [1] * 1200
    await asyncio.gather(*(writer.check(check(name, serial=11)) for name in names))
    assert begun <= 2 + 3 + 3  # two sets of classifiers, three batches of 500 of each kind


async def test_kinds_are_mixed_in_a_batch(store: Store, writer: StoreWriter) -> None:
    await asyncio.gather(
        writer.save(facts("1.0")),
        writer.check(check("a")),
        writer.fail("b", "project", "x", 1),
        writer.fail("c", "index", "x", 1),
        writer.clear(["b"], "project"),
        writer.clear(["d"]),
    )
    assert [row.normalized_name for row in store.failures()] == ["c"]


async def test_who_checks_learns_that_something_newer_is_stored(writer: StoreWriter) -> None:
    """A stale answer that was believed would take a member's documents away."""
    assert await writer.check(check("a", serial=11)) is not None
    assert await writer.check(check("a", serial=10)) is None


async def test_who_verifies_learns_of_another_marker(store: Store, writer: StoreWriter) -> None:
    """Then the package's documents have to be made anew."""
    await asyncio.gather(*(writer.save(facts("1.0", name=name)) for name in "abc"))
    told = await asyncio.gather(
        writer.verify(verified("a", "active")),
        writer.verify(verified("b", "archived")),
        writer.verify(verified("b\ud800", "archived")),
        writer.verify(verified("c", "archived", "\ud800")),
        return_exceptions=True,
    )
    assert [*told[:2]] == [False, True]
    assert [type(error) for error in told[2:]] == [UnstorableError, UnstorableError]
    assert store.revisions("abc") == {"a": 1, "b": 2, "c": 1}


async def test_a_bad_element_fails_alone(store: Store, writer: StoreWriter) -> None:
    results = await asyncio.gather(
        writer.save(facts("1.0", name="a")),
        writer.save(facts("1.0", name="b\ud800")),
        writer.save(facts("1.0", name="c", classifiers=("\ud800",))),
        writer.save(facts("1.0", name="d", serial=2**63)),
        writer.save(facts("1.0", name="e")),
        writer.check(check("f", serial=2**63)),
        writer.check(check("g")),
        writer.fail("h\ud800", "project", "x", 1),
        writer.fail("i", "project", "x", 1),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        int,
        UnstorableError,
        UnstorableError,
        UnstorableError,
        int,
        UnstorableError,
        int,
        UnstorableError,
        type(None),
    ]
    assert [name for name, _ in store.iter_serials()] == ["a", "e", "g"]
    assert [row.normalized_name for row in store.failures()] == ["i"]


async def test_a_failing_database_fails_all_callers(store: Store, writer: StoreWriter) -> None:
    await writer.check(check("a"))
    with store._database.write() as connection:
        connection.exec_driver_sql("DROP TABLE events")
        connection.exec_driver_sql("DROP TABLE projects")
    results = await asyncio.gather(*(writer.check(check(n)) for n in "bc"), return_exceptions=True)
    assert [type(result) for result in results] == [StoreError, StoreError]


async def test_a_cancelled_caller_hurts_nobody(store: Store, writer: StoreWriter) -> None:
    blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        with store._database.write():
            blocked.set()
            release.wait(10)

    first = asyncio.create_task(asyncio.to_thread(block))
    await asyncio.to_thread(blocked.wait, 10)
    tasks = [asyncio.create_task(writer.check(check(name))) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    release.set()
    await asyncio.gather(first, tasks[0], tasks[2])
    assert tasks[1].cancelled()
    assert [name for name, _ in store.iter_serials()] == ["a", "b", "c"]


async def test_closing_writes_what_waits(store: Store) -> None:
    writer = StoreWriter(store)
    tasks = [asyncio.create_task(writer.check(check(f"p{number}"))) for number in range(700)]
    await asyncio.sleep(0)
    await writer.close()
    await asyncio.gather(*tasks)
    assert sum(1 for _ in store.iter_serials()) == 700
    with pytest.raises(StoreError):
        await writer.check(check("late"))
    await writer.close()


def test_a_loop_that_ends_leaves_nobody_waiting(store: Store) -> None:
    async def main() -> StoreWriter:
        writer = StoreWriter(store)
        tasks = [asyncio.create_task(writer.check(check(f"p{number}"))) for number in range(2000)]
        await asyncio.sleep(0)
        assert not tasks[0].done()
        return writer

    writer = asyncio.run(asyncio.wait_for(main(), 30))
    asyncio.run(writer.close())
    assert sum(1 for _ in store.iter_serials()) % 500 == 0  # a batch is written or not


async def test_it_may_be_made_outside_a_loop(url: str) -> None:
    def made() -> tuple[Store, StoreWriter]:
        store = Store(url)
        return store, StoreWriter(store)

    store, writer = await asyncio.to_thread(made)
    assert await writer.save(facts("1.0")) == 1
    await writer.close()
    store.close()
