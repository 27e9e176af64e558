"""`scrapy search`: packages of a collection that match some words."""

from __future__ import annotations

import argparse
import textwrap

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_table, print_text
from pyf_scrapy.dates import day
from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.lookup import existing_collection
from pyf_scrapy.search.queries import MAX_PER_PAGE, SearchResult, search

LONGEST_SUMMARY = 100  # characters; PyPI takes 512


class Command(PyfCommand):
    arguments = (0, 100)
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "[WORD ...] [-p PROFILE | -c COLLECTION] [--page N] [--per-page N] [--filter FILTER] [--json]"

    def short_desc(self) -> str:
        return "Search packages; without words, list those of the best health"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--page", type=int, default=1, metavar="N", help="which page (1)")
        parser.add_argument(
            "--per-page",
            type=int,
            default=20,
            metavar="N",
            help=f"packages on a page, 1 to {MAX_PER_PAGE} (20)",
        )
        parser.add_argument(
            "--filter",
            default="",
            metavar="FILTER",
            help="a filter of Typesense, such as 'health_score:>80' or 'framework_versions:=`Plone 6.1`'",
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        query = " ".join(args)
        collection = self.selected_collection(opts)
        with existing_collection(self.project_settings, collection, self.profiles().values()) as client:
            try:
                result = search(
                    client,
                    collection,
                    query,
                    page=opts.page,
                    per_page=opts.per_page,
                    filter_by=opts.filter,
                    facet_by=(),
                )
            except SearchError as error:
                if opts.filter and "filter" in str(error).lower():
                    raise UsageProblem(f"--filter {opts.filter!r}: {error}") from None
                raise
        if opts.json:
            print_json(
                {
                    "query": query,
                    "collection": collection,
                    "found": result.found,
                    "page": result.page,
                    "per_page": result.per_page,
                    "results": result.rows,
                }
            )
        else:
            _print(result, query, collection)
        return ExitCode.OK


def _print(result: SearchResult, query: str, collection: str) -> None:
    wanted = f" for {query!r}" if query else ""
    if not result.found:
        print_text(f"No package found{wanted} in {collection}.")
        return
    pages = -(-result.found // result.per_page)
    place = f", page {result.page} of {pages}" if pages > 1 else ""
    packages = "1 package" if result.found == 1 else f"{result.found:,} packages"
    print_text(f"{packages} found{wanted} in {collection}{place}")
    if not result.rows:
        print_text(f"There are only {pages} pages of them." if pages > 1 else "They are all on page 1.")
    else:
        print_text()
        print_table(
            ("name", "version", "health", "released", "summary"),
            (
                (
                    row["name"],
                    row["version"],
                    row["health_score"],
                    day(row["upload_timestamp"]),
                    textwrap.shorten(row["summary"], LONGEST_SUMMARY, placeholder=" …"),
                )
                for row in result.rows
            ),
        )
