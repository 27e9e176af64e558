"""The arithmetic of a case: medians over rounds, ratios between contenders, and what must hold of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from pyf_scrapy.exceptions import PyfError

Figures = dict[str, float]
"""What one round of one contender came to, by name: "documents", "cpu_s", "wall_s", "peak_mb" ..."""


class BenchmarkError(PyfError):
    """A benchmark that did not do its work, so that its time says nothing."""


def require(what: str, found: float, expected: float) -> None:
    """Raises BenchmarkError unless both are equal."""
    if found != expected:
        raise BenchmarkError(f"{what}: {found:,} instead of {expected:,}")


def rates(figures: Figures) -> Figures:
    """Adds documents per CPU second and per second, where documents were counted."""
    documents = figures.get("documents", 0.0)
    added = {}
    for rate, seconds in (("documents_per_cpu_s", "cpu_s"), ("documents_per_s", "wall_s")):
        if documents and figures.get(seconds):
            added[rate] = documents / figures[seconds]
    return {**figures, **added}


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure that all rounds have."""
    if not rounds:
        return {}
    names = [name for name in rounds[0] if all(name in figures for figures in rounds)]
    return {name: median(figures[name] for figures in rounds) for name in names}


def ratio(rounds: Mapping[str, Sequence[Figures]], figure: str, of: str, to: str) -> float:
    """The median over the rounds of a figure of one contender, divided by that of another in the same round.

    What makes the machine slower in one round makes both slower.
    """
    return median(mine[figure] / theirs[figure] for mine, theirs in zip(rounds[of], rounds[to], strict=True))
