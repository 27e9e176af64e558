"""A copy that is made while its source changes, cut off, resumed and followed. What fails here leaves a
second instance that shows other facts than the first, and nobody notices."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from pyf_scrapy.exceptions import ReplicationError, SourceReplacedError, UsageProblem
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replication import lines as lines_module
from pyf_scrapy.replication import source as source_module
from pyf_scrapy.replication.copying import STAGE, begin_copy
from pyf_scrapy.replication.cursors import Stage
from pyf_scrapy.replication.lines import EventLine, PageEnd, decode
from pyf_scrapy.replication.source import Source
from pyf_scrapy.store import Failure, Store
from pyf_scrapy.store.copies import CopiedProject, CopyState
from pyf_scrapy.store.records import ACTIVE
from tests.replication.histories import KEYS, NAMES, PLONE, Life, assert_same_facts, copied, facts, take, told
from tests.store import samples
from tests.store.databases import connected

URL = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few projects are many pages."""
    monkeypatch.setattr(source_module, "PAGE_LINES", 3)
    monkeypatch.setattr(source_module, "_NAMES", 5)
    monkeypatch.setattr(source_module, "_EVENTS", 7)


def of(store: Store, profile: Profile | None = None) -> Source:
    return Source(store, None if profile is None else [profile])


def brought_up_to_date(store: Store, copy: Store, profile: Profile | None = None) -> None:
    scope = None if profile is None else (profile.key,)
    state, source = begin_copy(copy, URL, scope), of(store, profile)
    cursor = source.resume(state.cursor) if state.cursor else source.begin()
    state, pages = take(copy, state, source.replicate(cursor))
    assert pages[-1].done
    assert copy.copy_state() == state


def assert_equal(store: Store, copy: Store, profile: Profile | None = None) -> None:
    copy.purge_forgotten()
    assert copied(copy).keys() == copied(store, profile).keys(), "and nothing else"
    assert_same_facts(copy, store, profile)


def cut_off_and_resumed(store: Store, copy: Store, profile: Profile | None, life: Life, times: int) -> None:
    """Read so many streams, each up to a random line, while the source changes between any two lines."""
    scope = None if profile is None else (profile.key,)
    state, source = begin_copy(copy, URL, scope), of(store, profile)
    dice = random.Random(life.serial)
    for _ in range(times):
        cursor = source.resume(state.cursor) if state.cursor else source.begin()
        lines = []
        end = dice.randint(1, 12)
        for line in source.replicate(cursor):
            lines.append(line)
            if dice.random() < 0.3:
                life.happens()
            if len(lines) >= end:
                break
        state, _ = take(copy, state, lines)


@pytest.mark.parametrize("profile", [None, PLONE], ids=["whole", "profile"])
def test_a_copy_that_is_cut_off_20_times_while_its_source_changes_equals_it(
    store: Store, copy: Store, profile: Profile | None
) -> None:
    life = Life(store, 7)
    life.happens(40)
    cut_off_and_resumed(store, copy, profile, life, 20)
    brought_up_to_date(store, copy, profile)
    assert_equal(store, copy, profile)
    if profile is None:
        assert told(copy) == told(store)


@pytest.mark.parametrize("seed", range(2))
def test_a_copy_that_follows_stays_equal(files: tuple[Store, Store], seed: int) -> None:
    """After each look at the news, whatever happened since the last one."""
    store, copy = files
    profile = (None, PLONE)[seed % 2]
    life = Life(store, seed)
    for _ in range(5):
        life.happens(15)
        brought_up_to_date(store, copy, profile)
        assert_equal(store, copy, profile)
    assert store.position().change > 0


