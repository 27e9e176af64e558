"""What the application asks of the store: which packages of a collection changed, and what is new in it."""

from __future__ import annotations

import pytest

from pyf_scrapy.store import Store, journal

from .samples import facts


def test_a_state_changes_with_the_documents_of_a_package_and_with_no_others(store: Store) -> None:
    assert store.index_states("plone") == {}
    store.finish_index("plone", [("a", 1, {"a==1": b"x"}), ("b", 1, {"b==1": b"x"})])
    store.finish_index("other", [("c", 1, {"c==1": b"x"})])
    before = store.index_states("plone")
    assert list(before) == ["a", "b"]
    store.finish_index("plone", [("a", 1, {"a==1": b"y"}), ("b", 1, {"b==1": b"x"})])
    after = store.index_states("plone")
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]
    store.begin_index("plone", [("b", ["b==1"])])
    assert store.index_states("plone")["b"] != before["b"], "its documents are being sent"
    store.forget_indexed("plone", ["a"])
    assert list(store.index_states("plone")) == ["b"]


def test_states_are_read_beyond_one_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyf_scrapy.store.part.PAGE", 3)
    names = [f"p{number}" for number in range(8)]
    store.finish_index("plone", [(name, 1, {}) for name in names])
    assert list(store.index_states("plone")) == names


def test_news_are_those_of_the_packages_that_the_collection_has(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (store.recent_events("plone", "created", 10), store.last_event()) == ([], 0)
    store.save_packages([facts("1", name=name) for name in ("a", "b", "c")])
    store.finish_index("plone", [("a", 1, {}), ("c", 1, {})])
    created = store.recent_events("plone", "created", 10)
    assert [event.normalized_name for event in created] == ["c", "a"]
    assert [event.normalized_name for event in store.recent_events("plone", "created", 1)] == ["c"]
    assert store.recent_events("plone", "released", 10) == []
    assert store.recent_events("other", "created", 10) == []
    assert store.last_event() == 3
    monkeypatch.setattr(journal, "EVENTS_READ", 2)
    assert [event.normalized_name for event in store.recent_events("plone", "created", 10)] == ["c"]


def test_each_package_that_was_created_is_told_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.created_after(0) == []
    store.save_packages([facts("1", name="a", at=7)])
    store.save_packages([facts("2", "1", name="a", serial=11, at=8)])
    store.save_packages([facts("1", name="b", at=9)])
    (first, second) = store.created_after(0)
    assert (first[1:], second[1:]) == (("a", 7), ("b", 9))
    assert store.created_after(first[0]) == [second]
    monkeypatch.setattr(journal, "EVENTS_READ", 1)
    assert store.created_after(0) == [second]
