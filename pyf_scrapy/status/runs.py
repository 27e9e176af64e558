"""What ran last and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyf_scrapy.session import run_lock
from pyf_scrapy.store import Run, Store

LAST_RUNS = 5
RUNS_ASKED = 100  # how far back a rate is looked for
_TELLING = 100  # projects; the rate of a run that fetched fewer is that of its start and end


@dataclass(frozen=True)
class RunState:
    """One run of a spider, by its number. `seconds` is None for a run whose end is not known.

    `figures`: those of the summary, its `hosts` and its `profiles`. `outcome`: running, killed, interrupted,
    done, some failed, with errors, not done.
    """

    run: int
    spider: str
    arguments: dict[str, Any]
    started_at: int
    seconds: int | None
    outcome: str
    exit_code: int | None
    figures: dict[str, Any]


def rate(runs: Sequence[Run], ceiling: float) -> float | None:
    """Projects a second: of the last run that fetched many, else the ceiling (0 = none), else None.

    `runs` begin with the last one.
    """
    for run in runs:
        fetched = (run.stats or {}).get("fetched", 0)
        if fetched >= _TELLING and run.finished_at is not None and run.finished_at > run.started_at:
            return float(fetched / (run.finished_at - run.started_at))
    return ceiling or None


def running(store: Store, spiders: Iterable[str]) -> list[RunState]:
    """The runs of these spiders that are under way with this store, the longest one first."""
    # Of one that never ran here the store would be searched to its beginning.
    known = [spider for spider in spiders if run_lock(store, spider).in_use()]
    last = [run for spider in known for run in store.runs(1, spider=spider) if run.finished_at is None]
    states = [run_state(store, run) for run in last]
    return sorted(
        (state for state in states if state.outcome == "running"), key=lambda state: state.started_at
    )


def run_state(store: Store, run: Run) -> RunState:
    """What became of a run; of one without an end, whether it still runs."""
    outcome = None
    if run.finished_at is None:
        is_last = store.runs(1, spider=run.spider)[0].id == run.id
        outcome = "running" if is_last and run_lock(store, run.spider).in_use() else "killed"
        # It may have ended between the two looks.
        run = store.run(run.id) or run
    return RunState(
        run=run.id,
        spider=run.spider,
        arguments=run.arguments,
        started_at=run.started_at,
        seconds=None if run.finished_at is None else run.finished_at - run.started_at,
        outcome=outcome if run.finished_at is None and outcome else _outcome(run),
        exit_code=run.exit_code,
        figures=run.stats or {},
    )


def _outcome(run: Run) -> str:
    if run.reason == "shutdown":
        return "interrupted"
    unfinished = "with errors" if run.reason == "finished" else "not done"
    return {0: "done", 3: "some failed"}.get(run.exit_code or 0, unfinished)
