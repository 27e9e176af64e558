"""What PyPI says beside serials: what fails here shows archived packages as alive, or asks for all again."""

from __future__ import annotations

import pytest

from pyf_scrapy.store import PageSaid, Standing, Store, StoredPackage, UnstorableError, Verified

from .samples import check, facts, verified


def test_nothing_is_known_at_first(store: Store) -> None:
    store.save_packages([facts("1.0")])
    assert store.standings(["some-pkg", "unknown"]) == {
        "some-pkg": Standing("some-pkg"),
        "unknown": Standing("unknown"),
    }
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.standing == Standing("some-pkg")
    plain = StoredPackage("A", "a", 1, 1, (), "active", package.project, {})
    assert plain.standing == Standing("a")


def test_what_was_verified_is_loaded_with_the_package(store: Store) -> None:
    store.save_packages([facts("1.0", name="a", etag='"j"'), facts("1.0", name="b")])
    store.save_verified([Verified("a", 3000, PageSaid("archived", "moved", '"p"'))])
    standing = Standing("a", "archived", "moved", '"p"', '"j"', 3000)
    assert store.standings("ab") == {"a": standing, "b": Standing("b")}
    loaded = {package.normalized_name: package.standing for package in store.load_packages("ab")}
    assert loaded == {"a": standing, "b": Standing("b")}


def test_another_marker_or_reason_raises_the_revision(store: Store) -> None:
    """The documents show both, and nothing else tells that they changed: no serial moves."""
    store.save_packages([facts("1.0", name="a")])
    steps = [
        (verified("a", "active"), False),  # as every package is
        (verified("a", "archived"), True),
        (verified("a", "archived"), False),
        (verified("a", "archived", "moved"), True),
        (verified("a", "quarantined", "malware"), True),
        (verified("a", "deprecated"), True),
        (verified("a", "active"), True),
        (verified("a", "frozen"), True),
        (verified("a", "vanished", "a text of PyPI's, no status of ours"), True),
    ]
    revision = 1
    for step, rises in steps:
        assert store.save_verified([step]) == [rises]
        revision += rises
        assert store.revisions(["a"]) == {"a": revision}
    assert [(event.kind, event.detail) for event in store.events(since=1)] == [
        ("archived", {"from": "active", "reason": None}),
        ("archived", {"from": "archived", "reason": "moved"}),
        ("quarantined", {"from": "archived", "reason": "malware"}),
        ("deprecated", {"from": "quarantined", "reason": None}),
        ("activated", {"from": "deprecated", "reason": None}),
        ("marked", {"from": "active", "reason": None, "to": "frozen"}),
        ("marked", {"from": "frozen", "reason": "a text of PyPI's, no status of ours", "to": "vanished"}),
    ]
    assert {(event.at, event.normalized_name, event.version) for event in store.events(since=1)} == {
        (3000, "a", None)
    }


def test_a_first_marker_other_than_active_is_a_change(store: Store) -> None:
    store.save_packages([facts("1.0", name="a")])
    assert store.save_verified([verified("a", "archived")]) == [True]
    assert store.events()[-1].kind == "archived"


def test_a_page_that_was_not_modified_keeps_what_it_said(store: Store) -> None:
    store.save_packages([facts("1.0", name="a")])
    store.save_verified([verified("a", "archived", "moved")])
    assert store.save_verified([Verified("a", 4000, None)]) == [False]
    standing = Standing("a", "archived", "moved", '"p"', None, 4000)
    assert store.standings(["a"]) == {"a": standing}


def test_a_page_without_a_marker_says_nothing_of_it(store: Store) -> None:
    """A cache's page of before PEP 792 must not make an archived package active."""
    store.save_packages([facts("1.0", name="a")])
    store.save_verified([verified("a", "archived", "moved")])
    assert store.save_verified([verified("a", None, etag='"q"', at=4000)]) == [False]
    assert store.standings(["a"]) == {"a": Standing("a", "archived", "moved", '"q"', None, 4000)}


def test_an_etag_is_that_of_the_facts(store: Store) -> None:
    """An older answer of the same serial has another one: with the newer one's, a refresh would hear "not
    modified" for ever and never learn what the older answer lacks, an advisory for example."""
    for etag in ('"new"', '"old"', None):
        store.save_packages([facts("1.0", name="a", etag=etag)])
        assert store.standings(["a"])["a"].project_etag == etag
        store.save_verified([verified("a", "active")])
        assert store.standings(["a"])["a"].project_etag == etag
    store.save_packages([facts("1.0", name="a", serial=9, etag='"ignored"')])
    assert store.standings(["a"])["a"].project_etag is None


def test_only_packages_are_verified(store: Store) -> None:
    store.record_checks([check("checked")])
    assert store.save_verified([verified("checked", "archived"), verified("unknown", "archived")]) == [
        False,
        False,
    ]
    assert store.standings(["checked"]) == {"checked": Standing("checked")}
    assert store.events() == []
    assert store.revisions(["checked", "unknown"]) == {"checked": 0}


def test_answers_of_one_batch_are_taken_in_order(store: Store) -> None:
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    batch = [verified("a", "archived"), verified("b", "active"), verified("a", "active", at=3001)]
    assert store.save_verified(batch) == [True, False, True]
    assert store.standings(["a"])["a"].status == "active"
    assert store.revisions("ab") == {"a": 3, "b": 1}
    assert store.save_verified([]) == []


def test_a_thousand_packages_in_one_call(store: Store) -> None:
    names = [f"p{number:04}" for number in range(1100)]
    store.save_packages([facts("1.0", name=name) for name in names])
    assert store.save_verified([verified(name, "archived") for name in names]) == [True] * 1100
    assert {standing.status for standing in store.standings(names).values()} == {"archived"}
    assert all(package.standing.status == "archived" for package in store.load_packages(names))


def test_new_facts_do_not_take_the_standing_away(store: Store) -> None:
    store.save_packages([facts("1.0", name="a")])
    store.save_verified([verified("a", "archived")])
    before = store.standings(["a"])
    store.save_packages([facts("2.0", "1.0", name="a", serial=11)])
    store.record_checks([check("a", serial=12), check("a", serial=13, status="empty")])
    store.save_packages([facts("2.0", "1.0", name="a", serial=14)])
    assert store.standings(["a"]) == before


def test_one_unstorable_answer_leaves_the_whole_call_unwritten(store: Store) -> None:
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    with pytest.raises(UnstorableError):
        store.save_verified([verified("a", "archived"), verified("b", "archived", "\ud800")])
    assert store.standings(["a"])["a"].status is None
    assert store.revisions(["a"]) == {"a": 1}
