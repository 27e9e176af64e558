"""Enrichment in any order and from several processes: what fails here leaves old facts in the index."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import pyf_scrapy
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.store import RepositoryState, Store

from .machines import run_machine
from .samples import downloads, facts, gone, link, repository

CHECKOUT = Path(pyf_scrapy.__file__).parents[1]

NAMES = st.sampled_from(["a", "b", "never-fetched"])
KEYS = st.sampled_from([f"github.com/o/{name}" for name in "xyz"])
AGES = st.sampled_from([-10, -1, 0, 0, 1])  # when it was asked, from now
FEW = st.none() | st.integers(0, 2)


class Enriching(RuleBasedStateMachine):
    """A revision rises exactly when what documents can show of the stored facts changed."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.now = 1000
        self.serial = 10
        self.fetched: dict[str, int] = {}

    @initialize()
    def open(self) -> None:
        self.store = Store(self.url)
        self.store.save_packages([facts("1.0", name=name, uploaded=1) for name in "ab"])
        self.shown, self.revisions = self._shown(), self.store.revisions("ab")

    @rule(
        key=KEYS,
        state=st.sampled_from(["ok", "ok", "ok", "unavailable", "not_found", "blocked"]),
        stars=FEW,
        commits=FEW,
        created_at=st.sampled_from([None, 1, 1, 1, 2]),
        age=AGES,
    )
    def fetch(
        self,
        key: str,
        state: RepositoryState,
        stars: int | None,
        commits: int | None,
        created_at: int | None,
        age: int,
    ) -> None:
        stars = stars if state == "ok" else None
        answer = repository(key, state, at=self._at(age), stars=stars, commits=commits, created_at=created_at)
        if any(known.key != key for known in self.store.repositories([key]).values()):
            self.fetched.pop(key, None)  # it may be a repository of its own again, with facts of its own
        self._risen(self.store.save_repositories([answer]))
        self._risen(self.store.save_repositories([answer]))
        assert self.store.save_repositories([answer]) == 0

    @rule(
        name=NAMES,
        key=st.none() | KEYS,
        proof=st.sampled_from([None, Proof.CLAIMED, Proof.NAMED]),
        url=st.sampled_from([None, "https://example.org/"]),
        age=AGES,
    )
    def check_link(self, name: str, key: str | None, proof: Proof | None, url: str | None, age: int) -> None:
        found = link(name, key, at=self._at(age), proof=proof, url=url)
        self._risen(self.store.save_links([found]))
        assert self.store.save_links([found, replace(found, label="other")]) == 0

    @rule(name=NAMES, day=FEW, as_of=st.integers(0, 2), age=AGES)
    def count(self, name: str, day: int | None, as_of: int, age: int) -> None:
        counted = downloads(name, day, at=self._at(age), as_of=as_of)
        self._risen(self.store.save_downloads([counted]))
        assert self.store.save_downloads([counted]) == 0

    @rule(key=KEYS, new_key=KEYS, age=AGES)
    def rename(self, key: str, new_key: str, age: int) -> None:
        at = self._at(age)
        self._risen(self.store.rename(key, new_key, at))
        assert self.store.rename(key, new_key, at) == 0
        self.fetched = {}  # the facts of one name may have taken the place of those of the other

    @rule(name=st.sampled_from("ab"))
    def refetch(self, name: str) -> None:
        self.serial += 1
        self.store.save_packages([facts("1.0", name=name, serial=self.serial, uploaded=1)])
        assert self._shown() == self.shown
        self.revisions[name] += 1

    @rule(name=st.sampled_from("ab"))
    def recreate(self, name: str) -> None:
        self.now += 10
        self.serial += 2
        new = facts("1.0", name=name, serial=self.serial, uploaded=self.serial, at=self.now)
        self.store.record_checks([gone(name, self.serial - 1)])
        self.store.save_packages([new])
        self.shown[name] = ((None, None, None), None, {})
        self.revisions[name] += 2
        new = facts("1.0", name=name, serial=self.serial, uploaded=1, at=self.now)
        self.store.save_packages([new])
        self.revisions = self.store.revisions("ab")

    @invariant()
    def who_has_the_revision_has_the_facts(self) -> None:
        assert self.store.revisions("ab") == self.revisions
        assert self._shown() == self.shown

    @invariant()
    def nothing_goes_back_in_time(self) -> None:
        keys = [f"github.com/o/{name}" for name in "xyz"]
        now = {key: age.fetched_at for key, age in self.store.repository_ages(keys).items()}
        assert all(now.get(key, 0) >= at for key, at in self.fetched.items())
        self.fetched = now

    @invariant()
    def no_link_has_a_former_name(self) -> None:
        keys = {found.key for found in self.store.links("ab").values() if found.key is not None}
        assert {key: known.key for key, known in self.store.repositories(keys).items()} == {
            key: key for key in self.store.repositories(keys)
        }
        assert self.store.packages_of(keys).keys() == keys

    def teardown(self) -> None:
        self.store.close()

    def _at(self, age: int) -> int:
        self.now += 1
        return self.now + age

    def _risen(self, risen: int) -> None:
        """Compare what rose with what changed."""
        shown = self._shown()
        changed = [name for name in shown if shown[name] != self.shown[name]]
        assert risen == len(changed)
        for name in changed:
            self.revisions[name] += 1
        self.shown = shown
        assert self.store.revisions("ab") == self.revisions

    def _shown(self) -> dict[str, Any]:
        """What documents can show."""
        shown: dict[str, Any] = {}
        for package in self.store.load_packages("ab"):
            found, known = package.link or link(package.normalized_name), package.repository
            shown[package.normalized_name] = (
                (found.key, found.url, found.proof),
                (known.key, known.state, known.record, known.contributors) if known else None,
                package.downloads,
            )
        return shown


