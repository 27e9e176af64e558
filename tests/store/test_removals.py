"""Packages that are gone: what fails here keeps malware searchable, or forgets what was only away."""

from __future__ import annotations

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import UNLISTED_SERIAL, Standing, Store, StoredVersion

from .samples import PLONE, check, facts, gone, metadata, project, verified

PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))


def kinds(store: Store, since: int = 0) -> list[tuple[str, str | None]]:
    return [(event.kind, event.version) for event in store.events(since=since)]


def status(store: Store, name: str) -> str:
    row = store.project(name)
    assert row is not None
    return row.status


def test_a_vanished_package_leaves_the_index_and_keeps_its_facts(store: Store) -> None:
    given = facts("2.0", "1.0", releases={"1.0": metadata("1.0")})
    store.save_packages([given])
    store.finish_index("plone", [("some-pkg", 1, {"some-pkg==2.0": b"12345678"})])
    assert list(store.dirty("plone", PROFILE)) == []
    assert None not in store.record_checks([gone("Some.Pkg")])
    assert list(store.dirty("plone", PROFILE)) == ["some-pkg"]
    assert store.status("plone", PROFILE).dirty == 1
    assert list(store.members(PROFILE)) == list(store.candidates(PROFILE, None)) == []
    package = store.load_package("some-pkg")
    assert package is not None
    assert (package.project, package.releases) == (given.project, {"1.0": metadata("1.0")})
    assert (package.status, package.classifiers, package.revision) == ("vanished", PLONE, 2)
    assert kinds(store, since=1) == [("vanished", None)]
    store.forget_indexed("plone", ["some-pkg"])
    assert list(store.dirty("plone", PROFILE)) == []


def test_it_differs_when_it_is_listed_again_even_at_its_serial(store: Store) -> None:
    """Two 404s may have been wrong: no new serial would ever bring the package back."""
    store.save_packages([facts("1.0", name=name) for name in "abc"])
    store.record_checks([gone("a"), gone("b")])
    store.bury(["a"], 5000)
    assert dict(store.iter_serials()) == {"a": UNLISTED_SERIAL, "b": UNLISTED_SERIAL, "c": 10}
    assert store.status().max_serial == 10
    assert store.status().with_serial == 3


def test_only_what_vanished_is_buried(store: Store) -> None:
    names = ["active", "empty", "removed", "vanished", "returned"]
    store.save_packages([facts("1.0", name=name) for name in names])
    store.record_checks([check("empty", status="empty"), gone("removed"), gone("vanished"), gone("returned")])
    store.bury(["removed"], 4000)
    store.save_packages([facts("1.0", name="returned", promised=10)])
    before = store.events()[-1].seq
    assert store.bury([*names, "unknown", "vanished"], 5000) == 1
    assert [(event.kind, event.normalized_name, event.at) for event in store.events(since=before)] == [
        ("removed", "vanished", 5000)
    ]
    assert [status(store, name) for name in names] == ["active", "empty", "removed", "removed", "active"]
    assert store.bury([], 5000) == 0


