"""Results as files: JSON with every round, a Markdown table of medians."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks.case import Claim
from benchmarks.plot import draw
from benchmarks.running import Result

RESULTS = Path(__file__).parent / "results"
PLOT = "ratios.svg"

_BUSY = 4.0
"""A load average that other cases of the same run do not explain."""

LIBRARIES = ("Scrapy", "Twisted", "aiohttp", "msgspec", "requests", "typesense", "SQLAlchemy")

HEADS = {
    "documents": "documents",
    "cpu_s": "CPU s",
    "wall_s": "s",
    "documents_per_cpu_s": "documents per CPU s",
    "documents_per_s": "documents per s",
    "peak_mb": "peak MB",
    "server_cpu_s": "server CPU s",
    "server_answers_per_cpu_s": "server answers per CPU s",
}


def machine() -> dict[str, str]:
    """What the figures depend on; no names of hosts, users or folders."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "CPU": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def number(value: float) -> str:
    """Three figures, or whole numbers with thousands."""
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def is_busy(result: Result) -> bool:
    """Whether the machine had other work while the case ran."""
    return result.load > _BUSY


def table(result: Result) -> Iterator[str]:
    """The lines of a case: medians by contender, then what holds."""
    heads = [HEADS.get(name, name.replace("_", " ")) for name in result.shown]
    rounds = len(next(iter(result.rounds.values())))
    yield f"### {result.title}"
    yield ""
    if result.about:
        yield result.about
        yield ""
    kind = f"medians of {rounds} rounds" if rounds > 1 else "one round"
    load = f"load of the machine before it {result.load:.1f}"
    if is_busy(result):
        load += "; it had other work, so its seconds say little"
    yield f"`{result.name}`, size {result.size:,}, {kind}, {load}"
    yield ""
    yield f"| | {' | '.join(heads)} |"
    yield "| --- |" + " ---: |" * len(heads)
    for contender, figures in result.medians.items():
        cells = [number(figures[name]) if name in figures else "" for name in result.shown]
        yield f"| {contender} | {' | '.join(cells)} |"
    yield ""
    yield from (f"- {sentence(claim)}" for claim in result.claims)
    yield ""


def demand(claim: Claim) -> str:
    """What is asked of a claim, and whether it holds; empty when nothing is."""
    if claim.limit is None:
        return ""
    kind = "at most" if claim.at_most else "at least"
    return f"{kind} {number(claim.limit)}: {'holds' if claim.holds else 'missed'}"


def sentence(claim: Claim) -> str:
    """A claim in words."""
    asked = demand(claim)
    return f"{claim.text}: **{number(claim.value)}**" + (f" ({asked})" if asked else "")


def markdown(results: Sequence[Result], about: dict[str, str], *, plot: bool = False) -> str:
    """The page of all results."""
    lines = ["# Benchmarks", "", ", ".join(f"{name} {value}" for name, value in about.items()) + ".", ""]
    if plot:
        lines += [f"![ratios]({PLOT})", ""]
    for result in results:
        lines += table(result)
    return "\n".join(lines).rstrip() + "\n"


class Page(msgspec.Struct):
    """Everything that was measured."""

    machine: dict[str, str]
    results: list[Result]


def read(folder: Path) -> list[Result]:
    """The results that are there; none when there are none."""
    file = folder / "results.json"
    return msgspec.json.decode(file.read_bytes(), type=Page).results if file.exists() else []


def write(folder: Path, new: Sequence[Result], order: Sequence[str] = ()) -> None:
    """Writes new results beside those of other cases that are there; `order` has names of cases."""
    found = {result.name: result for result in (*read(folder), *new)}
    results = [found.pop(name) for name in order if name in found] + list(found.values())
    about = machine()
    folder.mkdir(parents=True, exist_ok=True)
    page = msgspec.json.format(msgspec.json.encode(Page(about, results)), indent=1)
    (folder / "results.json").write_bytes(page + b"\n")
    plotted = draw(results, folder / PLOT)
    (folder / "README.md").write_text(markdown(results, about, plot=plotted))
