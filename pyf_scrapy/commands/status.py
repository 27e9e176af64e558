"""`scrapy status`: how far the crawl is, how old what is known is, what failed and what ran last."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Iterator

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_summary, print_table, print_text
from pyf_scrapy.commands.repositories_output import print_markdown, print_repositories
from pyf_scrapy.commands.runs_output import add_options, print_runs
from pyf_scrapy.dates import minute
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.extensions.progress import duration
from pyf_scrapy.lookup import crawls, maker
from pyf_scrapy.status import (
    CollectionState,
    LimitCheck,
    Overview,
    RunState,
    next_try,
    overview,
    repository_report,
    retry,
)
from pyf_scrapy.store import FailureRow

#: Names in a command that is shown; with more it would be hard to read.
_MOST_NAMES = 10


class Command(PyfCommand):
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return (
            "[-p PROFILE | -c COLLECTION] [--check] [--failures] [--retry [NAME ...]] "
            "[--repositories [--markdown]] [--runs [N] | --run RUN] [--json]"
        )

    def short_desc(self) -> str:
        return "Show how far the crawl is, how old its facts are, what is indexed and what failed"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--check", action="store_true", help="exit with 1 when a limit (STATUS_*) is missed, and name it"
        )
        parser.add_argument("--failures", action="store_true", help="show all failures, not the last few")
        parser.add_argument(
            "--retry", nargs="*", metavar="NAME", help="try failed packages (all, or these) again at once"
        )

        parser.add_argument(
            "--repositories",
            action="store_true",
            help="show which packages have no usable repository, and why",
        )
        parser.add_argument(
            "--markdown", action="store_true", help="with --repositories: as Markdown, to paste into an issue"
        )
        add_options(parser)

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        named = opts.package_profile is not None or opts.collection is not None
        if opts.runs is not None or opts.run is not None:
            others = (opts.check, opts.failures, opts.retry is not None, opts.repositories, opts.markdown)
            if named or any(others):
                raise UsageProblem("--runs and --run go with --json only: they are about all collections")
            return print_runs(self.project_settings, opts)
        if opts.retry is not None:
            if named or opts.check or opts.failures or opts.repositories or opts.markdown:
                raise UsageProblem("--retry goes with NAMEs and --json only: it is about all collections")
            return self._retry(opts)
        collection = self.selected_collection(opts) if named else None
        if opts.repositories or opts.markdown:
            return self._repositories(opts, collection)
        now = int(time.time())
        found = overview(self.project_settings, now=now, collection=collection, all_failures=opts.failures)
        if opts.json:
            print_json(found)
        else:
            _print(found, collection, self._start(collection), now, in_full=opts.failures)
        if not opts.check:
            return ExitCode.OK
        missed = [check for check in found.checks if not check.ok]
        if found.crawled and not opts.json:
            names = [state.collection for state in found.collections] if collection is None else [collection]
            self._print_missed(missed, names)
        return ExitCode.FAILED if missed or not found.crawled else ExitCode.OK

    def _retry(self, opts: argparse.Namespace) -> int:
        retried = retry(self.project_settings, opts.retry, now=int(time.time()))
        if opts.json:
            print_json({"retried": retried.count})
        elif retried.count:
            failures = "1 failure is" if retried.count == 1 else f"{retried.count:,} failures are"
            print_text(f"{failures} due now. The next run tries again:")
            names = ",".join(retried.names) if len(retried.names) <= _MOST_NAMES else "NAME,NAME"
            for crawl in self._crawl(
                "pypi", retried.collections, others=f"project -a names={names}"
            ).splitlines():
                print_text(f"  {crawl}")
        else:
            print_text("No package has failed.")
        return ExitCode.OK

    def _repositories(self, opts: argparse.Namespace, collection: str | None) -> int:
        if not opts.repositories or opts.check or opts.failures or (opts.markdown and opts.json):
            raise UsageProblem("--repositories goes with -p or -c, and one of --markdown and --json")
        report = repository_report(self.project_settings, collection)
        start = self._start(collection)
        if opts.json:
            print_json(report)
        elif not report.crawled:
            _print_start(report.folder, start)
        elif not report.collections:
            print_text(_no_collection(collection, start))
        else:
            printed = print_markdown if opts.markdown else print_repositories
            printed(report, self._crawl("github", report.collections, others="github"))
        return ExitCode.OK

    def _start(self, collection: str | None) -> str | None:
        """The command that makes the collection asked for."""
        return None if collection is None else maker(collection, self.profiles().values())

    def _print_missed(self, missed: Iterable[LimitCheck], collections: list[str]) -> None:
        print_text()
        print_table(
            ("limit missed", "is", "limit", "what helps"),
            (
                (
                    check.name,
                    _shown(check, check.value),
                    _shown(check, check.limit),
                    self._remedy(check, collections),
                )
                for check in missed
            ),
            empty="All limits are kept.",
        )

    def _remedy(self, check: LimitCheck, collections: list[str]) -> str:
        """The commands after which a missed limit is kept again."""
        kind, _, collection = check.name.partition(":")
        if kind in ("indexed", "search"):
            return self._crawl("pypi", [collection], others="project -a refresh=1")
        if kind == "refresh":
            return self._crawl("project -a refresh=1", collections, others="project -a refresh=1")
        return self._crawl("rss" if kind == "feeds" else "pypi", collections)

    def _crawl(self, spider: str, collections: Iterable[str], others: str | None = None) -> str:
        """The crawls of these collections, one a line."""
        return "\n".join(crawls(spider, list(collections), self.profiles().values(), others))


def _print(found: Overview, collection: str | None, start: str | None, now: int, *, in_full: bool) -> None:
    """`start` is the command that makes the collection asked for; `in_full` is about failures."""
    if not found.crawled:
        _print_start(found.folder, start)
        return
    print_summary(dict(_facts(found)))
    print_text()
    if found.collections:
        print_summary({state.collection: _coverage(found, state) for state in found.collections})
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
        empty=_no_collection(collection, start),
    )
    if found.runs:
        print_text()
        print_table(("last runs (UTC)", "spider", "took", "result"), map(_run, found.runs))
    if found.failed:
        print_text()
        print_table(
            ("failed", "at", "tries", "when (UTC)" if in_full else "next (UTC)", "reason"),
            (
                (row.normalized_name, row.stage, row.count, _times(row, now, in_full=in_full), row.reason)
                for row in found.failed
            ),
        )
        if found.failures > len(found.failed):
            print_text(f"These are the last {len(found.failed)} of {found.failures:,}; --failures shows all.")


def _print_start(folder: str, start: str | None) -> None:
    print_text(f"Nothing crawled yet in {folder}. Start with:")
    for command in [start] if start is not None else _FIRST_COMMANDS:
        print_text(f"  {command}")


def _no_collection(collection: str | None, start: str | None) -> str:
    return "No collection yet." if collection is None else f"No collection {collection} yet: {start}"


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
    yield "lag", _lag(found)
    yield "known", f"{found.known:,} projects, highest serial {found.highest_serial}"
    yield "kept", f"{found.packages:,} packages with their releases"
    yield "partial", f"{found.partial_releases:,} of the releases: PyPI has no metadata of their own"
    if found.vanished:
        yield "vanished", f"{found.vanished:,} packages: PyPI does not have them any more"
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


def _lag(found: Overview) -> str:
    """How long ago each lane ran; a change that waits longer than that makes the index lane late."""
    lanes = found.lanes
    texts = []
    for name, lag in (("feeds", lanes.feeds), ("index", lanes.index), ("refresh", lanes.refresh)):
        texts.append(f"{name} {'never' if lag is None else duration(lag)}")
    if found.oldest_unchecked_change:
        texts[1] += f" ({duration(found.oldest_unchecked_change)} behind)"
    if lanes.refresh is not None and lanes.never_verified:
        texts[2] += f" ({lanes.never_verified:,} not verified yet)"
    return ", ".join(texts)


def _coverage(found: Overview, state: CollectionState) -> str:
    checked = "index not read yet"
    if found.listed is not None:
        serial = f" at serial {found.index_serial}" if found.index_serial is not None else ""
        checked = f"checked {found.checked:,} of {found.listed:,}{serial}"
    text = f"{checked}; {state.matching:,} match; {state.indexed:,} indexed"
    if found.oldest_unchecked_change is None:
        return text
    return f"{text}; oldest unchecked change: {duration(found.oldest_unchecked_change)}"


def _shown(check: LimitCheck, value: float | None) -> str:
    """A share or seconds as a person reads it, never rounded up to its limit."""
    if value is None:
        return "unknown"
    if check.is_share:
        return f"{math.floor(round(value * 100_000, 3)) / 1000:g} %"
    return f"{value:,.0f} s"


def _times(row: FailureRow, now: int, *, in_full: bool) -> str:
    """When it is tried again; `in_full` also when it failed first and last."""
    again = minute(next_try(row, now))
    if not in_full:
        return again or "next run"
    last = [f"last {minute(row.last_at)}"] if row.last_at != row.first_at else []
    return "\n".join([f"first {minute(row.first_at)}", *last, f"next {again or 'run'}"])


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
