"""Saving packages: what fails here loses updates, sends too much, or brings old facts back."""

from __future__ import annotations

import pytest

from pyf_scrapy.store import Store, StoredVersion, UnstorableError

from .samples import PLONE, check, facts, metadata, project


def kinds(store: Store) -> list[tuple[str, str | None]]:
    return [(event.kind, event.version) for event in store.events()]


def test_what_was_saved_is_loaded_again(store: Store) -> None:
    assert store.save_packages([facts("2.0", "1.0", releases={"1.0": metadata("1.0")})]) == [1]
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.project == project("2.0", "1.0")
    assert package.releases == {"1.0": metadata("1.0")}
    assert (package.name, package.serial, package.revision, package.status) == ("Some.Pkg", 10, 1, "active")
    assert package.classifiers == PLONE
    row = store.project("some-pkg")
    assert row is not None
    assert (row.name, row.serial, row.checked_at, row.revision) == ("Some.Pkg", 10, 1000, 1)


def test_unknown_projects_are_none(store: Store) -> None:
    store.record_checks([check("other")])
    assert store.load_package("other") is None
    assert store.load_package("unknown") is None
    assert store.project("unknown") is None
    assert store.stored_versions("unknown") == {}


def test_the_same_facts_again_do_not_raise_the_revision(store: Store) -> None:
    given = facts("2.0", "1.0", releases={"1.0": metadata("1.0")})
    assert [store.save_packages([given]) for _ in range(3)] == [[1], [1], [1]]
    assert kinds(store) == [("created", "2.0")]


def test_any_change_raises_the_revision(store: Store) -> None:
    steps = [
        facts("1.0"),
        facts("2.0", "1.0", serial=11),
        facts("2.0", "1.0", serial=11, releases={"1.0": metadata("1.0")}),  # kept already, see below
        facts("2.0", "1.0", serial=11, yanked=["1.0"]),
        facts("2.0", "1.0", serial=12, yanked=["1.0"]),  # documents carry the serial
        facts("2.0", "1.0", serial=12, classifiers=("Framework :: Django",)),
        facts("2.0", serial=13, classifiers=("Framework :: Django",)),
    ]
    assert [store.save_packages([step])[0] for step in steps] == [1, 2, 2, 3, 4, 5, 6]
    assert kinds(store) == [
        ("created", "1.0"),
        ("released", "2.0"),
        ("yanked", "1.0"),
        ("unyanked", "1.0"),
        ("reclassified", None),
        ("removed", "1.0"),
    ]
    events = store.events(since=2)
    assert [event.seq for event in events] == [3, 4, 5, 6]
    assert events[0].detail == {"reason": "broken"}
    assert events[2].detail == {"added": ["Framework :: Django"], "removed": sorted(PLONE)}
    assert store.events(since=2, limit=1) == events[:1]


def test_an_older_answer_is_ignored(store: Store) -> None:
    store.save_packages([facts("2.0", "1.0", serial=11)])
    assert store.save_packages([facts("1.0", serial=10)]) == [1]
    package = store.load_package("some-pkg")
    assert package is not None
    assert (package.project.version, package.serial) == ("2.0", 11)
    store.record_checks([check("Some.Pkg", serial=10)])
    row = store.project("some-pkg")
    assert row is not None
    assert (row.serial, row.classifiers) == (11, PLONE)


def test_answers_of_one_batch_are_taken_in_order(store: Store) -> None:
    batch = [facts("1.0"), facts("1.0", name="b"), facts("2.0", "1.0", serial=12), facts("1.0", serial=11)]
    assert store.save_packages(batch) == [1, 1, 2, 2]
    assert dict(store.iter_serials()) == {"b": 10, "some-pkg": 12}


def test_the_former_latest_release_keeps_its_metadata(store: Store) -> None:
    """Else each new release would cost a request for the one before."""
    store.save_packages([facts("1.0")])
    assert store.stored_versions("some-pkg") == {"1.0": StoredVersion(False, 10)}
    store.save_packages([facts("2.0", "1.0", serial=11)])
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {"1.0": metadata("1.0")}
    assert store.stored_versions("some-pkg") == {
        "2.0": StoredVersion(False, 11),
        "1.0": StoredVersion(False, 10),
    }


def test_metadata_of_the_latest_release_is_stored_once(store: Store) -> None:
    store.save_packages([facts("1.0", releases={"1.0": metadata("1.0")})])
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {}
    assert package.project.metadata == metadata("1.0")


def test_partial_releases_tell_when_they_were_asked_for(store: Store) -> None:
    store.save_packages([facts("2.0", "1.0", releases={"1.0": None})])
    assert store.stored_versions("some-pkg")["1.0"] == StoredVersion(True, 10)
    assert store.status().partial_releases == 1
    assert store.save_packages([facts("2.0", "1.0", serial=11, releases={"1.0": None})]) == [2]
    assert store.stored_versions("some-pkg")["1.0"] == StoredVersion(True, 11)
    assert store.save_packages([facts("2.0", "1.0", serial=11, releases={"1.0": metadata("1.0")})]) == [3]
    assert store.stored_versions("some-pkg")["1.0"] == StoredVersion(False, 11)
    assert store.status().partial_releases == 0


def test_asking_again_for_a_partial_release_changes_nothing_else(store: Store) -> None:
    given = facts("2.0", "1.0", releases={"1.0": None})
    assert [store.save_packages([given])[0] for _ in range(2)] == [1, 1]


