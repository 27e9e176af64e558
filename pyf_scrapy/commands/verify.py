"""`scrapy verify`: every difference between store, search index and PyPI."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_summary, print_table, print_text
from pyf_scrapy.commands.progress_bar import progress_bar
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.verify.differences import Difference, Report
from pyf_scrapy.verify.verification import Extent, verify

SAMPLE = 20  # packages


class Command(PyfCommand):
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "[-p PROFILE | -c COLLECTION] [--sample N | --all | --offline] [--seed N] [--json]"

    def short_desc(self) -> str:
        return "Compare store, index and PyPI, and list every difference"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument(
            "--sample",
            type=int,
            metavar="N",
            help=f"ask PyPI about so many packages, chosen at random ({SAMPLE})",
        )
        asked.add_argument("--all", action="store_true", help="ask PyPI about every package")
        asked.add_argument("--offline", action="store_true", help="do not ask PyPI")
        parser.add_argument("--seed", type=int, metavar="N", help="choose the same packages again")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        extent = _extent(opts)
        collection = self.selected_collection(opts)
        profiles = list(self.profiles().values())
        with progress_bar() as progress:
            report = verify(
                self.project_settings, collection, profiles, extent, datetime.now(UTC).date(), progress
            )
        if opts.json:
            print_json(report)
        else:
            _print(report)
        return ExitCode.OK if report.is_clean else ExitCode.FAILED


def _extent(opts: argparse.Namespace) -> Extent:
    """What the options ask for. Raises UsageProblem."""
    if opts.sample is not None and opts.sample < 1:
        raise UsageProblem(f"--sample {opts.sample}: give a number from 1, or --offline to ask nothing")
    if opts.seed is not None and (opts.all or opts.offline):
        raise UsageProblem("--seed chooses a sample: leave it out, or --all and --offline")
    if opts.offline:
        return Extent(0)
    if opts.all:
        return Extent(None)
    return Extent(SAMPLE if opts.sample is None else opts.sample, opts.seed)


def _print(report: Report) -> None:
    print_summary(
        {
            "collection": f"{report.collection}, profile {report.profile}",
            "compared": f"{report.packages:,} packages of the store, "
            f"{report.documents:,} documents of the index",
            "PyPI": _asked(report),
        }
    )
    print_text()
    listed = [*report.differences, *report.unreachable]
    if listed:
        print_table(("package", "kind", "release", "detail"), map(_row, listed))
        print_text()
    if report.stopped:
        print_text(report.stopped)
    print_text(_verdict(report))


def _asked(report: Report) -> str:
    if not report.to_ask:
        return "not asked"
    asked = f"asked about {report.asked:,} of {report.packages:,} packages"
    if report.seed is not None:
        asked += f" (--sample {report.to_ask} --seed {report.seed})"
    return asked


def _row(difference: Difference) -> tuple[str | None, ...]:
    id_ = difference.id
    release = id_ and (id_.partition("==")[2] or id_)
    return difference.package or "(all)", difference.kind, release, difference.detail


def _verdict(report: Report) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items() if count)
    if not report.differences:
        return "No difference" + (f", but {counts}." if counts else ".")
    number = len(report.differences)
    return f"{number:,} difference{'' if number == 1 else 's'}: {counts}."
