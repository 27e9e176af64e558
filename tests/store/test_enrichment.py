"""Repositories, links and downloads: what fails here shows stars of another day, or wipes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.store import (
    TAKEN_OVER,
    DownloadFacts,
    RepositoryAge,
    RepositoryFacts,
    RepositoryLink,
    Store,
    StoredPackage,
    UnstorableError,
)

from .samples import check, downloads, facts, gone, link, repository, verified

KEY, OTHER = "github.com/plone/a", "github.com/plone/b"


def package(store: Store, name: str = "a") -> StoredPackage:
    found = store.load_package(name)
    assert found is not None
    return found


def linked(store: Store, *names: str, key: str = KEY) -> None:
    """Packages of one repository, at revision 2."""
    store.save_packages([facts("1.0", name=name) for name in names])
    assert store.save_links([link(name, key) for name in names]) == len(names)


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """The statements that are executed meanwhile; one with many rows is one."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(store._database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store._database.engine, "before_cursor_execute", note)


FULL = RepositoryFacts(
    key=KEY,
    state="ok",
    fetched_at=2000,
    etag='W/"é"',
    node_id="R_kgDO",
    record=RepositoryRecord(
        node_id="R_kgDO",
        owner="Plone",
        name="A",
        archived=True,
        disabled=False,
        fork=True,
        parent="x/y",
        created_at=1,
        pushed_at=2,
        updated_at=3,
        stars=2**40,
        forks=5,
        watchers=6,
        open_issues=7,
        open_pull_requests=8,
        license="MIT",
        topics=("plone",),
        homepage="https://example.org/",
        description="étude \x00 " * 50,
        latest_release="v1",
        latest_release_at=9,
        packages=("a", "b"),
    ),
    contributors=(Contributor("ann", 3, "https://example.org/a.png"), Contributor("bob", 1)),
    contributors_at=2001,
)
FULL_LINK = RepositoryLink(
    normalized_name="a",
    key=KEY,
    checked_at=2000,
    url="https://github.com/Plone/A/",
    label="Source Code",
    proof=Proof.ATTESTED,
    problem="other_forge",
    candidates=(KEY, OTHER),
    publisher="Plone/A",
    publisher_version="1.0",
)


class TestRoundTrip:
    def test_all_fields_come_back(self, store: Store, url: str) -> None:
        store.save_packages([facts("1.0", name="a")])
        counts = DownloadCounts("pypistats", 86_400, 1, 7, 30, 2**40)
        store.save_links([FULL_LINK])
        store.save_repositories([FULL])
        store.save_downloads([DownloadFacts("a", "pypistats", 90_000, counts)])
        with Store(url) as other:
            loaded = package(other)
            assert (loaded.link, loaded.repository) == (FULL_LINK, FULL)
            assert loaded.downloads == {"pypistats": counts}
            assert other.repositories([KEY, OTHER]) == {KEY: FULL}
            assert other.links(["a", "b"]) == {"a": FULL_LINK}
            age = RepositoryAge(KEY, "ok", 2000, 2001, 'W/"é"', "R_kgDO")
            assert other.repository_ages([KEY, OTHER]) == {KEY: age}

    def test_so_do_those_that_are_not_known(self, store: Store) -> None:
        store.save_packages([facts("1.0", name=name) for name in "ab"])
        bare, bare_link = RepositoryFacts(KEY, "ok", 2000), RepositoryLink("a", KEY, 2000)
        store.save_repositories([bare])
        store.save_links([bare_link])
        figures = DownloadCounts("clickpy", 0, total=0)  # 0 is not "not known"
        store.save_downloads([downloads("a", None), DownloadFacts("a", "clickpy", 2000, figures)])
        loaded = package(store)
        assert (loaded.link, loaded.repository, loaded.downloads) == (bare_link, bare, {"clickpy": figures})
        assert store.download_ages("ab", "pypistats") == {"a": 2000}
        plain = package(store, "b")
        assert (plain.link, plain.repository, plain.downloads) == (None, None, {})
        record = RepositoryRecord("R", "o", "n", topics=(), packages=())
        store.save_repositories([replace(bare, record=record, contributors=())])
        stored = store.repositories([KEY])[KEY]
        assert (stored.record, stored.contributors, stored.contributors_at) == (record, (), 2000)

    def test_nothing_given_is_nothing_done(self, store: Store) -> None:
        assert store.save_repositories([]) == store.save_links([]) == store.save_downloads([]) == 0
        assert not store.repositories([])
        assert not store.repository_ages([])
        assert not store.packages_of([])
        assert not store.links([])
        assert not store.download_ages([], "pypistats")


