"""The work list is the queue after a crash and the increment after a day: a name it forgets is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.sync.work_list import differences, work_list

names = st.text(alphabet="abc-1", min_size=1, max_size=4)
serials = st.dictionaries(names, st.integers(0, 5), max_size=30)


def by_name(values: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(values.items())


@given(index=serials, stored=serials)
def test_differences_are_exactly_the_names_whose_serial_is_not_stored(
    index: dict[str, int], stored: dict[str, int]
) -> None:
    merged = differences(((n, s, p) for p, (n, s) in enumerate(by_name(index))), by_name(stored))
    expected = [(n, s, p, stored.get(n) != s) for p, (n, s) in enumerate(by_name(index))]
    assert list(merged) == expected


@given(index=serials, stored=serials, members=st.sets(names), wanted=st.sets(names))
def test_every_difference_is_in_the_list_once(
    index: dict[str, int], stored: dict[str, int], members: set[str], wanted: set[str]
) -> None:
    listed = by_name(index)
    work = work_list(
        ((n, s, p) for p, (n, s) in enumerate(listed)),
        by_name(stored),
        members=members,
        wanted=wanted,
        hinted=lambda name: name.startswith("a"),
    )
    places = list(work)
    expected = {p for p, (n, s) in enumerate(listed) if stored.get(n) != s or n in wanted}
    assert set(places) == expected
    assert len(places) == len(expected) == len(work)
    assert work.listed == len(listed)


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


def test_a_name_that_only_the_store_has_is_not_work() -> None:
    work = work_list([("b", 1, 0)], [("a", 1), ("b", 1), ("c", 1)], members=(), wanted=(), hinted=bool)
    assert len(work) == 0


def test_selected_narrows_the_names() -> None:
    index = [("plone-api", 1, 0), ("zope", 1, 9)]
    work = work_list(
        index, [], members=(), wanted=(), hinted=lambda name: False, selected=lambda name: "plone" in name
    )
    assert list(work) == [0]
