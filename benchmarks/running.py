"""Runs cases: the contenders in turn, in another order each round."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.case import Bench, Case, Claim
from benchmarks.figures import Figures, medians, rates


class Result(msgspec.Struct):
    """What a case came to; `load` is the machine's load average before it."""

    name: str
    title: str
    size: int
    shown: tuple[str, ...]
    rounds: dict[str, list[Figures]]
    claims: list[Claim]
    about: str = ""
    load: float = 0.0

    @property
    def medians(self) -> dict[str, Figures]:
        """By contender."""
        return {contender: medians(figures) for contender, figures in self.rounds.items()}


def run_case(kind: type[Case], bench: Bench, say: Callable[[str], Any] = print) -> Result:
    """Runs all rounds of a case. Raises BenchmarkError when one of them did not do its work."""
    load = os.getloadavg()[0]
    with kind(bench) as case:
        rounds: dict[str, list[Figures]] = {contender: [] for contender in case.contenders}
        for number in range(bench.rounds):
            for place in range(len(case.contenders)):
                contender = case.contenders[(place + number) % len(case.contenders)]
                figures = rates(case.run(contender))
                rounds[contender].append(figures)
                say(f"{case.name} {number + 1}/{bench.rounds} {contender}: {_line(figures)}")
        claims = case.claims(rounds)
        return Result(case.name, case.title, case.size, case.shown, rounds, claims, case.about(), load)


def _line(figures: Figures) -> str:
    return " ".join(f"{name}={value:,.6g}" for name, value in figures.items())
