"""The arithmetic of the benchmarks: with a wrong median or ratio every figure in README would be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.case import Claim
from benchmarks.figures import BenchmarkError, medians, rates, ratio, require
from benchmarks.plot import draw
from benchmarks.report import markdown, number, read, write
from benchmarks.running import Result


def test_rates_are_documents_by_seconds() -> None:
    found = rates({"documents": 100.0, "cpu_s": 4.0, "wall_s": 2.0})
    assert (found["documents_per_cpu_s"], found["documents_per_s"]) == (25.0, 50.0)


def test_without_documents_there_are_no_rates() -> None:
    assert rates({"documents": 0.0, "cpu_s": 4.0, "wall_s": 2.0}).keys() == {"documents", "cpu_s", "wall_s"}


def test_one_bad_round_does_not_count() -> None:
    assert medians([{"cpu_s": 1.0}, {"cpu_s": 90.0}, {"cpu_s": 2.0}]) == {"cpu_s": 2.0}


def test_a_figure_that_a_round_lacks_has_no_median() -> None:
    assert medians([{"cpu_s": 1.0, "requests": 7.0}, {"cpu_s": 3.0}]) == {"cpu_s": 2.0}


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is slow in one round is slow for both; the medians alone would give 1."""
    rounds = {
        "ours": [{"x": 2.0}, {"x": 20.0}, {"x": 6.0}],
        "baseline": [{"x": 1.0}, {"x": 10.0}, {"x": 6.0}],
    }
    assert ratio(rounds, "x", "ours", "baseline") == 2.0


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (Claim("faster", 3.0, 3.0), True),
        (Claim("faster", 2.9, 3.0), False),
        (Claim("smaller", 3.1, 3.0, at_most=True), False),
        (Claim("smaller", 3.0, 3.0, at_most=True), True),
        (Claim("told", 0.0), True),
    ],
)
def test_what_is_asked_for_holds_or_is_missed(claim: Claim, holds: bool) -> None:
    assert claim.holds is holds


def test_less_work_than_asked_for_is_an_error() -> None:
    require("documents", 50, 50)
    with pytest.raises(BenchmarkError, match=r"documents: 49 instead of 50"):
        require("documents", 49, 50)


@pytest.mark.parametrize(
    ("value", "text"), [(886_000.0, "886,000"), (3.14159, "3.14"), (0.05, "0.05"), (7.0, "7"), (-0.5, "-0.5")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def _result(name: str, value: float) -> Result:
    rounds = {"ours": [{"documents": 50.0, "cpu_s": value}]}
    claim = Claim("ours : baseline", value, 3.0)
    return Result(name, f"Case {name}", 50, ("documents", "cpu_s", "peak_mb"), rounds, [claim], "It runs.")


def test_results_of_one_case_leave_those_of_others(tmp_path: Path) -> None:
    write(tmp_path, [_result("sweep", 1.0), _result("members", 2.0)])
    write(tmp_path, [_result("sweep", 4.0)], ["members", "increment", "sweep"])
    kept = [(result.name, result.claims[0].value) for result in read(tmp_path)]
    assert kept == [("members", 2.0), ("sweep", 4.0)]
    page = (tmp_path / "README.md").read_text()
    assert "| ours | 50 | 4 |  |" in page
    assert "**2** (at least 3: missed)" in page
    assert "**4** (at least 3: holds)" in page


def test_the_page_names_the_machine_but_nobody() -> None:
    page = markdown([], {"CPU": "some", "cores": "2"})
    assert "CPU some, cores 2." in page


def test_the_same_results_give_the_same_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw([_result("sweep", 4.0)], tmp_path / "one.svg")
    assert draw([_result("sweep", 4.0)], tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
