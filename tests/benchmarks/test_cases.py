"""A benchmark measures only what was done: a case runs, and fails when a single document is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from benchmarks.__main__ import CASES
from benchmarks.case import Bench
from benchmarks.cases.sweep import BASELINE, OURS, RAW, Sweep, check_store
from benchmarks.figures import BenchmarkError
from benchmarks.processes import Running, Server, serving
from benchmarks.running import run_case
from benchmarks.world import WorldOptions
from pyf_scrapy.search.embedded import Server as Typesense
from pyf_scrapy.store import Check

DOCUMENTS = 50


@pytest.fixture
def bench(tmp_path: Path, empty_index: Typesense) -> Iterator[Bench]:
    with Bench(tmp_path, rounds=1, documents=DOCUMENTS, typesense=empty_index) as bench:
        yield bench


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of whose projects is listed, but a 404."""
    with serving(WorldOptions(DOCUMENTS, missing=1)) as server:
        yield server


def test_a_case_runs_all_contenders_and_compares_them(bench: Bench) -> None:
    said: list[str] = []
    result = run_case(Sweep, bench, said.append)
    assert set(result.medians) == {BASELINE, OURS, RAW}
    assert {figures["documents"] for figures in result.medians.values()} == {DOCUMENTS}
    assert all(figures["cpu_s"] > 0 and figures["server_cpu_s"] > 0 for figures in result.medians.values())
    assert len(said) == 3
    assert {claim.limit for claim in result.claims} == {3.0, 1 / 20, None}


@pytest.mark.parametrize("contender", [BASELINE, RAW])
def test_a_missing_document_fails_the_round(bench: Bench, server: Server, contender: str) -> None:
    case = Sweep(bench)
    case.server = server
    with pytest.raises(BenchmarkError, match="49 instead of 50"):
        case.run(contender)


def test_a_document_that_the_store_lacks_fails_ours(bench: Bench, server: Server) -> None:
    place = bench.place(server)
    place.folder.mkdir()
    with place.store() as store:
        store.record_checks([Check(f"name-{number}", "name", 1, ()) for number in range(DOCUMENTS - 1)])
    with pytest.raises(BenchmarkError, match="projects in the store: 49 instead of 50"):
        check_store(place, DOCUMENTS, 0)


def test_a_process_that_fails_has_no_figures() -> None:
    with pytest.raises(BenchmarkError, match="ended with 3"):
        Running(["-c", "import sys; sys.exit(3)"]).wait()


def test_memory_and_cpu_are_those_of_the_process() -> None:
    ended = Running(
        ["-c", "kept = bytearray(150_000_000); sum(range(2_000_000)); import time; time.sleep(0.2)"]
    )
    done = ended.wait()
    assert 150 < done.peak_mb < 250
    assert 0.02 < done.cpu < 20


def test_the_server_redirects_and_knows_tags_and_tells_of_both(server: Server) -> None:
    server.control("reset")
    redirect = requests.get(f"{server.url}/pypi/Zope.Interface/json", timeout=10, allow_redirects=False)
    assert (redirect.status_code, redirect.headers["Location"]) == (301, "/pypi/zope-interface/json")
    missing = requests.get(f"{server.url}/pypi/zope-interface/json", timeout=10)
    index = requests.get(f"{server.url}/simple/", timeout=10)
    known = {"If-None-Match": index.headers["ETag"]}
    again = requests.get(f"{server.url}/simple/", headers=known, timeout=10)
    assert [answer.status_code for answer in (missing, index, again)] == [404, 200, 304]
    answered = server.control("statistics")
    assert all(answered[kind] == 1 for kind in ("redirect", "not_found", "index", "not_modified"))


def test_names_of_cases_are_different() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
