"""`scrapy replica`: a local PyPI with invented packages, GitHub and download figures for them."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from pyf_scrapy.command import port, strict
from pyf_scrapy.exceptions import ReplicaError

if TYPE_CHECKING:
    from pyf_scrapy.replica.cdn import CdnOptions
    from pyf_scrapy.replica.options import Options

_MOST_EVENTS = 60_000  # a minute; more than a machine serves


class Command(ScrapyCommand):
    """Serves until it is interrupted."""

    requires_project = True
    requires_crawler_process = False
    default_settings: ClassVar[dict[str, bool]] = {"LOG_ENABLED": False}

    def syntax(self) -> str:
        return "[options]"

    def short_desc(self) -> str:
        return "Serve a replica of PyPI with invented packages"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        strict(parser, "replica")
        group = parser.add_argument_group("Replica")
        group.add_argument(
            "--projects", type=int, default=5000, metavar="N", help="number of projects (5000)"
        )
        group.add_argument(
            "--seed", type=int, default=7, metavar="N", help="another seed, other packages (7)"
        )
        group.add_argument(
            "--members",
            action="append",
            default=[],
            metavar="FAMILY=N",
            help="exact number of packages of a family (plone=100); may be repeated",
        )
        group.add_argument("--only-members", action="store_true", help="no packages of families not named")
        group.add_argument(
            "--now", metavar="DATE", help="clock that release dates are relative to (today, UTC)"
        )
        group.add_argument("--host", default="127.0.0.1", help="address to bind (127.0.0.1)")
        group.add_argument(
            "--port",
            type=port,
            metavar="PORT",
            default=0,
            help="port to bind (0 = any free one)",
        )
        group.add_argument("--latency", type=float, default=0.0, metavar="MS", help="added to every answer")
        group.add_argument("--faults", type=Path, metavar="FILE", help="fault plan (YAML or JSON)")
        group.add_argument(
            "--unhinted", type=float, default=0.1, metavar="SHARE", help="members with neutral names"
        )
        group.add_argument(
            "--decoys", type=float, default=0.1, metavar="SHARE", help="named like members, but none"
        )
        group.add_argument(
            "--empty", type=float, default=0.01, metavar="SHARE", help="projects without releases"
        )
        group.add_argument(
            "--missing", type=float, default=0.02, metavar="SHARE", help="projects lacking a release's JSON"
        )
        group.add_argument(
            "--most-releases", type=int, default=200, metavar="N", help="releases of a project (200)"
        )
        group.add_argument("--no-hostile", action="store_true", help="no scripts and control characters")
        group.add_argument(
            "--publish",
            type=float,
            default=0.0,
            metavar="N",
            help="events a minute that happen by themselves",
        )
        group.add_argument("--cdn", action="store_true", help="answer through the caches of a CDN")
        group.add_argument(
            "--lost-purges", type=float, metavar="SHARE", help="changes that a node of the CDN misses"
        )
        group.add_argument(
            "--stale-nodes", type=int, metavar="N", help="nodes of the CDN, of 3, that miss all changes"
        )
        group.add_argument(
            "--cdn-speed", type=float, metavar="X", help="seconds that pass for the CDN in one second (1)"
        )
        group.add_argument(
            "--monorepos", type=float, default=0.0, metavar="SHARE", help="projects that share a repository"
        )
        group.add_argument(
            "--service",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="how GitHub, pypistats and ClickPy behave (github_rest_limit=100); may be repeated",
        )

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        if args:
            raise UsageError(f"unknown argument: {' '.join(args)}", print_help=False)
        try:
            self.exitcode = asyncio.run(_run(_options(opts), _cdn(opts), opts))
        except ReplicaError as error:
            raise UsageError(str(error), print_help=False) from error


def _options(opts: argparse.Namespace) -> Options:
    from pyf_scrapy.replica.options import Options

    members = {}
    for pair in opts.members:
        key, _, count = pair.partition("=")
        if not count.isdecimal():
            raise ReplicaError(f"--members {pair}: write FAMILY=NUMBER, for example plone=100")
        members[key] = int(count)
    return Options(
        projects=opts.projects,
        seed=opts.seed,
        now=_now(opts.now),
        members=members,
        only_members=opts.only_members,
        unhinted=opts.unhinted,
        decoys=opts.decoys,
        empty=opts.empty,
        missing=opts.missing,
        hostile=not opts.no_hostile,
        most_releases=opts.most_releases,
        monorepos=opts.monorepos,
    )


def _cdn(opts: argparse.Namespace) -> CdnOptions | None:
    from pyf_scrapy.replica.cdn import CdnOptions

    given = {
        name: value
        for name, value in (
            ("lost_purges", opts.lost_purges),
            ("stale_nodes", opts.stale_nodes),
            ("speed", opts.cdn_speed),
        )
        if value is not None
    }
    if given and not opts.cdn:
        raise ReplicaError("--lost-purges, --stale-nodes and --cdn-speed need --cdn")
    return CdnOptions(**given) if opts.cdn else None


def _now(text: str | None) -> datetime:
    """A date or a moment; without one today at midnight, so that two starts on a day are equal."""
    if text is None:
        return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReplicaError(f"--now {text}: write a date, for example 2026-11-01") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _clock(opts: argparse.Namespace, start: datetime) -> Callable[[], datetime]:
    """The time of what is published: today's, or with --now that date and what has passed since the start."""
    if opts.now is None:
        return lambda: datetime.now(UTC)
    begun = time.monotonic()
    return lambda: start + timedelta(seconds=int(time.monotonic() - begun))


async def _run(options: Options, cdn: CdnOptions | None, opts: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; the exit code."""
    from pyf_scrapy.replica.busy import publish
    from pyf_scrapy.replica.faults import load_plan
    from pyf_scrapy.replica.replica import Replica
    from pyf_scrapy.replica.server import serve
    from pyf_scrapy.replica.service_options import service_options
    from pyf_scrapy.replica.services import CLICKPY, GITHUB, PYPISTATS

    if opts.latency < 0:
        raise ReplicaError(f"--latency {opts.latency}: is negative")
    if not 0 <= opts.publish <= _MOST_EVENTS:
        raise ReplicaError(f"--publish {opts.publish}: is not between 0 and {_MOST_EVENTS}")
    rules = load_plan(opts.faults) if opts.faults else []
    services = service_options(opts.service)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    replica = Replica(options)
    try:
        async with serve(
            replica,
            host=opts.host,
            port=opts.port,
            latency=opts.latency / 1000,
            rules=rules,
            cdn=cdn,
            services=services,
        ) as url:
            sys.stdout.write(
                f"Replica of PyPI with {options.projects} projects (seed {options.seed}) at {url}\n"
                f"GitHub at {url}{GITHUB}, pypistats at {url}{PYPISTATS}, ClickPy at {url}{CLICKPY}\n"
            )
            sys.stdout.flush()
            tasks: set[asyncio.Task[object]] = {asyncio.create_task(stop.wait())}
            if opts.publish:
                clock = _clock(opts, options.now)
                tasks.add(asyncio.create_task(publish(replica, opts.publish, clock)))
            ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
            for task in ended:
                task.result()
    except OSError as error:
        sys.stderr.write(
            f"replica: cannot serve at {opts.host} port {opts.port}: {error.strerror or error}\n"
        )
        return 1
    return 0
