"""Repositories that were moved: what fails here loses a package's stars, or changes it back and forth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyf_scrapy.store import Store

from .samples import facts, link, repository
from .test_enrichment import linked, package

OLD, NEW, NEWEST = "github.com/collective/a", "github.com/plone/a", "github.com/plone/b"


def test_a_package_follows_its_repository(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.save_repositories([repository(OLD, stars=5, commits=5)])
    before = store.repositories([OLD])[OLD]
    assert store.rename(OLD, NEW, 2100) == 1
    loaded = package(store)
    assert loaded.link == link("a", NEW)
    assert loaded.repository == replace(before, key=NEW)  # until it is fetched by its new name
    assert loaded.revision == 4
    assert store.save_repositories([repository(NEW, stars=6, at=2200)]) == 1


def test_one_package_names_it_by_its_old_and_one_by_its_new_name(store: Store) -> None:
    linked(store, "old", key=OLD)
    linked(store, "new", key=NEW)
    store.save_repositories([repository(OLD, stars=5), repository(NEW, stars=6, at=2050)])
    assert store.rename(OLD, NEW, 2100) == 1
    assert package(store, "old").repository == package(store, "new").repository
    assert package(store, "new").repository == repository(NEW, stars=6, at=2050)
    assert store.revisions(["old", "new"]) == {"old": 4, "new": 3}
    assert store.packages_of([OLD]) == {OLD: ["new", "old"]}
    assert store.save_repositories([repository(NEW, stars=7, at=2200)]) == 2


def test_a_link_by_the_old_name_stays_what_it_is(store: Store) -> None:
    """Each run derives the old name from the claimed URL again: no back and forth, no document sent."""
    linked(store, "a", key=OLD)
    store.rename(OLD, NEW, 2100)
    assert store.save_links([link("a", OLD, at=2200)]) == 0
    assert package(store).link == link("a", NEW, at=2200)
    store.save_packages([facts("1.0", name="b")])
    store.save_links([link("b", OLD, at=2200)])
    assert package(store, "b").link == link("b", NEW, at=2200)


def test_who_asks_by_the_old_name_sees_the_new_one(store: Store) -> None:
    """So that it is fetched once and by its present name."""
    store.rename(OLD, NEW, 2100)
    assert store.repositories([OLD]) == {}
    assert store.repository_ages([OLD, NEW]) == {}
    store.save_repositories([repository(NEW, stars=6, at=2200)])
    new = repository(NEW, stars=6, at=2200)
    assert store.repositories([OLD, NEW]) == {OLD: new, NEW: new}
    assert {key: age.key for key, age in store.repository_ages([OLD, NEW]).items()} == {OLD: NEW, NEW: NEW}


def test_moved_twice(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.save_repositories([repository(OLD, stars=5)])
    store.rename(OLD, NEW, 2100)
    store.rename(NEW, NEWEST, 2200)
    assert package(store).repository == replace(repository(OLD, stars=5), key=NEWEST)
    assert {facts.key for facts in store.repositories([OLD, NEW, NEWEST]).values()} == {NEWEST}
    assert store.save_links([link("a", OLD, at=2300)]) == 0


def test_moved_back(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.save_repositories([repository(OLD, stars=5)])
    store.rename(OLD, NEW, 2100)
    assert store.rename(NEW, OLD, 2200) == 1
    assert package(store).repository == repository(OLD, stars=5)
    assert {facts.key for facts in store.repositories([OLD, NEW]).values()} == {OLD}
    assert store.rename(OLD, NEW, 2150) == 0  # of a process that is late
    assert package(store).link == link("a", OLD)


def test_moved_back_before_it_was_fetched(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.rename(OLD, NEW, 2100)
    store.rename(NEW, OLD, 2200)
    assert package(store).link == link("a", OLD)
    assert store.save_repositories([repository(OLD, "not_found", at=2300)]) == 1  # no former name any more
    assert store.save_repositories([repository(OLD, stars=5, at=2400)]) == 1
    assert package(store).repository == repository(OLD, stars=5, at=2400)


def test_told_twice_it_happens_once(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.save_repositories([repository(OLD, stars=5)])
    assert [store.rename(OLD, NEW, at) for at in (2100, 2100, 2200)] == [1, 0, 0]
    assert store.rename(NEW, NEW, 2300) == 0
    assert package(store).repository == replace(repository(OLD, stars=5), key=NEW)


def test_the_newer_facts_stay(store: Store) -> None:
    """A 404 of before the move says nothing about the repository that is there now."""
    linked(store, "old", key=OLD)
    linked(store, "new", key=NEW)
    store.save_repositories([repository(NEW, "not_found", at=2000), repository(OLD, stars=5, at=2050)])
    assert store.rename(OLD, NEW, 2100) == 2
    for name in ("old", "new"):
        assert package(store, name).repository == replace(repository(OLD, stars=5, at=2050), key=NEW)


def test_facts_of_before_the_move_are_late(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.rename(OLD, NEW, 2100)
    assert store.save_repositories([repository(OLD, stars=4, at=2099)]) == 0
    assert store.repositories([OLD]) == {}
    store.save_repositories([repository(OLD, stars=5, at=2200)])
    assert store.rename(OLD, NEW, 2150) == 0


@pytest.mark.parametrize("state", ["not_found", "unavailable", "blocked"])
def test_an_error_under_the_old_name_does_not_part_it_from_the_new_one(store: Store, state: str) -> None:
    linked(store, "a", key=OLD)
    store.rename(OLD, NEW, 2100)
    store.save_repositories([repository(NEW, stars=5, at=2200)])
    store.save_repositories([replace(repository(OLD, at=2300), state=state)])  # type: ignore[arg-type]
    assert store.save_links([link("a", OLD, at=2400)]) == 0
    assert package(store).repository == repository(NEW, stars=5, at=2200)


def test_a_new_repository_of_the_old_name_is_another_one(store: Store) -> None:
    linked(store, "a", key=OLD)
    store.rename(OLD, NEW, 2100)
    store.save_repositories([repository(OLD, stars=0, at=2200), repository(NEW, stars=5, at=2200)])
    assert {key: facts.key for key, facts in store.repositories([OLD, NEW]).items()} == {OLD: OLD, NEW: NEW}
    assert store.save_links([link("a", OLD, at=2300)]) == 1
    assert package(store).repository == repository(OLD, stars=0, at=2200)
