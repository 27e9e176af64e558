"""Work lists: what fails here leaves packages unfetched or unindexed, unnoticed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import Store, part

from .samples import check, facts, metadata

PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))
DJANGO = Profile(key="django", name="Django", classifiers=("Framework :: Django",))
EVERYTHING = Profile(key="all", name="All", classifiers=("*",))


@pytest.fixture(params=[1, 2, 5000])
def _page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams must not depend on where a page ends."""
    monkeypatch.setattr(part, "PAGE", request.param)


@pytest.mark.usefixtures("_page")
def test_serials_come_in_code_point_order(store: Store) -> None:
    names = ["a", "a-b", "a0", "aa", "b", "z", "é", "\U0001f40d"]
    store.record_checks([check(name, serial=number) for number, name in enumerate(names)])
    assert list(store.iter_serials()) == [(name, number) for number, name in enumerate(sorted(names))]


@pytest.mark.usefixtures("_page")
def test_candidates_are_matching_projects_without_records(store: Store) -> None:
    plone = ("Framework :: Plone :: 6.0",)
    store.record_checks(
        [
            check("a", classifiers=plone),
            check("b", classifiers=("Framework :: Plone Addon",)),
            check("c", classifiers=plone, status="empty"),
            check("d", classifiers=("Topic :: Utilities", *plone)),
            check("plone-x", classifiers=()),
        ]
    )
    store.save_packages([facts("1.0")])
    assert list(store.candidates(PROFILE, None)) == ["a", "d"]
    by_name = Profile(key="p", name="P", classifiers=PROFILE.classifiers, include=("plone*",), exclude=("d",))
    assert list(store.candidates(by_name, None)) == ["a", "plone-x"]
    everything = Profile(key="all", name="All", classifiers=("*",))
    assert list(store.candidates(everything, None)) == ["a", "b", "d", "plone-x"]


def test_candidates_lack_wanted_releases(store: Store) -> None:
    store.save_packages([facts("3.0", "2.0", "1.0", releases={"2.0": None})])
    wanted: list[int | None] = [1, 2, 3, None]
    assert [list(store.candidates(PROFILE, releases)) for releases in wanted] == [
        [],
        [],
        ["some-pkg"],
        ["some-pkg"],
    ]
    store.save_packages([facts("3.0", "2.0", "1.0", releases={"1.0": metadata("1.0")})])
    assert [list(store.candidates(PROFILE, releases)) for releases in (1, 3, 30, None)] == [[]] * 4


def test_a_hole_in_the_releases_is_a_lack(store: Store) -> None:
    store.save_packages([facts("3.0", "2.0", "1.0", releases={"1.0": metadata("1.0")})])
    assert list(store.candidates(PROFILE, 1)) == []
    assert list(store.candidates(PROFILE, 2)) == ["some-pkg"]


def test_a_package_checked_by_another_crawl_is_fetched_again(store: Store) -> None:
    """A crawl of django sees plone's package at serial 12 and keeps only its classifiers: the serial is then
    that of the index, but the records are not."""
    store.save_packages([facts("1.0", serial=10)])
    store.record_checks([check("Some.Pkg", serial=12, classifiers=("Framework :: Plone",))])
    assert dict(store.iter_serials()) == {"some-pkg": 12}
    assert list(store.candidates(PROFILE, 1)) == ["some-pkg"]
    store.save_packages([facts("1.0", serial=12)])
    assert list(store.candidates(PROFILE, 1)) == []


@pytest.mark.usefixtures("_page")
def test_members_are_packages_that_match(store: Store) -> None:
    store.record_checks([check("a", classifiers=("Framework :: Plone",))])
    store.save_packages(
        [facts("1.0"), facts("1.0", name="d", classifiers=("Framework :: Django",)), facts("1.0", name="e")]
    )
    assert list(store.members(PROFILE)) == ["e", "some-pkg"]
    assert list(store.members(DJANGO)) == ["d"]
    assert list(store.members(Profile(key="n", name="N", include=("s*",)))) == ["some-pkg"]