class TestPackages:
    def test_a_refetch_does_not_wipe_what_others_said(self, store: Store) -> None:
        """The reason why facts are stored and documents derived."""
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=5, commits=1)])
        store.save_downloads([downloads("a")])
        before = package(store)
        assert before.revision == 4
        store.save_packages([facts("2.0", "1.0", name="a", serial=11)])
        store.record_checks([check("a", serial=12), gone("a", serial=13)])
        store.bury(["a"], 3000)
        store.save_packages([facts("2.0", "1.0", name="a", serial=14)])
        store.save_verified([verified("a", "archived")])
        after = package(store)
        assert (after.link, after.repository) == (before.link, before.repository)
        assert after.downloads == before.downloads
        assert after.revision == 9

    def test_another_project_of_the_name_is_not_vouched_for(self, store: Store) -> None:
        """An attestation of the one before would lend a hijacked name its good repository."""
        store.save_packages([facts("1.0", name="a", uploaded=1)])
        store.save_links([replace(link("a", KEY, at=1500), proof=Proof.ATTESTED)])
        store.save_repositories([repository(KEY, stars=5)])
        store.save_downloads([downloads("a", at=1500)])
        store.record_checks([gone("a", serial=11)])
        store.save_packages([facts("1.0", name="a", serial=12, uploaded=2, at=2000)])
        assert store.events()[-1].kind == "recreated"
        loaded = package(store)
        assert (loaded.link, loaded.repository, loaded.downloads) == (None, None, {})
        # A spider that looked at the former project is late.
        assert store.save_links([link("a", KEY, at=1999, proof=Proof.ATTESTED)]) == 0
        assert store.save_downloads([downloads("a", at=1999)]) == 0
        assert package(store).link is None
        assert store.save_links([link("a", KEY, at=2000, proof=Proof.NAMED)]) == 1

    def test_names_without_facts_are_ignored(self, store: Store) -> None:
        store.record_checks([check("checked")])
        names = ("checked", "unknown")
        assert store.save_links([link(name, KEY) for name in names]) == 0
        assert store.save_repositories([repository(KEY, stars=1)]) == 0
        assert store.save_downloads([downloads(name) for name in names]) == 0
        assert store.links(names) == {}
        assert store.download_ages(names, "pypistats") == {}
        assert store.revisions(names) == {"checked": 0}
        store.save_packages([facts("1.0", name="checked")])
        assert package(store, "checked").link is None

    def test_one_unstorable_fact_leaves_the_whole_call_unwritten(self, store: Store) -> None:
        linked(store, "a")
        with pytest.raises(UnstorableError):
            store.save_repositories([repository(KEY, stars=1), replace(FULL, key=OTHER, etag="\ud800")])
        with pytest.raises(UnstorableError):
            store.save_links([link("a", OTHER), replace(link("a", KEY), label="\ud800")])
        with pytest.raises(UnstorableError):
            store.save_downloads([downloads("a", 1), downloads("a", 2**63, source="other")])
        loaded = package(store)
        assert (loaded.link, loaded.repository, loaded.downloads) == (link("a", KEY), None, {})
        assert loaded.revision == 2


