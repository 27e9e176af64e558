"""Any history of a package: what fails here leaves an older state in the index, or misleads a follower."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import UNLISTED_SERIAL, Event, Standing, Store, Verified

from .machines import run_machine
from .samples import PLONE, check, facts, gone, verified

PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))
NAMES = st.sampled_from(["a", "b"])
GROWS = st.sampled_from([-1, 0, 0, 1, 1])  # by how much an answer's serial is above the stored one
SHOWN_BY = {"archived": "archived", "quarantined": "quarantined", "activated": "active"}


class Shown(NamedTuple):
    """What documents of a package show, None = there are none."""

    serial: int
    version: str
    marker: str | None
    reason: str | None
    recreated_at: int | None


class Histories(RuleBasedStateMachine):
    """Saves, checks, removals and verifications in any order; the index takes what is dirty now and then."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.serials: dict[str, int] = {}
        self.statuses: dict[str, str] = {}
        self.packages: set[str] = set()
        self.revisions: dict[str, int] = {}
        self.index: dict[str, Shown] = {}
        self.uploaded: dict[str, int] = {}
        self.now = 1000

    @initialize()
    def open(self) -> None:
        self.store = Store(self.url)

    @rule(
        name=NAMES,
        grows=GROWS,
        version=st.sampled_from(["1.0", "2.0"]),
        plone=st.booleans(),
        recreated=st.sampled_from([False, False, True]),
        listed=st.booleans(),
    )
    def save(
        self, name: str, grows: int, version: str, *, plone: bool, recreated: bool, listed: bool
    ) -> None:
        if recreated:
            self.uploaded.pop(name, None)
        serial = self._serial(name, grows)
        self.store.save_packages(
            [
                facts(
                    version,
                    name=name,
                    serial=serial,
                    classifiers=PLONE if plone else (),
                    at=self.now,
                    uploaded=self.uploaded.setdefault(name, self.now),
                    promised=serial if listed else None,
                )
            ]
        )
        if self._take(name, serial, "active", listed=listed):
            self.packages.add(name)

    @rule(name=NAMES, grows=GROWS, empty=st.booleans(), plone=st.booleans(), listed=st.booleans())
    def check(self, name: str, grows: int, *, empty: bool, plone: bool, listed: bool) -> None:
        serial, status = self._serial(name, grows), "empty" if empty else "active"
        classifiers = PLONE if plone and not empty else ()
        promised = serial if listed else None
        answer = check(name, serial, classifiers=classifiers, status=status, at=self.now, promised=promised)
        (revision,) = self.store.record_checks([answer])
        assert (revision is not None) == self._take(name, serial, status, listed=listed)

    @rule(name=NAMES, grows=GROWS)
    def vanish(self, name: str, grows: int) -> None:
        serial = self._serial(name, grows)
        status = "removed" if self.statuses.get(name) == "removed" else "vanished"
        (revision,) = self.store.record_checks([gone(name, serial, at=self.now)])
        assert (revision is not None) == self._take(name, serial, status, listed=False)

    @rule(names=st.sets(NAMES))
    def bury(self, names: set[str]) -> None:
        gone_now = {name for name in names if self.statuses.get(name) == "vanished"}
        assert self.store.bury(names, self.now) == len(gone_now)
        self.statuses |= dict.fromkeys(gone_now, "removed")

    @rule(
        name=NAMES,
        marker=st.sampled_from([None, "active", "active", "archived", "quarantined"]),
        reason=st.sampled_from([None, "why"]),
    )
    def verify(self, name: str, marker: str | None, reason: str | None) -> None:
        reason = None if marker == "active" else reason
        answer = verified(name, marker, reason, at=self.now)
        (changed,) = self.store.save_verified([answer])
        assert changed <= (name in self.packages)
        assert self.store.save_verified([answer, Verified(name, self.now, None)]) == [False, False]

    @rule()
    def pass_on(self) -> None:
        """What every spider does first."""
        dirty = [*self.store.dirty("plone", PROFILE)]
        members = {*self.store.members(PROFILE)} & {*dirty}
        for name in members:
            self.index[name] = self._truth(name)
        revisions = self.store.revisions(members)
        self.store.finish_index("plone", [(name, revisions[name], {name: b"12345678"}) for name in members])
        self.store.forget_indexed("plone", [name for name in dirty if name not in members])
        for name in dirty:
            if name not in members:
                del self.index[name]
        assert list(self.store.dirty("plone", PROFILE)) == []

    @invariant()
    def statuses_are_those_of_the_last_answer(self) -> None:
        rows = {name: self.store.project(name) for name in self.statuses}
        assert {name: row and row.status for name, row in rows.items()} == self.statuses
        assert {name: row and row.serial for name, row in rows.items()} == self.serials
        assert {*self.store.vanished()} == {n for n, status in self.statuses.items() if status == "vanished"}
        assert self.store.package_names() == {n for n in self.packages if self.statuses[n] != "removed"}
        assert dict(self.store.iter_serials()) == {
            name: UNLISTED_SERIAL if self.statuses[name] in ("vanished", "removed") else serial
            for name, serial in self.serials.items()
        }

    @invariant()
    def what_is_not_dirty_is_shown_as_it_is(self) -> None:
        dirty = {*self.store.dirty("plone", PROFILE)}
        members = {*self.store.members(PROFILE)}
        for name in self.packages - dirty:
            assert self.index.get(name) == (self._truth(name) if name in members else None)

    @invariant()
    def revisions_only_rise(self) -> None:
        now = self.store.revisions(self.serials)
        assert all(now[name] >= revision for name, revision in self.revisions.items())
        assert {name for name, revision in now.items() if revision} == self.packages
        self.revisions = now

    @invariant()
    def who_follows_the_events_knows_the_state(self) -> None:
        followed: dict[str, tuple[str, str]] = {}
        for event in self.store.events():
            followed[event.normalized_name] = _after(event, followed.get(event.normalized_name))
        standings = self.store.standings(self.packages)
        assert followed == {
            name: (self.statuses[name], standings[name].status or "active") for name in self.packages
        }

    def teardown(self) -> None:
        self.store.close()

    def _serial(self, name: str, grows: int) -> int:
        self.now += 10
        return max(0, self.serials.get(name, 10) + grows)

    def _take(self, name: str, serial: int, status: str, *, listed: bool) -> bool:
        stored = self.serials.get(name, -1)
        if serial < stored:
            return False
        is_gone = self.statuses.get(name) in ("vanished", "removed")
        if is_gone and status not in ("vanished", "removed") and serial == stored and not listed:
            return False
        self.serials[name], self.statuses[name] = serial, status
        return True

    def _truth(self, name: str) -> Shown:
        package = self.store.load_package(name)
        assert package is not None
        standing: Standing = package.standing
        return Shown(
            package.serial,
            package.project.version,
            standing.status if standing.status != "active" else None,
            standing.reason,
            standing.recreated_at,
        )


def _after(event: Event, before: tuple[str, str] | None) -> tuple[str, str]:
    """Status and marker after an event, as a follower of the events has them."""
    if event.kind == "created":
        return "active", "active"
    assert before is not None, f"{event.kind} of what was never created"
    status, marker = before
    if event.kind in ("returned", "recreated"):
        return "active", "active"
    if event.kind in SHOWN_BY:
        return status, SHOWN_BY[event.kind]
    if event.kind == "removed" and event.version is None:
        assert status == "vanished"
        return "removed", marker
    statuses = {"vanished": "vanished", "emptied": "empty", "filled": "active"}
    return statuses.get(event.kind, status), marker


def test_any_history(new_url: Callable[[], str]) -> None:
    run_machine(Histories, new_url, examples=20)
