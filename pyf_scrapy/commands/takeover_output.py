"""What `scrapy collections import` prints."""

from __future__ import annotations

from pyf_scrapy.commands.output import print_summary, print_table, print_text
from pyf_scrapy.takeover import Report
from pyf_scrapy.takeover.takeover import Unusable

MOST_SHOWN = 20  # entries of a list on a terminal


def print_takeover(report: Report, crawl: str) -> None:
    """Print a report for people (as JSON it is printed as it is); `crawl` is the command to go on with."""
    print_summary(
        {
            "read": f"{report.documents:,} documents of {report.collection} ({report.server})",
            "packages": report.packages,
            "with figures of GitHub": f"{report.with_github:,}, of {report.repositories:,} repositories",
            "with downloads": report.with_downloads,
            "queued": f"{report.queued:,} that are new here",
            "documents refused": report.refused.count,
            "figures not usable": report.unusable_figures.count,
        }
    )
    _print_unusable("Refused documents", report.refused)
    _print_unusable("Figures that cannot be used, of documents that were taken", report.unusable_figures)
    print_text()
    print_text(f"Next: {crawl}" if report.packages else "Nothing was taken over.")


def _print_unusable(title: str, unusable: Unusable) -> None:
    if not unusable.count:
        return
    print_text()
    print_text(f"{title}: {unusable.count:,}")
    if unusable.count > MOST_SHOWN:
        print_table(("reason", "number"), unusable.reasons.most_common())
        print_text()
    rare_first = sorted(unusable.listed, key=lambda one: unusable.reasons[one.reason])
    print_table(("document", "reason"), ((one.id, one.reason) for one in rare_first[:MOST_SHOWN]))
    if unusable.count > MOST_SHOWN:
        print_text(f"... and {unusable.count - MOST_SHOWN:,} more; --json lists all")
