"""Serials never go back, in whatever order answers arrive: else a lost update would look done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyf_scrapy.store import Store

from .machines import run_machine
from .samples import check, facts, metadata

NAMES = st.sampled_from(["a", "b"])
SERIALS = st.integers(0, 6)
VERSIONS = st.lists(st.sampled_from(["1.0", "2.0", "3.0", "weird"]), min_size=1, unique=True)


class AnyOrder(RuleBasedStateMachine):
    """Checks and saves of two projects in any order, with any serials, the store opened again in between."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.serials: dict[str, int] = {}
        self.revisions: dict[str, int] = {}
        self.listed: dict[str, set[str]] = {}

    @initialize()
    def open(self) -> None:
        self.store = Store(self.url)

    @rule(name=NAMES, serial=SERIALS, status=st.sampled_from(["active", "empty"]))
    def check(self, name: str, serial: int, status: str) -> None:
        self.store.record_checks([check(name, serial=serial, status=status)])
        self._expect(name, serial)

    @rule(name=NAMES, serial=SERIALS, versions=VERSIONS, fetched=st.sets(st.sampled_from(["1.0", "2.0"])))
    def save(self, name: str, serial: int, versions: list[str], fetched: set[str]) -> None:
        releases = {version: metadata(version, name=name) for version in fetched}
        given = facts(*versions, name=name, serial=serial, releases=releases)
        before = self.store.revisions([name]).get(name, 0)
        (revision,) = self.store.save_packages([given])
        assert revision in (before, before + 1)
        assert self.store.save_packages([given]) == [revision]
        if serial >= self.serials.get(name, -1):
            self.listed[name] = set(versions)
            package = self.store.load_package(name)
            assert package is not None
            assert package.serial == serial
            assert package.project.version == versions[0]
            assert package.releases.keys() <= set(versions)
            assert (fetched & set(versions)) <= package.releases.keys() | {versions[0]}
        self._expect(name, serial)

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.open()

    @invariant()
    def serials_are_the_highest_seen(self) -> None:
        assert dict(self.store.iter_serials()) == self.serials

    @invariant()
    def revisions_only_rise(self) -> None:
        now: Mapping[str, int] = self.store.revisions(self.serials)
        assert all(now[name] >= revision for name, revision in self.revisions.items())
        self.revisions = dict(now)

    @invariant()
    def events_tell_the_releases(self) -> None:
        """Whoever follows the events knows which releases there are."""
        first = {
            name: {event.version}
            for event in self.store.events()
            if event.kind == "created"
            for name in [event.normalized_name]
        }
        for event in self.store.events():
            if event.kind == "released":
                first[event.normalized_name].add(event.version)
            elif event.kind == "removed":
                first[event.normalized_name].discard(event.version)
        for name, versions in first.items():
            assert versions <= self.listed[name]

    def teardown(self) -> None:
        self.store.close()

    def _expect(self, name: str, serial: int) -> None:
        self.serials[name] = max(serial, self.serials.get(name, serial))


def test_any_order(new_url: Callable[[], str]) -> None:
    run_machine(AnyOrder, new_url, examples=25)