def test_a_404_does_not_take_away_what_a_release_said(store: Store) -> None:
    store.save_packages([facts("2.0", "1.0", releases={"1.0": metadata("1.0")})])
    assert store.save_packages([facts("2.0", "1.0", releases={"1.0": None})]) == [1]
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {"1.0": metadata("1.0")}


def test_the_latest_release_that_turned_partial_keeps_its_metadata(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.save_packages([facts("2.0", "1.0", serial=11, releases={"1.0": None})])
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {"1.0": metadata("1.0")}


def test_releases_that_are_not_listed_are_not_kept(store: Store) -> None:
    store.save_packages([facts("3.0", "2.0", "1.0", releases={"1.0": metadata("1.0"), "2.0": None})])
    store.save_packages([facts("3.0", serial=11, releases={"0.9": metadata("0.9")})])
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {}
    assert kinds(store) == [("created", "3.0"), ("removed", "2.0"), ("removed", "1.0")]


def test_an_answer_without_releases_takes_none_away(store: Store) -> None:
    """PyPI calls `releases` deprecated: the day it vanishes must not empty the index."""
    store.save_packages([facts("2.0", "1.0", releases={"1.0": metadata("1.0")})])
    store.save_packages([facts("3.0", serial=11, listed=False)])
    package = store.load_package("some-pkg")
    assert package is not None
    assert set(package.project.files or {}) == {"1.0", "2.0", "3.0"}
    assert set(package.releases) == {"1.0", "2.0"}
    assert ("removed", "1.0") not in kinds(store)
    store.save_packages([facts("1.0", name="new", listed=False)])
    new = store.load_package("new")
    assert new is not None
    assert new.project.files is None


def test_two_spellings_of_a_version_are_two_releases(store: Store) -> None:
    given = {"0.12.1": metadata("0.12.1"), "0.12.01": metadata("0.12.01")}
    store.save_packages([facts("1.0", "0.12.1", "0.12.01", releases=given)])
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == given


def test_a_check_of_a_package_keeps_its_facts(store: Store) -> None:
    """A crawl of another profile must not lose what this one knows."""
    store.save_packages([facts("1.0")])
    store.record_checks([check("Some.Pkg", serial=12)])
    package = store.load_package("some-pkg")
    assert package is not None
    assert (package.serial, package.revision, package.classifiers) == (10, 2, ("Topic :: Utilities",))
    assert package.project == project("1.0")
    assert kinds(store)[-1] == ("reclassified", None)
    store.record_checks([check("Some.Pkg", serial=13)])
    assert store.revisions(["some-pkg", "unknown"]) == {"some-pkg": 2}


def test_a_package_without_releases_keeps_its_classifiers(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.record_checks([check("Some.Pkg", serial=12, classifiers=(), status="empty")])
    row = store.project("some-pkg")
    assert row is not None
    assert (row.status, row.classifiers, row.serial, row.revision) == ("empty", PLONE, 12, 2)
    assert store.events()[-1].kind == "emptied"
    assert store.save_packages([facts("1.0", serial=13)]) == [3]
    row = store.project("some-pkg")
    assert row is not None
    assert row.status == "active"


def test_projects_that_never_were_members_have_revision_0(store: Store) -> None:
    store.record_checks([check("a"), check("b", status="empty", classifiers=())])
    store.record_checks([check("a", serial=11, classifiers=("Topic :: Internet",))])
    assert store.revisions(["a", "b"]) == {"a": 0, "b": 0}
    assert store.events() == []


def test_one_unstorable_element_leaves_the_whole_call_unwritten(store: Store) -> None:
    bad = [check("a"), check("b", serial=2**63)]
    with pytest.raises(UnstorableError):
        store.record_checks(bad)
    with pytest.raises(UnstorableError):
        store.record_checks([check("a"), check("b", classifiers=("\ud800",))])
    with pytest.raises(UnstorableError):
        store.save_packages([facts("1.0"), facts("1.0", name="bad\ud800")])
    with pytest.raises(UnstorableError):
        store.save_packages([facts("1.0"), facts("1.0\ud800", name="bad")])
    assert list(store.iter_serials()) == []
    assert store.events() == []


def test_nothing_to_write_is_no_error(store: Store) -> None:
    store.record_checks([])
    assert store.save_packages([]) == []
    store.record_failures([])
    store.clear_failures([])
    store.begin_index("plone", [])
    store.finish_index("plone", [])
    store.forget_indexed("plone", [])


def test_a_thousand_packages_in_one_call(store: Store) -> None:
    names = [f"pkg-{number:04}" for number in range(1100)]
    assert store.save_packages([facts("1.0", name=name) for name in names]) == [1] * 1100
    assert [package.normalized_name for package in store.load_packages([*names, "unknown"])] == names
    assert [name for name, _ in store.iter_serials()] == names


def test_latest_records_come_in_the_order_asked_for_without_the_releases(store: Store) -> None:
    store.save_packages([facts("2", "1", name="One"), facts("3", name="Two")])
    store.record_checks([check("Three")])
    found = list(store.latest_records(["two", "three", "unknown", "one"]))
    assert [(record.name, record.version) for record in found] == [("Two", "3"), ("One", "2")]
    assert found[1].metadata.summary == "Summary of 2"
