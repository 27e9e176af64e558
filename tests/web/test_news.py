"""The newest packages: which they are must not depend on how often somebody looked, nor cost a crawl's work
each time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from pyf_scrapy.parsers.records import ProjectRecord
from pyf_scrapy.store import Store, journal
from pyf_scrapy.web import news
from pyf_scrapy.web.catalogue import Packages, row_of
from pyf_scrapy.web.news import ENTRIES, NEW_FOR, NewestPackages
from pyf_scrapy.web.site import Site
from tests.store import samples

DAY = 86_400
NOW = 400 * DAY


class Reading:
    """A store that counts which records are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: list[str] = []

    def created_after(self, seq: int) -> list[tuple[int, str, int]]:
        return self._store.created_after(seq)

    def latest_records(self, names: Iterable[str]) -> Iterator[ProjectRecord]:
        names = list(names)
        self.read += names
        return self._store.latest_records(names)


class Collection:
    """Packages with their uploads, in a store and as a collection has them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reading = Reading(store)
        site = SimpleNamespace(store=self.reading, settings={"PYPI_URL": "https://pypi.example"})
        self.site = cast(Site, site)
        self.newest = self.reader()
        self.uploads: dict[str, list[int]] = {}
        self.found: dict[str, int] = {}
        self.serial = 10

    def reader(self) -> NewestPackages:
        """A server that has just been started."""
        return NewestPackages(self.site, news._Created(self.site))

    def publish(self, at: int, packages: dict[str, list[int]]) -> None:
        """A crawl at a time finds packages with the times of the uploads of their releases, oldest first."""
        self.serial += 1
        facts = []
        for name, uploads in packages.items():
            self.found.setdefault(name, at)
            self.uploads[name] = uploads
            versions = [f"{number}.0" for number in range(len(uploads), 0, -1)]
            made = samples.facts(*versions, name=name, serial=self.serial, at=at)
            files = {
                version: samples.files(version, uploaded=upload or None)
                for version, upload in zip(versions, reversed(uploads), strict=True)
            }
            facts.append(replace(made, project=structs.replace(made.project, files=files)))
        self.store.save_packages(facts)

    def packages(self) -> Packages:
        rows = {name: self._row(name, uploads) for name, uploads in self.uploads.items()}
        return Packages(rows, sorted(rows))

    def _row(self, name: str, uploads: list[int]) -> Any:
        document: dict[str, Any] = {"name": name, "name_normalized": name, "version": "1", "summary": "s"}
        return row_of({**document, "upload_timestamp": uploads[-1]})

    def expected(self) -> list[int]:
        """The times of the newest, from all that there is."""
        times = []
        for name, uploads in self.uploads.items():
            found = self.found[name]
            first = min(filter(None, uploads), default=found)
            times.append(max(found, first) if found - first <= NEW_FOR else first)
        return heapq.nlargest(ENTRIES, times)

    def times(self, newest: NewestPackages | None = None) -> list[int]:
        return [entry.updated for entry in (newest or self.newest).entries(self.packages())]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Store(f"sqlite:///{tmp_path / 'x'}", pypi_url="https://pypi.example") as store:
        yield Collection(store)


def life(dice: random.Random, until: int) -> list[int]:
    """The uploads of a package up to a time; sometimes there are none."""
    if dice.random() < 0.05:
        return [0]
    first = until - dice.randrange(300 * DAY)
    return sorted(dice.randrange(first, until) for _ in range(dice.randint(1, 4)))


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_all_packages_after_each_crawl(collection: Collection, seed: int) -> None:
    """For a server that runs as for one that was just started."""
    dice = random.Random(seed)
    for crawl in range(6):
        at = NOW + crawl * 9 * DAY
        new = {f"p{crawl}-{number}": life(dice, at) for number in range(80 if crawl == 0 else 12)}
        old = dice.sample(sorted(collection.uploads), min(len(collection.uploads), 15))
        collection.publish(at, new | {name: [*collection.uploads[name], at - 5] for name in old})
        assert collection.times() == collection.expected()
        assert collection.times(collection.reader()) == collection.expected()


def test_a_change_costs_what_has_changed(collection: Collection) -> None:
    """And the first look not more than what could be new."""
    collection.publish(NOW, {f"old-{number}": [DAY + number] for number in range(400)})
    collection.publish(NOW, {f"new-{number}": [200 * DAY + number, NOW - 30 * DAY] for number in range(100)})
    assert collection.times() == collection.expected()
    assert len(collection.reading.read) <= 100
    collection.reading.read.clear()
    collection.publish(NOW + DAY, {"new-7": [200 * DAY + 7, NOW + DAY], "newest": [NOW + DAY]})
    assert collection.times() == collection.expected()
    assert set(collection.reading.read) == {"new-7", "newest"}
    collection.reading.read.clear()
    packages = collection.packages()
    assert collection.newest.entries(packages) is collection.newest.entries(packages)
    assert collection.reading.read == []


def test_it_looks_back_as_far_as_it_must(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the events of the creation are too many to be looked at."""
    monkeypatch.setattr(journal, "EVENTS_READ", 10)
    collection.publish(NOW, {f"p{number}": [DAY * number, NOW - DAY] for number in range(1, 300)})
    assert collection.times() == collection.expected()


def test_what_is_too_much_for_one_reader_is_done_by_the_next(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_READ", 100)
    collection.publish(NOW, {f"p{number:03}": [DAY * (300 - number), NOW - DAY] for number in range(250)})
    packages = collection.packages()
    counts = []
    for _ in range(4):
        entries = collection.newest.entries(packages)
        counts.append(len(collection.reading.read))
    assert counts == [100, 200, 250, 250]
    assert [entry.updated for entry in entries] == collection.expected()


def test_what_is_remembered_of_events_is_bounded(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "EVENTS_READ", 3)
    collection.publish(NOW, {name: [DAY] for name in "abcde"})
    created = news._Created(collection.site)
    assert created("abcde") == dict.fromkeys("cde", NOW)
    collection.publish(NOW + 1, {"f": [DAY]})
    assert created("abcdef") == {"d": NOW, "e": NOW, "f": NOW + 1}