class TestRepositories:
    def test_each_real_change_raises_the_revision_once(self, store: Store) -> None:
        linked(store, "a")
        steps = [
            (repository(KEY, stars=5), True),
            (repository(KEY, stars=5), False),
            (repository(KEY, stars=5, at=2100), False),  # a fetch alone
            (replace(repository(KEY, stars=5, at=2200), etag='"x"'), False),
            (repository(KEY, at=2300), False),  # not modified
            (repository(KEY, stars=6, at=2400), True),
            (repository(KEY, stars=6, at=2500, commits=1), True),
            (repository(KEY, stars=6, at=2600, commits=1), False),
            (repository(KEY, stars=6, at=2600, commits=2), True),
            (repository(KEY, "unavailable", at=2700), True),
            (repository(KEY, "not_found", at=2800), True),
            (repository(KEY, "not_found", at=2850, commits=3), False),  # not shown
            (repository(KEY, "blocked", at=2900), True),
            (repository(KEY, stars=6, at=3000), True),
        ]
        revision = 2
        for step, rises in steps:
            assert store.save_repositories([step]) == rises, step
            revision += rises
            assert store.revisions(["a"]) == {"a": revision}
            assert store.repository_ages([KEY])[KEY].fetched_at == step.fetched_at

    def test_an_older_fetch_is_ignored(self, store: Store) -> None:
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=5, commits=5)])
        before = package(store)
        for late in (repository(KEY, stars=4, at=1999, commits=4), repository(KEY, "not_found", at=1999)):
            assert store.save_repositories([late]) == 0
        assert package(store) == before

    def test_contributors_go_by_their_own_time(self, store: Store) -> None:
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=5, at=2000, commits=5, asked_at=3000)])
        assert store.save_repositories([repository(KEY, stars=5, at=2500, commits=4, asked_at=2500)]) == 0
        assert store.save_repositories([repository(KEY, stars=4, at=2400, commits=6, asked_at=3100)]) == 1
        stored = store.repositories([KEY])[KEY]
        assert (stored.fetched_at, stored.contributors_at) == (2500, 3100)
        assert stored.record == repository(KEY, stars=5).record
        assert stored.contributors == (Contributor("ann", 6),)
        # Asked in vain: not asked again at once, and what was known stays.
        assert store.save_repositories([repository(KEY, at=2600, asked_at=3200)]) == 0
        assert store.repository_ages([KEY])[KEY].contributors_at == 3200
        assert store.repositories([KEY])[KEY].contributors == (Contributor("ann", 6),)

    def test_one_that_is_gone_is_not_shown_but_kept(self, store: Store) -> None:
        """Stars of a deleted repository are not true any more; its history may be asked for."""
        linked(store, "a")
        full = repository(KEY, stars=5, commits=5, asked_at=2000)
        store.save_repositories([full])
        store.save_repositories([repository(KEY, "not_found", at=3000)])
        assert package(store).repository == replace(
            full, state="not_found", fetched_at=3000, record=None, contributors=None
        )
        assert store.repositories([KEY]) == {KEY: replace(full, state="not_found", fetched_at=3000)}
        store.save_repositories([repository(KEY, at=4000)])  # it is back, not modified
        assert package(store).repository == replace(full, fetched_at=4000)

    def test_an_outage_takes_nothing_away(self, store: Store) -> None:
        linked(store, "a")
        full = repository(KEY, stars=5, commits=5, asked_at=2000)
        store.save_repositories([full])
        store.save_repositories([repository(KEY, "unavailable", at=3000)])
        assert package(store).repository == replace(full, state="unavailable", fetched_at=3000)

    def test_an_etag_stays_with_its_record(self, store: Store) -> None:
        """One without a record would be answered "not modified", and nobody would ever know of what."""
        store.save_repositories([replace(repository(KEY, "unavailable"), etag='"error"')])
        assert store.repository_ages([KEY])[KEY].etag is None
        store.save_repositories([repository(KEY, stars=5)])
        store.save_repositories([replace(repository(KEY, "not_found", at=2100), etag='"404"')])
        assert store.repository_ages([KEY])[KEY].etag == '"5"'

    def test_another_repository_of_the_name_has_other_contributors(self, store: Store) -> None:
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=5, created_at=1, commits=5)])
        store.save_repositories([repository(KEY, stars=6, created_at=1, at=2100)])
        assert store.repositories([KEY])[KEY].contributors == (Contributor("ann", 5),)
        store.save_repositories([repository(KEY, stars=0, created_at=2, at=2200)])
        stored = store.repositories([KEY])[KEY]
        assert (stored.contributors, stored.contributors_at) == (None, None)

    def test_all_packages_of_a_repository_learn_of_it(self, store: Store) -> None:
        """One repository may hold a hundred packages, and is fetched once."""
        linked(store, "a", "b")
        linked(store, "c", key=OTHER)
        assert store.packages_of([KEY, OTHER, "github.com/x/y"]) == {KEY: ["a", "b"], OTHER: ["c"]}
        assert store.save_repositories([repository(KEY, stars=5)]) == 2
        assert store.revisions("abc") == {"a": 3, "b": 3, "c": 2}
        assert package(store, "a").repository == package(store, "b").repository

    def test_answers_of_one_batch_are_taken_in_order(self, store: Store) -> None:
        linked(store, "a")
        batch = [repository(KEY, stars=1), repository(OTHER, stars=9), repository(KEY, stars=2)]
        assert store.save_repositories([*batch, repository(KEY, stars=3, at=1999)]) == 2
        assert package(store).repository == repository(KEY, stars=2)