def test_burying_sends_nothing(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.record_checks([gone("Some.Pkg")])
    before = store.revisions(["some-pkg"])
    store.bury(["some-pkg"], 5000)
    assert store.revisions(["some-pkg"]) == before
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.project == project("1.0")


def test_tombstones_are_not_asked_about_again(store: Store) -> None:
    store.save_packages([facts("1.0", name=name) for name in ("active", "empty", "vanished", "removed")])
    store.record_checks([check("checked"), check("empty", status="empty"), gone("vanished"), gone("removed")])
    store.bury(["removed"], 5000)
    assert store.package_names() == {"active", "empty", "vanished"}


def test_since_when_it_is_gone_is_not_moved_by_asking_again(store: Store) -> None:
    """Else the second index would never come 40 minutes after the first, and no tombstone would be made."""
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    store.record_checks([gone("a", at=2000), gone("b", at=2000), gone("never-a-package", at=2500)])
    assert None not in store.record_checks([gone("a", at=3000)])
    assert store.vanished() == {"a": 2000, "b": 2000, "never-a-package": 2500}
    assert kinds(store, since=2) == [("vanished", None)] * 2
    assert store.revisions(["a"]) == {"a": 2}
    store.bury(["b"], 5000)
    assert None not in store.record_checks([gone("b", at=6000)])
    assert store.vanished() == {"a": 2000, "never-a-package": 2500}
    assert status(store, "b") == "removed"


def test_newer_facts_are_not_taken_for_gone(store: Store) -> None:
    """The feeds brought a release while another crawl still had the 404 of before it."""
    store.save_packages([facts("1.0", serial=11)])
    assert store.record_checks([gone("Some.Pkg", serial=10)]) == [None]
    assert status(store, "some-pkg") == "active"


def test_a_name_that_never_was_a_package_is_gone_without_a_word(store: Store) -> None:
    store.record_checks([check("known"), gone("known"), gone("new")])
    assert store.events() == []
    assert store.revisions(["known", "new"]) == {"known": 0, "new": 0}
    assert dict(store.iter_serials()) == {"known": UNLISTED_SERIAL, "new": UNLISTED_SERIAL}
    assert store.bury(["known", "new"], 5000) == 2
    assert store.events() == []
    store.save_packages([facts("1.0", name="new", serial=11)])
    assert kinds(store) == [("created", "1.0")]


def test_a_package_that_is_back_is_a_member_again(store: Store) -> None:
    """By an answer of the same serial, if an index lists it, and as a tombstone, too."""
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    store.finish_index("plone", [(name, 1, {f"{name}==1.0": b"12345678"}) for name in "ab"])
    store.record_checks([gone("a"), gone("b")])
    store.bury(["b"], 5000)
    store.forget_indexed("plone", "ab")
    before = store.events()[-1].seq
    assert store.save_packages([facts("1.0", name=name, at=6000, promised=10) for name in "ab"]) == [3, 3]
    assert kinds(store, since=before) == [("returned", None)] * 2
    assert list(store.members(PROFILE)) == list(store.dirty("plone", PROFILE)) == ["a", "b"]
    assert dict(store.iter_serials()) == {"a": 10, "b": 10}
    assert store.vanished() == {}
    assert store.package_names() == {"a", "b"}
    assert store.save_packages([facts("1.0", name="a", at=6000)]) == [3]


def test_a_package_back_before_its_documents_went_is_sent_again(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.finish_index("plone", [("some-pkg", 1, {"some-pkg==1.0": b"12345678"})])
    store.record_checks([gone("Some.Pkg")])
    store.save_packages([facts("1.0", promised=10)])
    assert list(store.dirty("plone", PROFILE)) == ["some-pkg"]


def test_an_answer_read_before_it_vanished_brings_nothing_back(store: Store) -> None:
    """One crawl was still fetching its releases when another one proved that it is gone: malware, perhaps."""
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    store.record_checks([gone("a"), gone("b")])
    assert store.save_packages([facts("1.0", name="a")]) == [2]
    assert store.record_checks([check("b", classifiers=PLONE)]) == [None]
    assert [status(store, name) for name in "ab"] == ["vanished", "vanished"]
    assert store.vanished() == {"a": 2000, "b": 2000}


def test_an_older_answer_brings_nothing_back(store: Store) -> None:
    store.save_packages([facts("1.0", serial=10)])
    store.record_checks([gone("Some.Pkg", serial=12)])
    assert store.save_packages([facts("1.0", serial=11)]) == [2]
    assert store.record_checks([check("Some.Pkg", serial=11)]) == [None]
    assert status(store, "some-pkg") == "vanished"


def test_a_package_that_is_back_tells_what_changed_meanwhile(store: Store) -> None:
    store.save_packages([facts("1.0", name=name) for name in "abcd"])
    store.record_checks([gone(name) for name in "abcd"])
    before = store.events()[-1].seq
    store.save_packages([facts("2.0", name="a", serial=11)])
    store.record_checks([check("b", serial=11, classifiers=()), check("c", serial=11, classifiers=PLONE)])
    store.record_checks([check("d", serial=11, classifiers=(), status="empty")])
    assert [(e.normalized_name, e.kind, e.version) for e in store.events(since=before)] == [
        ("a", "returned", None),
        ("a", "released", "2.0"),
        ("a", "removed", "1.0"),
        ("b", "returned", None),
        ("b", "reclassified", None),
        ("c", "returned", None),
        ("d", "returned", None),
        ("d", "emptied", None),
    ]
    assert store.revisions("abcd") == dict.fromkeys("abcd", 3)
    row = store.project("d")
    assert row is not None
    assert row.classifiers == PLONE
    store.record_checks([gone("d", serial=12)])
    assert store.events()[-1].kind == "vanished"


def test_a_package_with_releases_again_is_filled(store: Store) -> None:
    """At the same serial, too: else the index would keep what it has, nothing."""
    store.save_packages([facts("1.0", name=name) for name in "ab"])
    store.record_checks([check(name, classifiers=(), status="empty") for name in "ab"])
    store.finish_index("plone", [("a", 2, {})])
    before = store.events()[-1].seq
    assert store.save_packages([facts("1.0", name="a")]) == [3]
    store.record_checks([check("b", serial=11, classifiers=())])
    assert list(store.dirty("plone", PROFILE)) == ["a"]
    assert kinds(store, since=before) == [("filled", None), ("filled", None), ("reclassified", None)]


def test_what_was_known_of_the_page_is_forgotten_with_it(store: Store) -> None:
    """A package that left quarantine must not be shown as quarantined until the next refresh."""
    store.save_packages([facts("1.0", name=name, uploaded=100) for name in "abc"])
    store.save_verified([verified(name, "quarantined", "malware") for name in "abc"])
    store.record_checks([gone(name) for name in "abc"])
    assert {standing.status for standing in store.standings("abc").values()} == {"quarantined"}
    store.save_packages([facts("1.0", name="a", serial=11, uploaded=100)])
    store.record_checks([check("b", serial=11)])
    found = store.standings("abc")
    assert [found["a"], found["b"]] == [Standing("a"), Standing("b")]
    assert found["c"].status == "quarantined"


def test_a_name_of_another_project_is_flagged(store: Store) -> None:
    """Somebody else registered it: neither health nor releases of the one before are its own (rule R5)."""
    old = {"1.0": metadata("1.0"), "1.1": None}
    store.save_packages([facts("2.0", "1.1", "1.0", releases=old, uploaded=100, owner="ann")])
    store.save_verified([verified("some-pkg", "archived")])
    store.record_checks([gone("Some.Pkg")])
    before = store.events()[-1].seq
    revision = store.revisions(["some-pkg"])["some-pkg"]
    again = facts("2.0", "1.0", serial=11, at=9000, uploaded=200, owner="eve")
    assert store.save_packages([again]) == [revision + 1]
    assert kinds(store, since=before) == [("recreated", None), ("removed", "1.1")]
    package = store.load_package("some-pkg")
    assert package is not None
    assert package.releases == {}, "not what the other project's 1.0 said"
    assert package.standing == Standing("some-pkg", recreated_at=9000)
    assert store.stored_versions("some-pkg") == {"2.0": StoredVersion(False, 11)}
    assert list(store.candidates(PROFILE, 1)) == []
    assert list(store.candidates(PROFILE, 2)) == ["some-pkg"], "its 1.0 is fetched"
    store.save_packages([facts("3.0", "2.0", serial=12, uploaded=200, owner="eve")])
    store.save_verified([verified("some-pkg", "active")])
    assert kinds(store)[-2:] == [("released", "3.0"), ("removed", "1.0")]
    assert store.standings(["some-pkg"])["some-pkg"].recreated_at == 9000


def test_a_recreated_package_keeps_the_releases_fetched_with_it(store: Store) -> None:
    old = {"1.0": metadata("1.0"), "1.1": metadata("1.1")}
    store.save_packages([facts("2.0", "1.1", "1.0", releases=old, uploaded=100)])
    other = metadata("1.0", name="Other")
    given = {"1.0": other, "1.1": None, "2.0": None}
    store.save_packages([facts("2.0", "1.1", "1.0", serial=11, releases=given, uploaded=200)])
    package = store.load_package("some-pkg")
    assert package is not None
    assert (package.releases["1.0"], package.releases["1.1"]) == (other, None)
    assert store.stored_versions("some-pkg")["1.1"] == StoredVersion(True, 11)
    assert list(store.candidates(PROFILE, None)) == []


def test_a_name_may_change_hands_between_two_looks(store: Store) -> None:
    """It was never seen as gone; but not one file is left, and all there are came later."""
    store.save_packages([facts("1.0", name=name, uploaded=100, owner="ann") for name in ("active", "empty")])
    store.record_checks([check("empty", status="empty")])
    before = store.events()[-1].seq
    again = [facts("0.1", name=n, serial=11, uploaded=200, owner="eve") for n in ("active", "empty")]
    store.save_packages(again)
    found = [(event.kind, event.version) for event in store.events(since=before)]
    assert found == [("recreated", None), ("released", "0.1"), ("removed", "1.0")] * 2


def test_a_new_owner_alone_is_no_other_project(store: Store) -> None:
    store.save_packages([facts("1.0", uploaded=100, owner="ann")])
    store.save_packages([facts("1.0", serial=11, uploaded=100, owner="eve")])
    assert store.standings(["some-pkg"])["some-pkg"].recreated_at is None
    store.record_checks([gone("Some.Pkg", serial=11)])
    store.save_packages([facts("1.0", serial=12, at=9000, uploaded=100, owner="mallory")])
    assert kinds(store)[-2:] == [("vanished", None), ("recreated", None)]
    assert store.standings(["some-pkg"])["some-pkg"].recreated_at == 9000


def test_gone_and_back_in_one_batch(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.record_checks(
        [gone("Some.Pkg"), check("Some.Pkg", classifiers=PLONE, promised=10), gone("Some.Pkg", at=2500)]
    )
    assert kinds(store, since=1) == [("vanished", None), ("returned", None), ("vanished", None)]
    assert store.vanished() == {"some-pkg": 2500}
    assert store.revisions(["some-pkg"]) == {"some-pkg": 4}
