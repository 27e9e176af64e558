"""The work list is the queue after a crash and the increment after a day: a name it forgets is lost."""

from __future__ import annotations

from collections.abc import Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.sync.work_list import differences, work_list

names = st.text(alphabet="abc-1", min_size=1, max_size=4)
serials = st.dictionaries(names, st.integers(0, 5), max_size=30)


def by_name(values: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(values.items())


def listed(values: dict[str, int]) -> list[tuple[str, int, int]]:
    """An index whose places are 0, 1, 2 ..."""
    return [(name, serial, place) for place, (name, serial) in enumerate(by_name(values))]


@given(index=serials, stored=serials)
def test_what_differs_are_exactly_the_names_whose_serial_was_not_received(
    index: dict[str, int], stored: dict[str, int]
) -> None:
    unlisted: list[tuple[str, int]] = []
    merged = differences(listed(index), by_name(stored), lambda name, serial: unlisted.append((name, serial)))
    assert list(merged) == [
        (name, serial, place, stored.get(name, -2) < serial) for name, serial, place in listed(index)
    ]
    assert unlisted == [(name, serial) for name, serial in by_name(stored) if name not in index]


def test_unlisted_names_need_not_be_asked_for() -> None:
    assert list(differences([("b", 1, 0)], [("a", 1), ("c", 1)])) == [("b", 1, 0, True)]


def test_what_a_feed_hastened_is_not_fetched_again_because_the_index_is_older() -> None:
    assert list(differences([("a", 5, 0)], [("a", 7)])) == [("a", 5, 0, False)]


@pytest.mark.parametrize("stored", [0, 7])
def test_a_project_that_the_index_gives_no_serial_is_fetched_each_time(stored: int) -> None:
    assert list(differences([("a", -1, 0)], [("a", stored)])) == [("a", -1, 0, True)]


def test_a_package_that_vanished_differs_as_soon_as_it_is_listed() -> None:
    assert list(differences([("a", 7, 0)], [("a", -2)])) == [("a", 7, 0, True)]


@given(index=serials, stored=serials, members=st.sets(names), wanted=st.sets(names), full=st.booleans())
def test_every_difference_is_in_the_list_once(
    index: dict[str, int], stored: dict[str, int], members: set[str], wanted: set[str], full: bool
) -> None:
    work = work_list(
        listed(index),
        by_name(stored),
        members=members,
        wanted=wanted,
        hinted=lambda name: name.startswith("a"),
        full=full,
    )
    places = list(work)
    expected = {p for n, s, p in listed(index) if stored.get(n, -2) < s or n in wanted or full}
    assert set(places) == expected
    assert len(places) == len(expected) == len(work)
    assert work.listed == len(index)


def test_members_come_first_then_hinted_names_then_the_rest() -> None:
    index = [("alpha", 1, 0), ("hint-one", 1, 10), ("member", 1, 20), ("omega", 1, 30), ("wanted", 1, 40)]
    work = work_list(
        index,
        [("wanted", 1)],
        members={"member"},
        wanted={"wanted"},
        hinted=lambda name: name.startswith("hint"),
    )
    assert list(work) == [20, 40, 10, 0, 30]


def test_what_failed_comes_last_among_its_like() -> None:
    """Broken projects that stand next to each other must not take the first places in every run."""
    index = [
        ("alpha", 1, 0),
        ("hint-a", 1, 10),
        ("hint-b", 1, 20),
        ("m-a", 1, 30),
        ("m-b", 1, 40),
        ("x", 1, 50),
    ]
    work = work_list(
        index,
        [],
        members={"m-a", "m-b"},
        wanted=(),
        failed={"alpha", "hint-a", "m-a"},
        hinted=lambda name: name.startswith("hint"),
    )
    assert list(work) == [40, 30, 20, 10, 50, 0]


def test_what_failed_is_asked_again_though_its_serial_is_stored() -> None:
    """Nothing else would ever end its failure."""
    index = [("a", 1, 0), ("b", 1, 10), ("m", 1, 20)]
    work = work_list(
        index,
        [("a", 1), ("b", 1), ("m", 1)],
        members={"m"},
        wanted=(),
        failed={"a", "m"},
        hinted=lambda name: False,
    )
    assert list(work) == [20, 0]


def test_what_was_asked_for_by_name_comes_before_all_others_though_it_is_up_to_date() -> None:
    index = [("a", 1, 0), ("b", 1, 10), ("c", 1, 20), ("d", 1, 30), ("e", 1, 40)]
    work = work_list(
        index,
        [("b", 1), ("d", 1), ("e", 1)],
        members={"c"},
        wanted=(),
        queued={"a", "b", "d", "not-listed"},
        failed={"a"},
        hinted=lambda name: False,
        selected=lambda name: name != "d",
    )
    assert list(work) == [10, 0, 20]
    assert list(work.queued) == [10, 0]
    assert len(work) == 3


class TestUnlisted:
    """What only the store has is no work; the rules for removal decide about it."""

    stored = (("a", 3), ("b", 1), ("c", 9))

    def unlisted(
        self, *, packages: Container[str], last_serial: int | None = None, substring: str = ""
    ) -> dict[str, int]:
        work = work_list(
            [("b", 1, 0)],
            self.stored,
            members=(),
            wanted=(),
            packages=packages,
            last_serial=last_serial,
            hinted=lambda name: False,
            selected=lambda name: substring in name,
        )
        assert len(work) == 0
        return work.unlisted

    def test_packages_are_named_with_the_serial_stored(self) -> None:
        assert self.unlisted(packages={"a", "b", "c"}) == {"a": 3, "c": 9}

    def test_projects_that_never_belonged_to_a_profile_are_not(self) -> None:
        assert self.unlisted(packages={"c"}) == {"c": 9}
        assert self.unlisted(packages=()) == {}

    def test_an_index_says_nothing_about_what_came_after_it(self) -> None:
        """A feed hastened the fetch of a new project; PyPI's index is up to 35 minutes old."""
        assert self.unlisted(packages={"a", "c"}, last_serial=8) == {"a": 3}
        assert self.unlisted(packages={"a", "c"}, last_serial=9) == {"a": 3, "c": 9}

    def test_only_selected_names_are_doubted(self) -> None:
        assert self.unlisted(packages={"a", "c"}, substring="c") == {"c": 9}


def test_selected_narrows_the_names() -> None:
    index = [("plone-api", 1, 0), ("zope", 1, 9)]
    work = work_list(
        index, [], members=(), wanted=(), hinted=lambda name: False, selected=lambda name: "plone" in name
    )
    assert list(work) == [0]