class TestLinks:
    def test_key_url_and_proof_raise_the_revision(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a")])
        steps = [
            (link("a"), False),  # there is none, as before
            (link("a", KEY), True),
            (link("a", KEY, at=2100), False),
            (replace(link("a", KEY), checked_at=2200, label="Code", problem="not_found"), False),
            (replace(link("a", KEY), checked_at=2300, publisher="x/y", publisher_version="2"), False),
            (link("a", KEY, at=2400, url="https://github.com/plone/a"), True),
            (link("a", KEY, at=2500, url="https://github.com/plone/a", proof=Proof.CLAIMED), True),
            (link("a", KEY, at=2600, url="https://github.com/plone/a", proof=Proof.NAMED), True),
            (link("a", OTHER, at=2600, url="https://github.com/plone/a", proof=Proof.NAMED), True),
            (link("a", at=2700), True),
        ]
        revision = 1
        for step, rises in steps:
            assert store.save_links([step]) == rises, step
            revision += rises
            assert store.revisions(["a"]) == {"a": revision}
            assert store.links(["a"]) == {"a": step}

    def test_an_older_check_is_ignored(self, store: Store) -> None:
        linked(store, "a")
        assert store.save_links([link("a", OTHER, at=1999)]) == 0
        assert package(store).link == link("a", KEY)

    def test_checks_of_one_batch_are_taken_in_order(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a")])
        assert store.save_links([link("a", KEY), link("a", OTHER), link("a", KEY, at=1999)]) == 2
        assert package(store).link == link("a", OTHER)

    def test_another_link_shows_the_other_repository(self, store: Store) -> None:
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=1), repository(OTHER, stars=2)])
        store.save_links([link("a", OTHER)])
        assert package(store).repository == repository(OTHER, stars=2)
        assert store.save_repositories([repository(KEY, stars=3)]) == 0
        store.save_links([link("a")])
        assert package(store).repository is None

    def test_problems_are_listed_by_name(self, store: Store) -> None:
        store.save_packages([facts("1.0", name=name) for name in "abcd"])
        problem = replace(link("b", KEY), problem="not_found")
        store.save_links([link("d"), problem, link("c", OTHER)])
        assert list(store.problems()) == [problem, link("d")]
        assert list(store.problems("dxab")) == [link("d"), problem]
        assert list(store.problems([])) == []


