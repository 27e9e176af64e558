"""Stores that live: random facts, written by the methods that crawls use."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from msgspec import structs, to_builtins

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Vulnerability
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replication.compression import compressed, unpacked_lines
from pyf_scrapy.replication.copying import Received, receive
from pyf_scrapy.store import PackageFacts, Store
from pyf_scrapy.store.copies import CopiedProject, CopyState
from pyf_scrapy.store.scores import Score
from tests.store import samples

PLONE = Profile("plone", "Plone", ("Framework :: Plone",))
NAMES = [f"{letter}{number}" for letter in "abcde" for number in range(4)]
STRANGERS = [f"{name}-not" for name in NAMES[:6]]
KEYS = [f"github.com/o/{name}" for name in "xyz"]


def facts(*versions: str, name: str, vulnerable: bool = False, **more: Any) -> PackageFacts:
    """As `samples.facts`, without the NUL in its README that no parser lets through."""
    made = samples.facts(*versions, name=name, **more)
    of = structs.replace(made.project.metadata, description=f"# {name} {versions[0]}")
    found = (Vulnerability(f"GHSA-{versions[0]}", summary="bad", fixed_in=("9",)),) if vulnerable else ()
    return replace(made, project=structs.replace(made.project, metadata=of, vulnerabilities=found))


class Life:
    """Random events in a store; the same for the same seed."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.now = 10_000
        self.serial = 100

    def happens(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 10
            self.serial += 1
            self.random.choice(
                (
                    self.fetch,
                    self.fetch,
                    self.fetch,
                    self.check,
                    self.vanish,
                    self.mark,
                    self.enrich,
                    self.move,
                )
            )()

    def fetch(self) -> None:
        names = self.random.sample(NAMES, 3)
        self.store.save_packages([self._facts(name) for name in names])

    def check(self) -> None:
        """Looked at and of no profile; perhaps it was of one before."""
        name = self.random.choice(NAMES + STRANGERS * 3)
        self.store.record_checks([samples.check(name, self.serial, at=self.now)])

    def vanish(self) -> None:
        name = self.random.choice(NAMES)
        row = self.store.project(name)
        if row is not None:
            self.store.record_checks([samples.gone(name, row.serial, at=self.now)])
        if self.random.random() < 0.5:
            self.store.bury(list(self.store.vanished()), self.now)

    def mark(self) -> None:
        status = self.random.choice(["active", "archived", "quarantined"])
        name = self.random.choice(NAMES)
        self.store.save_verified([samples.verified(name, status, "why", at=self.now)])
        self.store.note_scores([Score(name, self.random.randrange(100), self.now)])

    def enrich(self) -> None:
        key, name = self.random.choice(KEYS), self.random.choice(NAMES)
        self.store.save_repositories(
            [samples.repository(key, at=self.now, stars=self.random.randrange(3), commits=1)]
        )
        self.store.save_links([samples.link(name, key, at=self.now, proof=Proof.NAMED)])
        self.store.save_downloads([samples.downloads(name, self.random.randrange(9), at=self.now)])

    def move(self) -> None:
        if self.random.random() < 0.3:
            old, new = self.random.sample(KEYS, 2)
            self.store.rename(old, new, self.now)
        else:
            name = self.random.choice(NAMES)
            self.store.save_links([samples.link(name, at=self.now)])

    def _facts(self, name: str) -> PackageFacts:
        count = self.random.randint(1, 4)
        versions = [f"{number}.0" for number in range(count, 0, -1)]
        releases = {version: None for version in versions[1:] if self.random.random() < 0.5}
        classifiers = samples.PLONE if self.random.random() < 0.8 else ("Topic :: Utilities",)
        return facts(
            *versions,
            name=name,
            serial=self.serial,
            at=self.now,
            releases=releases,
            classifiers=classifiers,
            yanked=versions[-1:] if self.random.random() < 0.3 else (),
            owner=self.random.choice(["ann", "bob"]),
            vulnerable=self.random.random() < 0.2,
            uploaded=self.random.choice([None, 1]),
        )


def over_the_wire(lines: Iterable[bytes]) -> Iterator[bytes]:
    return unpacked_lines(compressed(lines))


def take(store: Store, state: CopyState, lines: Iterable[bytes]) -> tuple[CopyState, list[Received]]:
    """Write all whole pages of lines; how far the copy is then."""
    pages = list(receive(store, state, over_the_wire(lines)))
    return (pages[-1].state if pages else state), pages


def copied(store: Store, profile: Profile | None = None) -> dict[str, CopiedProject]:
    """What a store knows of all projects, or of the members of a profile."""
    names = [name for name, _ in store.iter_serials()] if profile is None else list(store.members(profile))
    return {project.normalized_name: project for project in store.copied(names)}


def told(store: Store) -> list[tuple[Any, ...]]:
    """The events of a store without their numbers."""
    return [event[1:] for event in store.events()]


def unequal(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values differ: "a-b/package/serial: 1, 2"."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from unequal(one.get(key), other.get(key), f"{path}/{key}")
    elif one != other:
        yield f"{path}: {str(one)[:80]}, {str(other)[:80]}"


def assert_same_facts(copy: Store, store: Store, profile: Profile | None = None) -> None:
    """A copy knows what its source does."""
    one, other = (to_builtins(copied(of, profile)) for of in (copy, store))
    differing = list(unequal(one, other))
    assert not differing, differing[:5]
