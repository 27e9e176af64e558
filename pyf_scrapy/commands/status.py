"""`scrapy status`: how far the crawl is, what is in the index, what failed and what ran last."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_summary, print_table, print_text
from pyf_scrapy.dates import minute
from pyf_scrapy.extensions.progress import duration
from pyf_scrapy.lookup import maker
from pyf_scrapy.status import Overview, RunState, overview


class Command(PyfCommand):
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "[-p PROFILE | -c COLLECTION] [--failures] [--json]"

    def short_desc(self) -> str:
        return "Show how far the crawl is, what is indexed and what failed"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--failures", action="store_true", help="show all failures, not the last few")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        named = opts.package_profile is not None or opts.collection is not None
        collection = self.selected_collection(opts) if named else None
        found = overview(self.project_settings, collection=collection, all_failures=opts.failures)
        if opts.json:
            print_json(found)
        else:
            start = maker(collection, self.profiles().values()) if collection is not None else None
            _print(found, collection, start)
        return ExitCode.OK


def _print(found: Overview, collection: str | None, start: str | None) -> None:
    """`start` is the command that makes the collection asked for."""
    if not found.crawled:
        print_text(f"Nothing crawled yet in {found.folder}. Start with:")
        for command in [start] if start is not None else _FIRST_COMMANDS:
            print_text(f"  {command}")
        return
    print_summary(dict(_facts(found)))
    print_text()
    print_table(
        ("collection", "releases", "members", "indexed", "waiting", "documents"),
        (
            (
                state.collection,
                "all" if state.releases is None else str(state.releases),
                state.members,
                state.indexed,
                state.waiting,
                state.documents,
            )
            for state in found.collections
        ),
        empty="No collection yet." if collection is None else f"No collection {collection} yet: {start}",
    )
    if found.runs:
        print_text()
        print_table(("last runs (UTC)", "spider", "took", "result"), map(_run, found.runs))
    if found.failed:
        print_text()
        print_table(
            ("failed", "at", "tries", "next (UTC)", "reason"),
            (
                (row.normalized_name, row.stage, row.count, minute(row.next_try), row.reason)
                for row in found.failed
            ),
        )
        if found.failures > len(found.failed):
            print_text(f"These are the last {len(found.failed)} of {found.failures:,}; --failures shows all.")


_FIRST_COMMANDS = (
    "scrapy crawl pypi -a profile=plone     (scrapy profiles lists them all)",
    "scrapy crawl project -a names=NAME,NAME -a collection=stack",
)


def _facts(found: Overview) -> Iterator[tuple[str, str]]:
    yield "data", f"{found.folder}, facts of {found.pypi_url}"
    if found.listed is None:
        yield "index", "not read yet (the spider pypi reads it)"
    else:
        serial = f", serial {found.index_serial}" if found.index_serial is not None else ""
        yield "index", f"{found.listed:,} projects, read {minute(found.index_read_at)} UTC{serial}"
        yield "checked", _checked(found, found.listed, found.checked or 0)
    yield "known", f"{found.known:,} projects, highest serial {found.highest_serial}"
    yield "kept", f"{found.packages:,} packages with their releases"
    yield "partial", f"{found.partial_releases:,} of the releases: PyPI has no metadata of their own"
    yield "failures", f"{found.failures:,}"
    if found.search != "asked":
        yield "documents", found.search


def _checked(found: Overview, listed: int, checked: int) -> str:
    text = f"{checked:,} of {listed:,}"
    if checked == listed:
        return f"{text}, everything is up to date"
    text += f" ({100 * checked / listed:.1f} %)"
    if found.seconds_left is None:
        return text
    return f"{text}, about {duration(found.seconds_left)} left at {found.projects_per_second:.1f}/s"


def _run(run: RunState) -> tuple[str | None, str, str | None, str]:
    arguments = (f"{name}={value}" for name, value in run.arguments.items())
    figures = run.figures
    counted = [
        f"{figures[name]:,} {text}"
        for name, text in (
            ("fetched", "fetched"),
            ("packages_indexed", "indexed"),
            ("failed", "failed"),
            ("documents_rejected", "documents rejected"),
        )
        if figures.get(name)
    ]
    return (
        minute(run.started_at),
        " ".join((run.spider, *arguments)),
        None if run.seconds is None else duration(run.seconds),
        ", ".join([run.outcome, *counted]),
    )
