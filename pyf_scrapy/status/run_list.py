"""Runs with what they came to, from the store and from their reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyf_scrapy.exceptions import StoreError, UsageProblem
from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store
from pyf_scrapy.status.runs import RunState, run_state
from pyf_scrapy.store.run_reports import Report, read_report, report_path


@dataclass(frozen=True)
class RunLine:
    """One run, by its number. Times are epoch seconds; None = not known, because it goes on or was killed.

    `outcome` as in `RunState`. `not_modified` is the share of the answers 304. `report` is the path of its
    report, None when there is none (any more).
    """

    run: int
    spider: str
    arguments: dict[str, Any]
    profiles: list[str]
    started_at: int
    seconds: int | None
    outcome: str
    exit_code: int | None
    fetched: int | None = None
    indexed: int | None = None
    failed: int | None = None
    requests: int | None = None
    not_modified: float | None = None
    report: str | None = None


def run_list(settings: Mapping[str, Any], limit: int) -> list[RunLine]:
    """The last `limit` runs, the last one first. Makes no store. Raises StoreError."""
    if not has_store(settings):
        return []
    folder = Path(settings["PYF_DATA_DIR"])
    with open_store(settings, of_any_pypi=True) as store:
        return [_line(folder, run_state(store, run)) for run in store.runs(limit)]


def run_detail(settings: Mapping[str, Any], number: int) -> tuple[RunLine, Report | None]:
    """One run with its report, if there is one. Makes no store.

    Raises UsageProblem when no run has that number, StoreError also when the report cannot be read.
    """
    if has_store(settings):
        with open_store(settings, of_any_pypi=True) as store:
            run = store.run(number)
            if run is not None:
                line = _line(Path(settings["PYF_DATA_DIR"]), run_state(store, run))
                return line, read_report(Path(line.report)) if line.report is not None else None
    raise UsageProblem(f"there is no run {number}; `scrapy status --runs` lists them")


def _line(folder: Path, state: RunState) -> RunLine:
    path = report_path(folder, state.spider, state.started_at, state.run)
    has_report = path.is_file()
    figures = state.figures
    if not figures and has_report:
        figures = _figures_so_far(path)
    hosts: list[Mapping[str, int]] = list(figures.get("hosts", {}).values())
    answers = sum(host.get("answers", 0) for host in hosts)
    not_modified = sum(host.get("not_modified", 0) for host in hosts)
    return RunLine(
        run=state.run,
        spider=state.spider,
        arguments=state.arguments,
        profiles=figures.get("profiles", _named(state.arguments)),
        started_at=state.started_at,
        seconds=state.seconds,
        outcome=state.outcome,
        exit_code=state.exit_code,
        fetched=figures.get("fetched"),
        indexed=figures.get("packages_indexed"),
        failed=figures.get("failed"),
        requests=sum(host.get("requests", 0) for host in hosts) if figures else None,
        not_modified=round(not_modified / answers, 3) if answers else None,
        report=str(path) if has_report else None,
    )


def _figures_so_far(path: Path) -> dict[str, Any]:
    """What a run that goes on, or was killed, had come to when it wrote its last report."""
    try:
        report = read_report(path)
    except StoreError:
        return {}
    if report is None:
        return {}
    hosts = {
        name: {"requests": host.requests, "answers": host.answers, "not_modified": host.not_modified}
        for name, host in report.hosts.items()
    }
    return {**report.figures, "hosts": hosts, "profiles": report.profiles}


def _named(arguments: Mapping[str, Any]) -> list[str]:
    """The profiles that a run was told to fill, as far as its arguments tell."""
    told = arguments.get("profile") or arguments.get("collection") or ""
    return [part for part in str(told).split(",") if part]
