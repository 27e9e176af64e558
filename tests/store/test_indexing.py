"""What the index has: what fails here leaves documents in it that nobody knows, or never sends some."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import CollectionRow, Indexed, Store

from .samples import facts

DEFINITION = {"key": "plone", "name": "Plone", "classifiers": ("Framework :: Plone",), "hints": ()}
AS_READ = {"key": "plone", "name": "Plone", "classifiers": ["Framework :: Plone"], "hints": []}
PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))


def open_plone(store: Store, **other: Any) -> None:
    given: dict[str, Any] = {
        "definition": DEFINITION,
        "releases": 3,
        "physical": "plone-1",
        "created_at": 5,
        "server": "s",
    }
    store.open_collection("plone", **(given | other))


def test_collections_are_remembered(store: Store) -> None:
    assert store.collection("plone") is None
    open_plone(store)
    row = CollectionRow("plone", AS_READ, 3, "plone-1", 5, "s")
    assert store.collection("plone") == row
    store.open_collection("django", {}, None, "django-1", 1, "s")
    assert [found.collection for found in store.collections()] == ["django", "plone"]


def test_opening_it_again_changes_nothing(store: Store) -> None:
    open_plone(store)
    store.finish_index("plone", [("a", 1, {"a==1": b"12345678"})])
    open_plone(store)
    assert store.indexed("plone", ["a"]) == {"a": Indexed(1, {"a==1": b"12345678"})}


def test_a_server_started_anew_keeps_what_it_still_has(store: Store) -> None:
    """Typesense 0.24.1 dates collections anew at each start: that alone must not send all again."""
    open_plone(store)
    whole, part, sending = {"a==1": b"12345678"}, {"b==1": b"12345678", "b==2": b"12345678"}, ["c==1"]
    store.finish_index("plone", [("a", 1, whole), ("b", 1, part), ("gone", 1, {"gone==1": b"12345678"})])
    store.begin_index("plone", [("c", sending)])
    open_plone(
        store,
        created_at=6,
        redated=True,
        present={"a": {"a==1"}, "b": {"b==2"}, "c": {"c==1"}, "stranger": {"stranger==1"}},
    )
    assert store.indexed("plone", ["a", "b", "c", "gone", "stranger"]) == {
        "a": Indexed(1, whole),
        "b": Indexed(None, {"b==2": b""}),
        "c": Indexed(None, {"c==1": b""}),
        "stranger": Indexed(None, {"stranger==1": b""}),
    }


def test_a_collection_made_anew_in_the_same_second_is_seen_to_be_empty(store: Store) -> None:
    open_plone(store)
    store.finish_index("plone", [("a", 1, {"a==1": b"12345678"})])
    assert store.documents_known("plone") == 1
    open_plone(store, present={})
    assert store.documents_known("plone") == 0
    assert store.indexed("plone", ["a"]) == {}


@pytest.mark.parametrize("other", [{"physical": "plone-2"}, {"server": "embedded"}, {"created_at": 6}])
def test_what_another_server_has_is_sent_again(store: Store, other: dict[str, Any]) -> None:
    open_plone(store)
    store.finish_index("plone", [("a", 1, {"a==1": b"12345678"})])
    open_plone(store, **other, present={"a": {"a==1"}})
    assert store.indexed("plone", ["a"]) == {"a": Indexed(None, {"a==1": b""})}


def test_what_may_be_of_an_older_copy_is_sent_again(store: Store) -> None:
    """Its ids are the same, and nothing else would show that a release was yanked since then."""
    open_plone(store)
    store.finish_index("plone", [("a", 1, {"a==1": b"12345678"})])
    open_plone(store, present={"a": {"a==1"}}, redated=True)
    assert store.indexed("plone", ["a"]) == {"a": Indexed(1, {"a==1": b"12345678"})}
    open_plone(store, present={"a": {"a==1"}}, redated=True, doubtful=True)
    assert store.indexed("plone", ["a"]) == {"a": Indexed(None, {"a==1": b""})}


@pytest.mark.parametrize("other", [{"physical": "plone-2"}, {"created_at": 6}, {"server": "embedded"}])
def test_another_index_knows_nothing(store: Store, other: dict[str, Any]) -> None:
    """A lost index heals by itself because everything becomes dirty."""
    store.save_packages([facts("1.0")])
    open_plone(store)
    for collection in ("plone", "django"):
        store.finish_index(collection, [("some-pkg", 1, {"some-pkg==1.0": b"12345678"})])
    open_plone(store, **other)
    assert store.indexed("plone", ["some-pkg"]) == {}
    assert list(store.dirty("plone", PROFILE)) == ["some-pkg"]
    assert store.indexed("django", ["some-pkg"]).keys() == {"some-pkg"}


@pytest.mark.parametrize(
    "other", [{"releases": None}, {"releases": 1}, {"definition": DEFINITION | {"descriptions": "all"}}]
)
def test_another_number_of_releases_makes_all_packages_dirty(store: Store, other: dict[str, Any]) -> None:
    """releases=all after releases=3: all may be stored already, and nothing else would send them."""
    store.save_packages([facts("1.0")])
    open_plone(store)
    store.finish_index("plone", [("some-pkg", 1, {"some-pkg==1.0": b"12345678"})])
    open_plone(store, **other)
    assert store.indexed("plone", ["some-pkg"]) == {"some-pkg": Indexed(None, {"some-pkg==1.0": b"12345678"})}
    assert list(store.dirty("plone", PROFILE)) == ["some-pkg"]


def test_documents_are_known_before_they_are_sent(store: Store) -> None:
    """The sender may be killed between the index's answer and its own note."""
    store.finish_index("plone", [("a", 4, {"a==1": b"11111111", "a==2": b"22222222"})])
    store.begin_index("plone", [("a", ["a==2", "a==3"]), ("b", ["b==1"])])
    assert store.indexed("plone", ["a", "b", "c"]) == {
        "a": Indexed(None, {"a==1": b"11111111", "a==2": b"", "a==3": b""}),
        "b": Indexed(None, {"b==1": b""}),
    }
    store.finish_index("plone", [("a", 5, {"a==3": b"33333333"}), ("b", 1, {})])
    assert store.indexed("plone", ["a", "b"]) == {
        "a": Indexed(5, {"a==3": b"33333333"}),
        "b": Indexed(1, {}),
    }