class TestDownloads:
    def test_other_figures_raise_the_revision(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a")])
        steps = [
            (downloads("a", None), False),  # not known, as before
            (downloads("a", 1, at=2100, as_of=86_400), True),
            (downloads("a", 1, at=2200, as_of=86_400), False),
            (downloads("a", 2, at=2200, as_of=86_400), True),
            (downloads("a", 2, at=2300, as_of=2 * 86_400), True),  # of another day
            (downloads("a", 2, source="clickpy"), True),
            (downloads("a", None, at=2400), True),
            (downloads("a", None, at=2500), False),
        ]
        revision = 1
        for step, rises in steps:
            assert store.save_downloads([step]) == rises, step
            revision += rises
            assert store.revisions(["a"]) == {"a": revision}
            assert store.download_ages(["a"], step.source) == {"a": step.fetched_at}
        assert set(package(store).downloads) == {"clickpy"}

    def test_an_older_answer_is_ignored(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a")])
        store.save_downloads([downloads("a", 5)])
        assert store.save_downloads([downloads("a", 4, at=1999), downloads("a", None, at=1999)]) == 0
        assert package(store).downloads["pypistats"].last_day == 5

    def test_figures_of_an_earlier_day_are_only_noted_as_asked(self, store: Store) -> None:
        """A cache's answer must not bring yesterday's figures back, nor be asked for again and again."""
        store.save_packages([facts("1.0", name="a")])
        store.save_downloads([downloads("a", 5, as_of=86_400)])
        assert store.save_downloads([downloads("a", 4, at=2100, as_of=0)]) == 0
        assert package(store).downloads["pypistats"].last_day == 5
        assert store.download_ages(["a"], "pypistats") == {"a": 2100}

    def test_answers_of_one_batch_are_taken_in_order(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a")])
        batch = [downloads("a", 1), downloads("a", 1, source="clickpy"), downloads("a", 2, at=2001)]
        assert store.save_downloads([*batch, downloads("a", 1)]) == 3
        assert {source: counts.last_day for source, counts in package(store).downloads.items()} == {
            "clickpy": 1,
            "pypistats": 2,
        }


class TestAhead:
    """What is taken over from another system comes before the packages do."""

    def test_facts_wait_for_their_package(self, store: Store) -> None:
        store.record_checks([check("b")])
        assert store.save_links([link(name, KEY, at=TAKEN_OVER) for name in "ab"], ahead=True) == 0
        assert store.save_repositories([repository(KEY, at=TAKEN_OVER, stars=5)]) == 0
        assert store.save_downloads([downloads(name, at=TAKEN_OVER) for name in "ab"], ahead=True) == 0
        assert store.packages_of([KEY]) == {}
        assert store.revisions("ab") == {"b": 0}, "still no member"
        assert store.save_packages([facts("1.0", name="a"), facts("1.0", name="b", serial=11)]) == [1, 1]
        assert store.packages_of([KEY]) == {KEY: ["a", "b"]}
        for name in "ab":
            loaded = package(store, name)
            assert loaded.link == link(name, KEY, at=TAKEN_OVER)
            assert loaded.repository is not None
            assert loaded.repository.record is not None
            assert loaded.repository.record.stars == 5
            assert loaded.downloads["pypistats"].last_day == 1

    def test_what_was_asked_is_newer(self, store: Store) -> None:
        linked(store, "a")
        store.save_repositories([repository(KEY, stars=7)])
        store.save_downloads([downloads("a", 7)])
        store.save_packages([facts("1.0", name="unasked")])
        old = [link("a", OTHER, at=TAKEN_OVER), link("unasked", KEY, at=TAKEN_OVER)]
        assert store.save_links(old, ahead=True) == 1
        assert store.save_repositories([repository(KEY, at=TAKEN_OVER, stars=5)]) == 0
        assert store.save_downloads([downloads("a", 5, at=TAKEN_OVER)], ahead=True) == 0
        loaded = package(store)
        assert loaded.link == link("a", KEY)
        assert loaded.repository == repository(KEY, stars=7)
        assert loaded.downloads["pypistats"].last_day == 7

    def test_an_answer_in_vain_takes_no_figures_away(self, store: Store) -> None:
        """Whoever imports after GitHub was down for him."""
        linked(store, "a")
        store.save_repositories([repository(KEY, "unavailable")])
        assert store.save_repositories([repository(KEY, at=TAKEN_OVER, stars=5)]) == 1
        shown = package(store).repository
        assert shown == replace(repository(KEY, "unavailable"), record=repository(KEY, stars=5).record)
        store.save_repositories([repository(KEY, "not_found", at=2001)])
        assert store.save_repositories([repository(KEY, at=TAKEN_OVER, stars=6)]) == 0

    def test_what_is_known_of_a_former_owner_of_the_name_does_not_come_back(self, store: Store) -> None:
        store.save_packages([facts("1.0", name="a", uploaded=100, owner="ann")])
        store.record_checks([gone("a")])
        store.save_packages([facts("1.0", name="a", serial=12, uploaded=5000, owner="eve", at=3000)])
        assert package(store).standing.recreated_at == 3000
        assert store.save_links([link("a", KEY, at=TAKEN_OVER)], ahead=True) == 0
        assert store.save_downloads([downloads("a", at=TAKEN_OVER)], ahead=True) == 0
        assert package(store).link is None


def test_two_thousand_at_once_take_few_statements(store: Store) -> None:
    """A statement for each would hold up the crawls beside it."""
    names = [f"p{number:04}" for number in range(2000)]
    keys = [f"github.com/plone/{name}" for name in names]
    store.save_packages([facts("1.0", name=name) for name in names])
    with statements(store) as seen:
        assert store.save_links([link(name, key) for name, key in zip(names, keys, strict=True)]) == 2000
        assert store.save_repositories([repository(key, stars=1, commits=1) for key in keys]) == 2000
        assert store.save_downloads([downloads(name) for name in names]) == 2000
        assert len(store.repositories(keys)) == len(store.repository_ages(keys)) == 2000
        assert len(store.links(names)) == len(store.download_ages(names, "pypistats")) == 2000
        assert len(store.packages_of(keys)) == 2000
    assert len(seen) < 100
    assert set(store.revisions(names).values()) == {4}
    with statements(store) as seen:
        loaded = list(store.load_packages(names))
    assert len(seen) <= 40 * 7  # pages of 50
    assert all(one.repository and one.link and one.downloads for one in loaded)
