"""Many who save older and newer facts of the same projects at once: what fails here is work lost for good."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import Store

from .samples import PLONE, check, downloads, facts, link, repository, verified

PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))
NAMES = [f"p{number}" for number in range(6)]
KEYS = [f"github.com/o/{name}" for name in "xyz"]
WORKERS = 4
STEPS = 12

Shown = tuple[Any, ...]


class Worker:
    """Does at random what spiders do, with a store object of its own, as another process has it."""

    def __init__(self, url: str, seed: int, index: dict[str, Shown]) -> None:
        self.url = url
        self.rng = random.Random(seed)
        self.index = index
        self.serials: dict[str, int] = {}

    def work(self) -> None:
        with Store(self.url) as self.store:
            steps: list[Callable[[], object]] = [
                self.save,
                self.save,
                self.check,
                self.verify,
                self.enrich,
                self.send,
                self.fail,
            ]
            for _ in range(STEPS):
                self.rng.choice(steps)()

    def save(self) -> None:
        """A batch in an order of its own, each package with an answer of any age."""
        given = {name: self.serial(name) for name in self.some()}
        versions = {name: f"{serial}.0" for name, serial in given.items()}
        revisions = self.store.save_packages(
            [facts(versions[name], name=name, serial=serial, uploaded=1) for name, serial in given.items()]
        )
        now = self.store.revisions(given)
        assert all(now[name] >= revision for name, revision in zip(given, revisions, strict=True))

    def check(self) -> None:
        self.store.record_checks(
            [check(name, self.serial(name), PLONE if self.rng.random() < 0.5 else ()) for name in self.some()]
        )

    def verify(self) -> None:
        marker = self.rng.choice(["active", "archived"])
        self.store.save_verified([verified(name, marker) for name in self.some()])

    def enrich(self) -> None:
        at = self.rng.randrange(100)
        self.store.save_links([link(name, self.rng.choice(KEYS), at=at) for name in self.some()])
        self.store.save_repositories([repository(key, stars=at, at=at) for key in self.rng.sample(KEYS, 2)])
        self.store.save_downloads([downloads(name, at, at=at) for name in self.some()])

    def fail(self) -> None:
        self.store.enqueue(self.some(), 1, "test")
        self.store.clear_failures(self.some())
        self.store.dequeue(self.some())

    def send(self) -> None:
        """As a batch does: under the lock of the collection, what is dirty by now."""
        with self.store.index_lock("plone"):
            dirty = list(self.store.dirty("plone", PROFILE))
            members = {*self.store.members(PROFILE)}
            self.store.begin_index("plone", [(name, [name]) for name in dirty])
            sent = list(self.store.load_packages(name for name in dirty if name in members))
            for name in dirty:
                self.index.pop(name, None)
            time.sleep(self.rng.random() / 200)
            self.index.update((package.normalized_name, shown(self.store, package)) for package in sent)
            self.store.finish_index("plone", [(p.normalized_name, p.revision, {"x": b"1"}) for p in sent])
            names = {package.normalized_name for package in sent}
            self.store.forget_indexed("plone", [name for name in dirty if name not in names])

    def some(self) -> list[str]:
        return self.rng.sample(NAMES, self.rng.randint(1, len(NAMES)))

    def serial(self, name: str) -> int:
        serial = self.rng.randrange(100)
        self.serials[name] = max(serial, self.serials.get(name, serial))
        return serial


def shown(store: Store, package: Any) -> Shown:
    """What documents show of a package."""
    return (
        package.serial,
        package.project.version,
        package.standing.status or "active",  # what is not known counts as that, in documents too
        package.link and package.link.key,
        package.repository and package.repository.record,
        package.downloads,
    )


@pytest.mark.parametrize("seed", range(4))
def test_nothing_goes_back_and_nothing_is_lost(url: str, seed: int) -> None:
    index: dict[str, Shown] = {}
    workers = [Worker(url, seed * WORKERS + number, index) for number in range(WORKERS)]
    over = threading.Event()
    with Store(url) as store:

        def watch() -> None:
            serials: dict[str, int] = {}
            revisions: dict[str, int] = {}
            while not over.wait(0.002):
                now, then = dict(store.iter_serials()), store.revisions(NAMES)
                assert all(now[name] >= serial for name, serial in serials.items())
                assert all(then[name] >= revision for name, revision in revisions.items())
                serials, revisions = now, then

        with ThreadPoolExecutor(WORKERS + 1) as pool:
            watching = pool.submit(watch)
            try:
                for done in [pool.submit(worker.work) for worker in workers]:
                    done.result(timeout=60)
            finally:
                over.set()
            watching.result()
        given = [worker.serials for worker in workers]
        highest = {name: max(s[name] for s in given if name in s) for name in {n for s in given for n in s}}
        assert dict(store.iter_serials()) == highest

        def true(names: set[str]) -> dict[str, Shown]:
            return {p.normalized_name: shown(store, p) for p in store.load_packages(names)}

        members, dirty = {*store.members(PROFILE)}, {*store.dirty("plone", PROFILE)}
        assert {name: index[name] for name in index if name not in dirty} == true(members - dirty)
        last = Worker(url, 0, index)
        last.store = store
        last.send()
        assert list(store.dirty("plone", PROFILE)) == []
        assert index == true(members)