@pytest.mark.usefixtures("_page")
def test_dirty_is_what_the_collection_does_not_show(store: Store) -> None:
    names = ["current", "never-sent", "left", "old", "sending", "other"]
    store.save_packages([facts("1.0", name=name) for name in names[:-1]])
    store.save_packages([facts("1.0", name="other", classifiers=("Framework :: Django",))])
    store.finish_index("plone", [(name, 1, {}) for name in ("current", "left", "old", "sending")])
    store.finish_index("elsewhere", [("never-sent", 1, {})])
    store.save_packages([facts("2.0", "1.0", name="old", serial=11)])
    store.save_packages([facts("1.0", name="left", serial=11, classifiers=())])
    store.begin_index("plone", [("sending", ["sending==1.0"])])
    assert list(store.dirty("plone", PROFILE)) == ["left", "never-sent", "old", "sending"]
    store.finish_index("plone", [("old", 2, {}), ("sending", 1, {}), ("never-sent", 1, {})])
    store.forget_indexed("plone", ["left"])
    assert list(store.dirty("plone", PROFILE)) == []
    assert list(store.dirty("django", DJANGO)) == ["other"]


def test_a_million_projects_are_small_and_streamed(store: Store, url: str) -> None:
    """PyPI has 886,000: 200 bytes more of each, on disk or in memory, would be 180 MB."""
    count = 20_000 if url.startswith("sqlite") else 5000
    sets = [tuple(f"Topic :: {(start * 7 + number) % 800}" for number in range(10)) for start in range(4000)]
    for first in range(0, count, 5000):
        store.record_checks(
            [
                check(
                    f"Some.Project-{number:06}", serial=30_000_000 + number, classifiers=sets[number % 4000]
                )
                for number in range(first, first + 5000)
            ]
        )
    store.close()  # the log goes into the file
    if url.startswith("sqlite"):
        assert Path(url.removeprefix("sqlite:///")).stat().st_size / count < 140
    with Store(url) as again:
        tracemalloc.start()
        assert sum(1 for _ in again.iter_serials()) == count
        assert sum(1 for _ in again.candidates(PROFILE, None)) == 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_streams_do_not_hold_a_transaction(store: Store, url: str) -> None:
    """A crawl of hours reads such a stream: in one transaction, SQLite's log would grow all the while."""
    store.record_checks([check(f"p{number}") for number in range(20)])
    stream = store.iter_serials()
    next(stream)
    with Store(url) as other:
        other.record_checks([check("new")])
    assert dict(store.iter_serials())["new"] == 10
    assert list(stream)[-1] == ("p9", 10)


PROFILES = (
    PROFILE,
    replace(DJANGO, releases=1),
    Profile(key="n", name="N", include=("s*", "x9"), exclude=("skipped",), classifiers=("Topic :: 300",)),
    Profile(key="none", name="None", classifiers=("Nobody :: Has This",)),
)


@pytest.mark.usefixtures("_page")
def test_a_survey_finds_what_each_profile_would_find_by_itself(store: Store) -> None:
    """Else a crawl of many profiles forgets packages that a crawl of one would fetch, or fetches too many."""
    many = tuple(f"Topic :: {number}" for number in range(400))  # numbers of one byte and of two
    store.record_checks(
        [check(f"t{number}", classifiers=many[number : number + 3]) for number in range(0, 400, 7)]
    )
    store.record_checks(
        [
            check("a", classifiers=("Framework :: Plone",)),
            check("gone", classifiers=("Framework :: Plone",)),
            check("scarce", classifiers=("Framework :: Plone",), status="empty"),
            check("skipped", classifiers=("Topic :: 300", "Framework :: Django :: 5.0")),
            check("x9", classifiers=()),
        ]
    )
    store.save_packages([facts("3.0", "2.0", name="d", classifiers=("Framework :: Django",))])
    store.save_packages([facts("1.0", name="old", serial=10), facts("1.0", name="whole")])
    store.record_checks([check("old", serial=12, classifiers=("Framework :: Plone",))])
    store.record_checks([check("gone", serial=12, classifiers=(), status="vanished")])
    for profiles in (*((profile,) for profile in PROFILES), PROFILES, (EVERYTHING,)):
        survey = store.survey(profiles)
        assert list(survey) == list(store.iter_serials())
        assert survey.members == {name for profile in profiles for name in store.members(profile)}
        wanted = {name for profile in profiles for name in store.candidates(profile, profile.releases)}
        assert survey.wanted == wanted


@pytest.mark.usefixtures("_page")
def test_a_survey_knows_a_name_when_it_comes_to_it(store: Store) -> None:
    """The work list asks as soon as it has read the name."""
    store.record_checks([check(name, classifiers=("Framework :: Plone",)) for name in "abc"])
    survey = store.survey([PROFILE])
    for name, _ in survey:
        assert name in survey.wanted