def test_a_package_named_twice_in_a_batch_is_merged(store: Store) -> None:
    store.begin_index("plone", [("a", ["a==1"]), ("a", ["a==2"])])
    assert store.indexed("plone", ["a"]) == {"a": Indexed(None, {"a==1": b"", "a==2": b""})}


def test_forgetting_is_for_one_collection(store: Store) -> None:
    for collection in ("plone", "django"):
        store.finish_index(collection, [("a", 1, {})])
    store.forget_indexed("plone", ["a", "unknown"])
    assert store.indexed("plone", ["a"]) == {}
    assert store.indexed("django", ["a"]) == {"a": Indexed(1, {})}


def test_more_names_than_one_statement_takes(store: Store) -> None:
    names = [f"p{number}" for number in range(1200)]
    store.finish_index("plone", [(name, 1, {}) for name in names])
    store.begin_index("plone", [(name, [f"{name}==1"]) for name in names])
    assert len(store.indexed("plone", names)) == 1200
    store.forget_indexed("plone", names)
    assert store.indexed("plone", names) == {}


def test_names_that_a_collection_has_are_listed(store: Store) -> None:
    store.finish_index("plone", [("b", 1, {}), ("a", 1, {})])
    store.finish_index("django", [("c", 1, {})])
    assert list(store.indexed_names("plone")) == ["a", "b"]


def test_one_writer_per_collection(store: Store, url: str) -> None:
    """Of two senders of one package the one with older facts could come last."""
    entered = threading.Event()

    def other() -> None:
        with Store(url) as second, second.index_lock("plone"):
            entered.set()

    with store.index_lock("plone"), store.index_lock("a/../b :: c"):
        thread = threading.Thread(target=other)
        thread.start()
        assert not entered.wait(0.3)
        with pytest.raises(StoreError), store.index_lock("plone", timeout=0.1):
            pass
    assert entered.wait(10)
    thread.join()
    with pytest.raises(ZeroDivisionError), store.index_lock("plone"):
        raise ZeroDivisionError
    with store.index_lock("plone", timeout=5):
        pass
