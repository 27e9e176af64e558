"""One crawl of a small replica for all tests of the commands that read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy.demo import star
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.faults import Rule
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.runner import running_replica
from pyf_scrapy.search.binary import supported
from tests.commands.world import EMBEDDED, OPTIONS, YANK_REASON, Run, World, run_in
from tests.crawling import CHECKOUT, Place


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, gone: Callable[..., bool]) -> Iterator[World]:
    """Plone and Django packages of a replica, crawled once; seven projects have broken documents."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path_factory.mktemp("commands") / "data"
    replica = Replica(OPTIONS)
    package = star(replica, load_profiles()["plone"])
    yanked, partial = (release.version for release in package.releases[:2])
    members = {*replica.members("Framework :: Plone"), *replica.members("Framework :: Django")}
    broken = frozenset([name for name in replica.names() if name not in members][:7])
    rules = [
        Rule(f"/pypi/{package.normalized_name}/{partial}/json", "status-404"),
        *(Rule(name, "garbage") for name in broken),
    ]
    with running_replica(OPTIONS, rules=rules) as handle:
        handle.event({"event": "yank", "project": package.name, "version": yanked, "reason": YANK_REASON})
        place = Place(folder, handle.url, EMBEDDED, {"TYPESENSE_LINGER": 2})
        crawl = place.run("crawl", "pypi", "-a", "profile=plone,django")
    assert crawl.returncode == 3, crawl.stderr
    yield World(place, replica, package, yanked, partial, broken)
    assert gone(folder / "typesense")


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the crawled folder, in a terminal of 80 columns."""
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments, **settings: run_in(world.place, *arguments, **settings)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder in which nothing has run yet."""
    monkeypatch.chdir(CHECKOUT)
    return Place(tmp_path / "data", "http://127.0.0.1:9", EMBEDDED)
