"""The plot of the results: how many times as good as what each is compared with, and what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.running import Result

_OURS, _LIMIT = "#2a6f97", "#c1121f"


def draw(results: Sequence[Result], file: Path) -> bool:
    """Draws the ratios of all cases into an SVG; False when there is none or matplotlib is missing."""
    ratios = [(result.name, claim) for result in results for claim in result.claims if " : " in claim.text]
    if not ratios:
        return False
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    # The same figures give the same file; text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "pyf_scrapy", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 0.5 + 0.4 * len(ratios)), layout="constrained")
    places = range(len(ratios), 0, -1)
    axes.barh(places, [claim.value - 1 for _, claim in ratios], left=1, color=_OURS, height=0.6)
    for place, (_, claim) in zip(places, ratios, strict=True):
        if claim.limit is not None:
            axes.plot([claim.limit] * 2, [place - 0.4, place + 0.4], color=_LIMIT, linewidth=2)
        axes.annotate(f" {claim.value:.3g}", (claim.value, place), va="center", fontsize=8)
    axes.set_yticks(places, [f"{name}: {claim.text}" for name, claim in ratios], fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.1)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("ratio within a run (median); red: what is asked for")
    figure.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return True
