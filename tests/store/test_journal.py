"""Failures, runs, events and counts: what fails here hides from a person what was not indexed."""

from __future__ import annotations

import pytest

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import Failure, FailureRow, Run, Status, Store, journal

from .samples import check, facts

PROFILE = Profile(key="plone", name="Plone", classifiers=("Framework :: Plone",))


def test_failures_are_counted_and_tried_less_and_less_often(store: Store) -> None:
    for at in (1000, 2000):
        store.record_failures([Failure("a", "project", "HTTP 500", at), Failure("a", "index", "bad", at)])
    store.record_failures([Failure("a", "project", "timeout\n  at line\t2 " + "x" * 1000, 3000)])
    project, index = store.failures()
    assert index == FailureRow("a", "index", "bad", 2, 1000, 2000, 2600)
    assert (project.count, project.first_at, project.last_at, project.next_try) == (3, 1000, 3000, 4200)
    assert project.reason.startswith("timeout at line 2 xxx")
    assert len(project.reason) == 500
    for _ in range(50):
        store.record_failures([Failure("a", "project", "again", 4000)])
    assert store.failures(limit=1)[0].next_try == 4000 + 86_400


def test_a_package_that_fails_twice_in_one_batch_counts_twice(store: Store) -> None:
    store.record_failures([Failure("a", "release", "x", 1), Failure("a", "release", "y", 2)])
    assert store.failures() == [FailureRow("a", "release", "y", 2, 1, 2, 602)]


def test_failures_are_cleared_by_package_or_stage(store: Store) -> None:
    store.record_failures([Failure(name, stage, "x", 1) for name in "abc" for stage in ("project", "index")])
    store.clear_failures(["a", "unknown"])
    store.clear_failures(["b"], "index")
    store.clear_failures(["c"], "description")
    assert [(row.normalized_name, row.stage) for row in store.failures()] == [
        ("b", "project"),
        ("c", "index"),
        ("c", "project"),
    ]


def test_failures_put_back_are_due_at_once(store: Store) -> None:
    """`scrapy status --retry`: else who mended a fault waits a day for the package."""
    names = [f"p{number}" for number in range(600)]
    store.record_failures(
        [Failure(name, stage, "x", 1000) for name in names for stage in ("project", "index")]
    )
    assert store.due("project", 1000) == set()
    assert store.retry_failures([*names[:550], "p0", "unknown"], 1000) == 1100
    assert store.due("project", 1000) == set(names[:550])
    assert store.retry_failures([], 1000) == 0
    assert store.retry_failures(None, 1000) == 1200
    assert store.due("index", 1000) == set(names)
    assert {(row.count, row.last_at) for row in store.failures()} == {(1, 1000)}


def test_runs_are_listed_last_first(store: Store) -> None:
    first = store.start_run("pypi", {"profile": "plone"}, 1000)
    second = store.start_run("project", {}, 2000)
    store.finish_run(first, "finished", 3, {"items": 5}, 1500)
    assert store.runs() == [
        Run(second, "project", {}, 2000, None, None, None, None),
        Run(first, "pypi", {"profile": "plone"}, 1000, 1500, "finished", 3, {"items": 5}),
    ]
    assert store.runs(limit=1)[0].id == second
    assert [run.id for run in store.runs(spider="pypi")] == [first]
    assert store.run(first) == store.runs()[1]
    assert store.run(99) is None


def test_the_newest_runs_of_each_spider_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One each minute makes half a million lines a year; those of the weekly one stay."""
    monkeypatch.setattr(journal, "RUNS_KEPT", 3)
    monkeypatch.setattr(journal, "_TIDIED_EVERY", 10)
    weekly = store.start_run("project", {}, 0)
    numbers = [store.start_run("rss", {}, at) for at in range(1, 25)]
    assert numbers[-1] == 25, "no number is given twice"
    assert [run.id for run in store.runs()] == [*range(25, 17, -1), weekly]


def test_status_of_an_empty_store(store: Store) -> None:
    assert store.status("plone", PROFILE) == Status(0, 0, 0, 0, 0, 0, 0, 0)


def test_status_counts(store: Store) -> None:
    store.record_checks([check("a", serial=99), check("unknown-serial", serial=0)])
    store.save_packages([facts("2.0", "1.0", name=name, releases={"1.0": None}) for name in "bcd"])
    store.save_packages([facts("1.0", name="e", classifiers=("Framework :: Django",))])
    store.record_failures([Failure("x", "project", "x", 1)])
    store.finish_index("plone", [("b", 1, {}), ("c", 0, {})])
    counts = Status(
        projects=6,
        with_serial=5,
        members=4,
        indexed=2,
        dirty=1,
        failures=1,
        partial_releases=3,
        max_serial=99,
    )
    assert store.status("plone") == counts
    assert store.status("plone", PROFILE) == counts._replace(members=3, dirty=2)
    assert store.status() == counts._replace(indexed=0, dirty=0)
    assert store.status(profile=PROFILE) == counts._replace(indexed=0, dirty=0, members=3)
