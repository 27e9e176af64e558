"""How far sources were read: what fails here shows a wrong lag, or asks twice or never for a release."""

from __future__ import annotations

import pytest

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store import FeedState, IndexRead, Store
from pyf_scrapy.store.lanes import INDEXES_KEPT

UPDATES = "https://pypi.org/rss/updates.xml"


def test_an_index_is_remembered_by_its_serial(store: Store) -> None:
    """The first time tells how old an unseen change can be, the last one how fresh the lane is."""
    store.note_index(100, 1000, 5)
    store.note_index(90, 1500, 4)
    store.note_index(100, 2000, 6)
    store.note_index(100, 1800, 6)  # another process, told late
    assert store.index_reads() == [IndexRead(90, 1500, 1500, 4), IndexRead(100, 1000, 2000, 6)]


def test_an_index_without_serial_is_not_noted(store: Store) -> None:
    store.note_index(None, 1000, 5)
    assert store.index_reads() == []


def test_indexes_are_kept_for_a_while_only(store: Store) -> None:
    for number in range(4):
        store.note_index(number, 1000 + number * INDEXES_KEPT // 2, 5)
    assert [read.serial for read in store.index_reads()] == [1, 2, 3]


def test_feeds_are_remembered_as_last_polled(store: Store, url: str) -> None:
    assert store.feed(UPDATES) is None
    assert store.feeds() == []
    store.save_feed(FeedState(UPDATES, '"a"', 900, 1000))
    store.save_feed(FeedState("https://pypi.org/rss/packages.xml", None, None, 1000))
    store.save_feed(FeedState(UPDATES, '"b"', 950, 1030))
    with Store(url) as other:
        assert other.feed(UPDATES) == FeedState(UPDATES, '"b"', 950, 1030)
        assert [state.url for state in other.feeds()] == ["https://pypi.org/rss/packages.xml", UPDATES]


def test_keys_are_seen_until_they_expire(store: Store) -> None:
    store.mark_seen({"a": 1100, "b": 1200}, now=1000)
    assert store.seen_keys(["a", "b", "c"], 1099) == {"a", "b"}
    assert store.seen_keys(["a", "b", "c"], 1100) == {"b"}
    store.mark_seen({"a": 1300}, now=1100)
    assert store.seen_keys(["a"], 1299) == {"a"}
    assert store.seen_keys([], 0) == set()


def test_expired_keys_do_not_pile_up(store: Store) -> None:
    """6,000 releases a day are marked, each for a day, for years."""
    for day in range(3):
        store.mark_seen({f"{day}-{number}": (day + 1) * 86_400 for number in range(1000)}, now=day * 86_400)
    store.mark_seen({}, now=10 * 86_400)
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM dedup").scalar_one() == 1000
    store.mark_seen({"by the clock": 2**40})
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM dedup").scalar_one() == 1


def test_marks_are_counted_and_forgotten(store: Store) -> None:
    store.mark_seen({"a": 1100, "b": 1200}, now=1000)
    assert (store.count_seen(1099), store.count_seen(1100), store.count_seen(1200)) == (2, 1, 0)
    assert store.forget_seen() == 2
    assert store.count_seen(0) == 0


def test_notes_outlive_the_process(store: Store, url: str) -> None:
    """What a killed spider used of a source's budget is used; else the next one is locked out."""
    assert store.recall("pypistats") is None
    store.remember("github", {"closed_until": 5000, "why": "étude"})
    store.remember("pypistats", [1000.5, 1001.25])
    store.remember("pypistats", [1002.5])
    with Store(url) as other:
        assert other.recall("github") == {"closed_until": 5000, "why": "étude"}
        assert other.recall("pypistats") == [1002.5]
        other.remember("pypistats", None)
    assert store.recall("pypistats") is None
    store.remember("zero", 0)
    store.remember("no", False)
    assert (store.recall("zero"), store.recall("no")) == (0, False)


def test_what_cannot_be_noted_is_a_store_error(store: Store) -> None:
    store.remember("budget", 1)
    with pytest.raises(StoreError):
        store.remember("budget", {1, 2})
    assert store.recall("budget") == 1
