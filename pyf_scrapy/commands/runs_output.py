"""`scrapy status --runs` and `--run`: the runs there were, and one of them in full."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyf_scrapy.commands.output import (
    ExitCode,
    output_width,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.dates import minute
from pyf_scrapy.extensions.progress import duration
from pyf_scrapy.status import RunLine, run_detail, run_list
from pyf_scrapy.store.lags import Lags
from pyf_scrapy.store.run_reports import Report

#: How many runs are listed when no number is given.
LAST_RUNS = 20

_FIGURES = ("fetched", "indexed", "failed", "requests")
_WIDE = 105  # characters that all columns need


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `scrapy status` that are about runs."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--runs",
        nargs="?",
        type=_number,
        const=LAST_RUNS,
        metavar="N",
        help=f"list the last N runs ({LAST_RUNS}), the last one first",
    )
    which.add_argument("--run", type=_number, metavar="RUN", help="show a run, by its number, in full")


def print_runs(settings: Mapping[str, Any], opts: argparse.Namespace) -> int:
    """Print the last runs, or one. Raises UsageProblem when there is none of that number, StoreError."""
    if opts.run is not None:
        run, report = run_detail(settings, opts.run)
        if opts.json:
            print_json({"run": run, "report": report})
        else:
            _print_run(run, report)
        return ExitCode.OK
    runs = run_list(settings, opts.runs)
    if opts.json:
        print_json({"runs": runs})
    else:
        _print_table(runs)
    return ExitCode.OK


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:18]) <= 1_000_000_000):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a whole number above 0")
    return int(text)


def _print_table(runs: Sequence[RunLine]) -> None:
    """A row for each run; where there is no room for so many columns, what it came to stands in one."""
    is_wide = output_width() >= _WIDE
    columns = ("spider", "profiles", "took", "outcome", "exit", *_FIGURES, "304")
    print_table(
        ("run", "when (UTC)", *(columns if is_wide else ("spider", "took", "result"))),
        ((run.run, minute(run.started_at), *(_columns(run) if is_wide else _in_words(run))) for run in runs),
        empty="Nothing has run yet.",
    )


def _columns(run: RunLine) -> tuple[object, ...]:
    share = None if run.not_modified is None else f"{100 * run.not_modified:.0f} %"
    profiles = ", ".join(run.profiles)
    return run.spider, profiles, _took(run), run.outcome, run.exit_code, *_figures(run), share


def _in_words(run: RunLine) -> tuple[object, ...]:
    told = [f"{value:,} {name}" for name, value in zip(_FIGURES, _figures(run), strict=True) if value]
    if run.not_modified:
        told.append(f"{100 * run.not_modified:.0f} % of the answers 304")
    return " ".join([run.spider, *run.profiles]), _took(run), ", ".join([_outcome(run), *told])


def _figures(run: RunLine) -> tuple[int | None, ...]:
    """The values of `_FIGURES`."""
    return run.fetched, run.indexed, run.failed, run.requests


def _outcome(run: RunLine) -> str:
    return run.outcome if run.exit_code is None else f"{run.outcome}, exit code {run.exit_code}"


def _took(run: RunLine) -> str | None:
    return None if run.seconds is None else duration(run.seconds)


def _print_run(run: RunLine, report: Report | None) -> None:
    """One run in full; without its report only what the store knows."""
    print_summary(dict(_facts(run, report)))
    if report is None:
        print_text("There is no report of it: it was killed, or it is older than RUNS_KEPT keeps.")
        return
    print_text()
    print_summary({name.replace("_", " "): number for name, number in report.figures.items() if number})
    print_text()
    print_table(
        ("host", "requests", "answers", "304", "MB", "statuses"),
        (
            (
                name,
                host.requests,
                host.answers,
                host.not_modified,
                round(host.bytes / 1e6, 1),
                ", ".join(f"{status}: {number:,}" for status, number in host.statuses.items()),
            )
            for name, host in report.hosts.items()
        ),
        empty="No host was asked.",
    )
    if report.failures.first:
        print_text()
        print_table(
            ("failed", "at", "reason"),
            ((failure.name, failure.stage, failure.reason) for failure in report.failures.first),
        )
        if report.failures.total > len(report.failures.first):
            first = len(report.failures.first)
            print_text(f"These are the first {first:,} of {report.failures.total:,}.")


def _facts(run: RunLine, report: Report | None) -> Iterator[tuple[str, object]]:
    arguments = (f"{name}={value}" for name, value in run.arguments.items())
    yield "run", f"{run.run}: {' '.join((run.spider, *arguments))}"
    yield "profiles", ", ".join(run.profiles)
    yield "started", f"{minute(run.started_at)} UTC"
    if run.seconds is not None:
        yield "took", _took(run)
    yield "outcome", _outcome(run)
    if report is None:
        return
    yield "told", report.headline
    if report.problem is not None:
        yield "problem", report.problem
    if report.lags is not None:
        yield "lag" if report.finished_at else "lag so far", _lag(report.lags)
    yield "by", f"pyf_scrapy {report.version}"
    yield "report", run.report


def _lag(lags: Lags) -> str:
    """How long ago each source had been asked when the report was written."""
    asked = (("feeds", lags.feeds), ("index", lags.index), ("refresh", lags.refresh))
    return ", ".join(f"{name} {'never' if lag is None else duration(lag)}" for name, lag in asked)
