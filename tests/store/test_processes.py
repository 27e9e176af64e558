"""Several processes and sudden deaths: what fails here loses work that was reported as done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyf_scrapy
from pyf_scrapy.store import Store

from .databases import execute
from .samples import facts

CHECKOUT = Path(pyf_scrapy.__file__).parents[1]

WRITE = """
import itertools, sys
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord
from pyf_scrapy.store import Check, FeedState, PackageFacts, PageSaid, Store, Verified

url, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def facts(name, version):
    about = Metadata(name=name, version=version, description="x" * 5000, classifiers=(f"C :: {who}", "D"))
    record = ProjectRecord(name, name, version, 7, about, files={})
    return PackageFacts(project=record, serial=7, releases={}, at=1)

with Store(url, pypi_url="https://pypi.org") as store:
    print("ready", flush=True)
    for number in itertools.islice(itertools.count(), count or None):
        names = [f"{who}-{number}-{part}" for part in range(5)]
        store.save_packages([facts(name, "1.0") for name in names])
        other = ("D", f"E :: {number % 50}")
        store.record_checks([Check(f"{name}-checked", name, 7, other, at=1) for name in names])
        store.begin_index("plone", [(name, [f"{name}==1.0"]) for name in names])
        store.finish_index("plone", [(name, 1, {f"{name}==1.0": b"12345678"}) for name in names])
        store.save_verified([Verified(name, number, PageSaid("active", None, who)) for name in names])
        lost = f"{who}-{number}-lost"
        store.record_checks([Check(lost, lost, 7, (), "vanished", at=1)])
        assert store.bury([*store.vanished()], 2) <= 4  # any process may be the first
        store.note_index(number, number, 5)
        store.save_feed(FeedState(who, None, None, number))
        store.mark_seen({lost: 10**9}, now=0)
        assert store.seen_keys([lost], 1) == {lost}
        store.retry_failures(None, number)
        print(number, flush=True)
"""


def start(url: str, who: str, count: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, url, who, str(count)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_acknowledged_write_is_lost_by_kill_9(url: str) -> None:
    rng = random.Random(9)
    for life in range(10 if url.startswith("sqlite") else 2):
        with start(url, f"life{life}") as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.15))
            writer.send_signal(signal.SIGKILL)
            told, errors = writer.communicate(timeout=30)
        assert errors == ""
        done = told.split("\n")[:-1]
        with Store(url) as store:
            for number in done:
                names = [f"life{life}-{number}-{part}" for part in range(5)]
                assert store.revisions(names) == dict.fromkeys(names, 1)
                assert all(package.project.version == "1.0" for package in store.load_packages(names))
                assert {state.revision for state in store.indexed("plone", names).values()} == {1}
                assert {known.verified_at for known in store.standings(names).values()} == {int(number)}
                lost = store.project(f"life{life}-{number}-lost")
                assert lost is not None
                assert lost.status == "removed"
            # Of each call all or nothing is there.
            status = store.status("plone")
            lost_ones = sum(name.endswith("lost") for name, _ in store.iter_serials())
            assert status.members % 5 == status.indexed % 5 == (status.projects - lost_ones) % 5 == 0
            assert len(store.vanished()) <= life + 1
            assert status.members == len(store.events())
        if url.startswith("sqlite"):
            assert execute(url, "PRAGMA integrity_check") == ["ok"]


def test_threads_share_a_store(store: Store) -> None:
    def work(thread: int) -> list[int]:
        revisions = []
        for number in range(20):
            name = f"t{thread}-{number}"
            revisions += store.save_packages([facts("1.0", name=name, classifiers=(f"T :: {number % 7}",))])
            store.finish_index("plone", [(name, 1, {})])
        return revisions

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[1] * 20] * 4
    packages = list(store.load_packages(f"t{thread}-{number}" for thread in range(4) for number in range(20)))
    assert all(package.classifiers == package.project.metadata.classifiers for package in packages)
    assert len(packages) == 80


def test_four_processes_write_side_by_side(url: str) -> None:
    rounds = 20 if url.startswith("sqlite") else 5
    writers = [start(url, f"w{number}", rounds) for number in range(4)]
    for writer in writers:
        told, errors = writer.communicate(timeout=120)
        assert (errors, writer.returncode) == ("", 0)
        assert told.split()[-1] == str(rounds - 1)
    with Store(url) as store:
        status = store.status("plone")
        members = 20 * rounds
        assert (status.members, status.projects) == (members, 44 * rounds)
        assert (status.indexed, status.dirty) == (members, 0)
        assert store.vanished() == {}
        assert len(store.index_reads()) == rounds
        polled = {state.url: state.polled_at for state in store.feeds()}
        assert polled == {f"w{number}": rounds - 1 for number in range(4)}
        assert [event.seq for event in store.events()] == list(range(1, members + 1))
        package = store.load_package(f"w3-{rounds - 1}-4")
        assert package is not None
        assert package.classifiers == ("C :: w3", "D")