@pytest.mark.soak
def test_many_lives_are_copied_under_interruptions(tmp_path: Path) -> None:
    from tests.soak import seed as first

    lives = 40
    for seed in range(first(), first() + lives):
        folder = tmp_path / str(seed)
        with (
            Store(f"sqlite:///{folder / 'a' / 'x'}", pypi_url="https://pypi.org") as store,
            Store(f"sqlite:///{folder / 'b' / 'x'}", pypi_url="https://pypi.org") as copy,
        ):
            profile = (None, PLONE)[seed % 2]
            life = Life(store, seed)
            life.happens(30)
            for _ in range(3):
                cut_off_and_resumed(store, copy, profile, life, 20)
                brought_up_to_date(store, copy, profile)
                assert_equal(store, copy, profile)
        shutil.rmtree(folder)
    print(f"soak: {lives} stores copied under 60 interruptions each while they changed: all equal")


def test_a_package_that_is_too_large_is_named_and_the_others_are_copied(
    files: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its copy stops there for ever. What it knew of the package stays, also when it is read anew."""
    store, copy = files
    store.save_packages([facts("1.0", name=name) for name in "abc"])
    brought_up_to_date(store, copy, PLONE)
    longest = max(map(len, of(store, PLONE).facts()))
    store.save_packages([facts("2.0", *map(str, range(50)), name="b", serial=11)])
    store.save_packages([facts("2.0", name="c", serial=12)])
    monkeypatch.setattr(lines_module, "MAX_LINE", longest + 500)
    for anew in (False, True):
        state, source = begin_copy(copy, URL, ("plone",), anew=anew), of(store, PLONE)
        cursor = source.begin() if anew else source.resume(state.cursor)
        _, pages = take(copy, state, source.replicate(cursor))
        assert [line.normalized_name for page in pages for line in page.left_out] == ["b"]
        assert pages[-1].done
        known = copied(copy).values()
        assert [(one.serial, one.status) for one in known] == [(10, ACTIVE), (10, ACTIVE), (12, ACTIVE)]
    assert max(map(len, of(store, PLONE).facts())) > longest + 500, "an export has all of it"


def test_a_package_that_was_too_large_has_not_failed_any_more_when_it_came(
    files: tuple[Store, Store],
) -> None:
    store, copy = files
    store.save_packages([facts("1.0", name="a")])
    copy.record_failures([Failure("a", STAGE, "too large", 1), Failure("a", "index", "another", 1)])
    copy.save_copy_state(CopyState(URL, "", None))
    brought_up_to_date(store, copy)
    assert [failure.stage for failure in copy.failures()] == ["index"]


def test_news_are_sent_once_and_then_nothing_is(files: tuple[Store, Store]) -> None:
    """Else following a source costs as much as copying it."""
    store, copy = files
    Life(store, 3).happens(30)
    brought_up_to_date(store, copy)
    store.save_packages([facts("7.0", name="a1", serial=900, at=99_000)])
    state = copy.copy_state()
    assert state is not None
    state, pages = take(copy, state, of(store).replicate(of(store).resume(state.cursor)))
    assert sum(page.projects for page in pages) == 1
    assert sum(page.changed for page in pages) == 1
    _, pages = take(copy, state, of(store).replicate(of(store).resume(state.cursor)))
    assert [(page.projects, page.events, page.done) for page in pages] == [(0, 0, True)]


def test_the_same_lines_again_make_nothing_dirty(files: tuple[Store, Store]) -> None:
    """A copy that is read anew must not send its whole index again."""
    store, copy = files
    Life(store, 4).happens(60)
    brought_up_to_date(store, copy)
    before = copy.revisions(NAMES)
    state, pages = take(copy, begin_copy(copy, URL, None, anew=True), of(store).replicate(of(store).begin()))
    assert sum(page.changed for page in pages) == 0
    assert copy.revisions(NAMES) == before
    assert told(copy) == told(store)
    assert state.done


def test_what_the_source_removed_goes_when_no_index_shows_it(files: tuple[Store, Store]) -> None:
    store, copy = files
    store.save_packages([facts("2.0", "1.0", name=name, releases={"1.0": None}) for name in "ab"])
    store.save_repositories([samples.repository(KEYS[0], stars=1)])
    store.save_links([samples.link("b", KEYS[0])])
    brought_up_to_date(store, copy, PLONE)
    copy.finish_index("plone", [("b", copy.revisions("b")["b"], {"b==1.0": b"x"})])
    store.save_packages([facts("2.0", name="a", serial=11)])
    store.record_checks([samples.check("b", 11)])
    brought_up_to_date(store, copy, PLONE)
    assert list(copy.load_package("a").releases) == []  # type: ignore[union-attr]
    assert list(copy.dirty("plone", PLONE)) == ["a", "b"], "its documents have to leave the index"
    assert copy.purge_forgotten() == 0
    copy.forget_indexed("plone", ["b"])
    assert copy.purge_forgotten() == 1
    assert copy.project("b") is None
    assert copy.repositories([KEYS[0]]) == {}


def test_rows_that_an_operator_deleted_vanish_with_a_copy_made_anew(files: tuple[Store, Store]) -> None:
    """Nobody noted that deletion, but a snapshot says of each range of names which there are."""
    store, copy = files
    Life(store, 5).happens(40)
    brought_up_to_date(store, copy)
    with connected(_url(store)) as connection:
        for table in ("projects", "packages", "releases", "standings", "links", "downloads"):
            connection.execute(text(f"DELETE FROM {table} WHERE normalized_name < 'c'"))  # noqa: S608
    take(copy, begin_copy(copy, URL, None, anew=True), of(store).replicate(of(store).begin()))
    assert_equal(store, copy)


def test_another_store_in_the_place_of_the_source_is_noticed(
    files: tuple[Store, Store], tmp_path: Path
) -> None:
    store, copy = files
    Life(store, 6).happens(20)
    brought_up_to_date(store, copy)
    before = copied(copy)
    with Store(f"sqlite:///{tmp_path / 'c' / 'x'}", pypi_url="https://pypi.org") as rebuilt:
        Life(rebuilt, 8).happens(20)
        state = begin_copy(copy, URL, None)
        with pytest.raises(SourceReplacedError, match="another store"):
            of(rebuilt).resume(state.cursor)
        with pytest.raises(ReplicationError, match="another store"):
            take(copy, state, of(rebuilt).replicate(of(rebuilt).begin()))
        assert copied(copy) == before
        take(copy, begin_copy(copy, URL, None, anew=True), of(rebuilt).replicate(of(rebuilt).begin()))
        assert_equal(rebuilt, copy)
        assert told(copy) == told(rebuilt)


def test_a_source_that_was_set_back_is_noticed(files: tuple[Store, Store], tmp_path: Path) -> None:
    """By its numbers, and when it has caught up with them, by its last event."""
    store, copy = files
    Life(store, 9).happens(20)
    store.backup(tmp_path / "old.sqlite")
    Life(store, 10).happens(5)
    brought_up_to_date(store, copy)
    cursor = begin_copy(copy, URL, None).cursor
    with Store(f"sqlite:///{tmp_path / 'old.sqlite'}", pypi_url="https://pypi.org") as old:
        with pytest.raises(SourceReplacedError, match="set back"):
            of(old).resume(cursor)
        Life(old, 11).happens(60)
        assert old.position() > store.position()
        with pytest.raises(SourceReplacedError, match="set back"):
            of(old).resume(cursor)


def test_a_profile_that_means_something_else_now_is_noticed(files: tuple[Store, Store]) -> None:
    """Members came or went without a change of theirs."""
    store, _ = files
    cursor = str(of(store, PLONE).begin())
    assert of(store, Profile("plone", "Other title", PLONE.classifiers)).resume(cursor)
    with pytest.raises(SourceReplacedError, match="profiles"):
        of(store, Profile("plone", "Plone", ("Framework :: Zope",))).resume(cursor)


def test_facts_of_its_own_are_not_overwritten(files: tuple[Store, Store]) -> None:
    _, copy = files
    copy.record_checks([samples.check("mine")])
    with pytest.raises(UsageProblem, match="PYF_DATA_DIR"):
        begin_copy(copy, URL, None)
    assert copy.copy_state() is None


def test_a_copy_of_something_else_is_refused(files: tuple[Store, Store]) -> None:
    store, copy = files
    brought_up_to_date(store, copy)
    for url, scope in ((f"{URL}0", None), (URL, ("plone",))):
        with pytest.raises(UsageProblem, match="is a copy of all facts"):
            begin_copy(copy, url, scope)
    state = begin_copy(copy, URL, ("plone",), anew=True)
    assert (state.cursor, copy.copy_state().scope) == ("", None), "nothing is lost before a page came"  # type: ignore[union-attr]


def test_a_source_of_another_pypi_is_refused(files: tuple[Store, Store], tmp_path: Path) -> None:
    store, _ = files
    with (
        Store(f"sqlite:///{tmp_path / 'c' / 'x'}", pypi_url="http://127.0.0.1:9") as other,
        pytest.raises(UsageProblem, match=r"set PYPI_URL=https://pypi\.org"),
    ):
        brought_up_to_date(store, other)


def test_a_copy_of_a_copy_is_refused(files: tuple[Store, Store], tmp_path: Path) -> None:
    """It would not hear of what its source forgot."""
    store, copy = files
    brought_up_to_date(store, copy)
    with (
        Store(f"sqlite:///{tmp_path / 'c' / 'x'}", pypi_url="https://pypi.org") as third,
        pytest.raises(UsageProblem, match=f"replicate {URL}"),
    ):
        brought_up_to_date(copy, third)


def test_a_page_that_was_cut_changes_nothing(files: tuple[Store, Store]) -> None:
    store, copy = files
    Life(store, 12).happens(40)
    lines = list(of(store).replicate(of(store).begin()))
    state = begin_copy(copy, URL, None)
    first = next(number for number, line in enumerate(lines) if b'"type":"page"' in line)
    for count in range(1, first + 1):
        take(copy, state, lines[:count])
    assert copied(copy) == {}
    assert copy.copy_state() == state
    take(copy, state, lines[: first + 1])
    assert len(copied(copy)) == 3


def test_events_can_be_read_again_and_are_the_same(files: tuple[Store, Store]) -> None:
    """Whoever keeps the cursor misses none and gets none twice, with or without facts."""
    store, _ = files
    life, source = Life(store, 13), of(store)
    life.happens(30)
    cursor, seen = source.begin(), []
    for _ in range(3):
        lines = [decode(line) for line in source.changes(cursor, facts=False) if line]
        seen += [line.event() for line in lines if isinstance(line, EventLine)]
        assert isinstance(lines[-1], PageEnd)
        cursor = source.resume(lines[-1].cursor)
        assert seen == store.events()
        life.happens(10)
    assert cursor.stage is Stage.SNAPSHOT, "no facts were read"


def test_facts_that_changed_are_not_given_to_half_a_copy(files: tuple[Store, Store]) -> None:
    """The rest of its snapshot would never come."""
    store, copy = files
    Life(store, 14).happens(40)
    lines = list(of(store).replicate(of(store).begin()))
    state, _ = take(copy, begin_copy(copy, URL, None), lines[:8])
    cursor = of(store).resume(state.cursor)
    with pytest.raises(UsageProblem, match="go on with /replicate"):
        of(store).changes(cursor, facts=True)
    everything = [decode(line) for line in of(store).changes(of(store).begin(), facts=True) if line]
    assert len({line.normalized_name for line in everything if isinstance(line, CopiedProject)}) == len(
        copied(store)
    )


def _url(store: Store) -> str:
    return f"sqlite:///{Path(store.locks_at) / 'x'}"
