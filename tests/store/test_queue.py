"""Names that wait: what fails here loses a package that somebody asked for, or asks for it for ever."""

from __future__ import annotations

from pyf_scrapy.store import Queued, QueuedBySource, Store, StoreWriter
from pyf_scrapy.store.database import CHUNK


def test_names_wait_in_the_order_in_which_they_came(store: Store, url: str) -> None:
    assert store.queued() == []
    assert store.enqueue(["b"], 1000, "queue add") == 1
    assert store.enqueue(["a", "c", "a"], 2000, "collections import") == 2
    with Store(url) as other:
        assert [row.normalized_name for row in other.queued()] == ["b", "a", "c"]
        assert other.queued(1) == [Queued("b", 1000, "queue add")]


def test_a_name_that_is_queued_again_keeps_its_place(store: Store) -> None:
    """Else whoever asks each minute would never see it fetched."""
    store.enqueue(["a", "b"], 1000, "queue add")
    assert store.enqueue(["b", "a", "c"], 2000, "collections import") == 1
    assert [row[:2] for row in store.queued()] == [("a", 1000), ("b", 1000), ("c", 2000)]


def test_only_what_is_done_leaves_the_queue(store: Store) -> None:
    store.enqueue(["a", "b", "c"], 1000, "queue add")
    store.dequeue(["b", "never-queued"])
    store.dequeue([])
    assert [row.normalized_name for row in store.queued()] == ["a", "c"]


def test_a_purge_says_how_many_it_took(store: Store) -> None:
    assert store.purge_queue() == 0
    store.enqueue(["a", "b"], 1000, "queue add")
    assert store.purge_queue() == 2
    assert store.queued() == []


def test_many_names_are_queued_and_taken_out(store: Store) -> None:
    """More than a statement can name: a whole collection is imported at once."""
    names = [f"p{number:04}" for number in range(2 * CHUNK + 1)]
    assert store.enqueue(iter(names), 1000, "collections import") == len(names)
    assert store.enqueue(names, 2000, "queue add") == 0
    store.dequeue(names[:-1])
    assert [row.normalized_name for row in store.queued()] == names[-1:]


def test_what_waits_is_counted_by_who_queued_it(store: Store) -> None:
    assert store.queued_by_source() == []
    store.enqueue(["a"], 2000, "queue add")
    store.enqueue(["b"], 3000, "queue add")
    store.enqueue(["c"], 1000, "collections import")
    assert store.queued_by_source() == [
        QueuedBySource("collections import", 1, 1000),
        QueuedBySource("queue add", 2, 2000),
    ]


async def test_a_crawl_takes_names_out_beside_its_other_writes(store: Store) -> None:
    store.enqueue(["a", "b"], 1000, "queue add")
    writer = StoreWriter(store)
    await writer.dequeue("a")
    await writer.close()
    assert [row.normalized_name for row in store.queued()] == ["b"]