def test_any_enrichment(new_url: Callable[[], str]) -> None:
    run_machine(Enriching, new_url, examples=20)


ROUNDS = 15
FEWER_ROUNDS = 5  # on PostgreSQL

WRITE = """
import sys
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord
from pyf_scrapy.parsers.records import DownloadCounts, RepositoryRecord
from pyf_scrapy.store import DownloadFacts, PackageFacts, RepositoryFacts, RepositoryLink, Store

url, who, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
key, names = "github.com/o/shared", [f"p{number}" for number in range(20)]

def facts(name, serial):
    about = Metadata(name=name, version="1.0", description="x" * 2000)
    return PackageFacts(ProjectRecord(name, name, "1.0", serial, about, files={}), serial, {}, at=1)

with Store(url) as store:
    sys.stdin.readline()
    for n in range(1, rounds + 1):
        if who == "pypi":
            store.save_packages([facts(name, 10 + n) for name in names])
        elif who == "links":
            store.save_links([RepositoryLink(name, key, n, url=f"https://{n}.example/") for name in names])
        elif who == "github":
            record = RepositoryRecord("R", "o", "n", stars=n)
            store.save_repositories([RepositoryFacts(key, "ok", n, record=record)])
        else:
            counts = DownloadCounts(who, n, last_day=n)
            store.save_downloads([DownloadFacts(name, who, n, counts) for name in names])
        store.remember(who, n)
        for package in store.load_packages(names[:3]):
            assert package.link is not None and package.repository is not None
    print(store.recall(who))
"""


def test_spiders_side_by_side_lose_no_revision(url: str) -> None:
    """A revision that two raise at once must rise by two; else what one of them said is never indexed."""
    names = [f"p{number}" for number in range(20)]
    rounds = ROUNDS if url.startswith("sqlite") else FEWER_ROUNDS
    with Store(url) as store:
        store.save_packages([facts("1.0", name=name, serial=1) for name in names])
        store.save_links([link(name, "github.com/o/shared", at=0) for name in names])
        store.save_repositories([repository("github.com/o/shared", stars=0, at=0)])
        assert set(store.revisions(names).values()) == {3}
    spiders = ["pypi", "links", "github", "pypistats", "clickpy"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, url, who, str(rounds)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in spiders
    ]
    with ThreadPoolExecutor(len(started)) as pool:
        answers = list(pool.map(lambda process: process.communicate("go\n", timeout=120), started))
    assert answers == [(f"{rounds}\n", "")] * len(spiders)
    with Store(url) as store:
        assert set(store.revisions(names).values()) == {3 + rounds * len(spiders)}
        for package in store.load_packages(names):
            assert package.serial == 10 + rounds
            assert package.link is not None
            assert package.link.url == f"https://{rounds}.example/"
            assert package.repository is not None
            assert package.repository.record is not None
            assert package.repository.record.stars == rounds
            assert {counts.last_day for counts in package.downloads.values()} == {rounds}


def test_what_is_loaded_is_never_older_than_its_revision(store: Store) -> None:
    """The index notes that revision: facts of before it would stay there."""
    store.save_packages([facts("1.0", name="a")])
    store.save_links([link("a", "github.com/o/x")])
    first = store.revisions(["a"])["a"]

    def fetch() -> None:
        for stars in range(1, 200):
            store.save_repositories([repository("github.com/o/x", stars=stars, at=stars)])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(fetch)
        while not writing.done():
            package = store.load_package("a")
            assert package is not None
            known = package.repository
            stars = known.record.stars if known is not None and known.record is not None else 0
            assert package.revision - first == stars
        writing.result()


@pytest.mark.parametrize("late_first", [False, True])
def test_the_order_of_arrival_does_not_matter(store: Store, late_first: bool) -> None:
    store.save_packages([facts("1.0", name="a")])
    answers = [repository("github.com/o/x", stars=stars, at=stars, commits=stars) for stars in (1, 2)]
    for answer in reversed(answers) if late_first else answers:
        store.save_repositories([answer])
    known = store.repositories(["github.com/o/x"])["github.com/o/x"]
    assert known == replace(answers[1], contributors_at=2)
