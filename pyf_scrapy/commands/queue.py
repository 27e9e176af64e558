"""`scrapy queue`: what waits to be asked about, who is at work, and asking for a package by its name."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scrapy.spiderloader import get_spider_loader

from pyf_scrapy.command import Action, ActionCommand
from pyf_scrapy.commands.output import (
    ExitCode,
    complain,
    confirmed,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.dates import minute
from pyf_scrapy.exceptions import QueueError, UsageProblem
from pyf_scrapy.extensions.progress import duration
from pyf_scrapy.lookup import crawls
from pyf_scrapy.parsers.names import package_names
from pyf_scrapy.parsers.requirements_txt import requirement_names
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.queue.messages import Covers, Message, encode
from pyf_scrapy.session import open_store
from pyf_scrapy.status import Purged, QueueStats, purge, purgeable, queue_stats

#: What the store notes of names that were added here.
SOURCE = "queue add"

_FOUND_AGAIN = "what PyPI's index and the store differ in is found again by the next `scrapy crawl pypi`."
_NOTHING_LOST = f"No work is lost: {_FOUND_AGAIN}"
_LOST = (
    f"Not lost: {_FOUND_AGAIN}\n"
    "Lost are the other names: those whose serial has not moved since they were checked, and those\n"
    "that the index does not list. `scrapy queue add NAME` asks for them again."
)

_MOST_NAMES = 1_000_000  # more than PyPI has
_MOST_CHARACTERS = 100 * 1024 * 1024  # of standard input


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requirements", metavar="FILE", help="add the packages of a requirements file, too")


def _purge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--seen",
        action="store_true",
        help="forget also which entries of the feeds are done: `rss` fetches them again",
    )


class Command(ActionCommand):
    actions = (
        Action("stats", "Show what waits, and which spiders run"),
        Action(
            "add",
            "Ask about packages before all others, in the next crawl; - reads names from standard input",
            arguments=(0, _MOST_NAMES),
            syntax="NAME ... | -",
            options=_add_options,
        ),
        Action("purge", "Forget what was added, and what waits in Redis", options=_purge_options),
    )

    def short_desc(self) -> str:
        return "Ask for packages by name, show what waits and who is at work, or forget it"

    @property
    def spiders(self) -> list[str]:
        """The names of all spiders."""
        return sorted(get_spider_loader(self.project_settings).list())

    def do_stats(self, args: list[str], opts: argparse.Namespace) -> int:
        now = int(time.time())
        found = queue_stats(self.project_settings, self.spiders, now=now)
        if opts.json:
            print_json(found)
        else:
            _print(found)
        return ExitCode.OK

    def do_add(self, args: list[str], opts: argparse.Namespace) -> int:
        names = _names(args, opts.requirements)
        with open_store(self.project_settings) as store:
            new = store.enqueue(names, int(time.time()), SOURCE)
            waiting = sum(source.names for source in store.queued_by_source())
            collections = [row.collection for row in store.collections()]
            store_id = store.store_id()
        workers = _hand_out(self.project_settings, store_id, names)
        crawl = crawls("pypi", collections, self.profiles().values())[0]
        if opts.json:
            counts = {"added": new, "named": len(names), "queued": waiting, "workers": workers}
            print_json({**counts, "crawl": crawl})
            return ExitCode.OK
        known = f"; {len(names) - new:,} waited already" if new < len(names) else ""
        print_text(f"{new:,} added{known}. {waiting:,} wait for the next crawl, which asks about them first:")
        print_text(f"  {crawl}")
        if workers:
            print_text(f"Workers that follow have them now: {workers}.")
        return ExitCode.OK

    def do_purge(self, args: list[str], opts: argparse.Namespace) -> int:
        settings, spiders = self.project_settings, self.spiders
        waiting = purgeable(settings, spiders, seen=opts.seen, now=int(time.time()))
        if not waiting:
            purged = waiting
        elif confirmed(f"Forget {_said(waiting)}?", yes=opts.yes):
            purged = purge(settings, spiders, seen=opts.seen)
        else:
            purged = Purged()
        if opts.json:
            print_json(purged)
        elif not waiting:
            print_text("Nothing waits.")
        elif not purged:
            print_text("Nothing was forgotten.")
        else:
            print_text(f"Forgotten: {_said(purged)}.")
            print_text(_LOST if purged.names else _NOTHING_LOST)
        return ExitCode.OK


def _hand_out(settings: Mapping[str, Any], store_id: str, names: list[str]) -> int:
    """Write names to Redis for the workers of `crawl project -a follow=1` of this store; how many."""
    url = redis_url(settings)
    if url is None:
        return 0
    from pyf_scrapy.queue.sharing import SharedQueue  # with redis, which takes its time

    queue = SharedQueue(url, "project")
    try:
        workers = queue.takers(Covers(store_id))
        if workers:
            queue.push([encode(Message(name)) for name in names])
        return workers
    except QueueError as error:
        complain("queue", f"no worker was told ({error}); the names are noted")
        return 0
    finally:
        queue.close()


def _names(args: list[str], requirements: str | None) -> list[str]:
    """The normalized names that were given, each once. Raises UsageProblem."""
    if not args and requirements is None:
        raise UsageProblem("which packages? give NAMEs, - for standard input, or --requirements FILE")
    names = list(package_names(name for name in args if name != "-"))
    if "-" in args:
        names += _names_of_input()
    if requirements is not None:
        names += requirement_names(Path(requirements))
    return list(dict.fromkeys(names))


def _names_of_input() -> tuple[str, ...]:
    """The names in standard input, one a line; blank lines and what follows a # are passed over."""
    try:
        text = sys.stdin.read(_MOST_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise UsageProblem("standard input is not text") from None
    if len(text) > _MOST_CHARACTERS:
        raise UsageProblem(f"standard input is longer than {_MOST_CHARACTERS:,} characters")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    names = package_names(filter(None, lines))
    if not names:
        raise UsageProblem("standard input names no package: one a line")
    return names


def _said(what: Purged) -> str:
    """What is purged, in words."""
    parts = (
        (what.names, "name that was added", "names that were added"),
        (what.requests, "request that waits in Redis", "requests that wait in Redis"),
        (what.seen, "entry of the feeds that is done", "entries of the feeds that are done"),
    )
    said = [f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[:-1] else said)


def _print(found: QueueStats) -> None:
    print_summary(dict(_facts(found)))
    print_text()
    print_table(
        ("at work", "arguments", "since (UTC)", "for"),
        (
            (
                work.spider,
                " ".join(f"{name}={value}" for name, value in work.arguments.items()),
                minute(work.started_at),
                duration(work.seconds),
            )
            for work in found.running
        ),
        empty="No spider runs here.",
    )
    if found.redis is not None:
        print_text()
        print_table(
            ("worker", "of", "at a time", "works on"),
            (
                (
                    one.worker,
                    one.spider,
                    one.concurrency,
                    ", ".join(one.some) + (f" ... ({one.names:,})" if one.names > len(one.some) else ""),
                )
                for one in found.redis.workers
            ),
            empty="No worker shares its names.",
        )
        print_text()
        print_table(
            (f"key in {found.redis.server}", "entries"),
            found.redis.keys.items(),
            empty=f"Nothing waits in {found.redis.server}.",
        )


def _facts(found: QueueStats) -> Iterator[tuple[str, str]]:
    since = f", the oldest since {minute(found.oldest_at)} UTC" if found.queued else ""
    yield "added by name", f"{found.queued:,}{since}"
    if len(found.by_source) > 1:
        yield "added by", ", ".join(f"{row.source}: {row.names:,}" for row in found.by_source)
    if found.to_check is None:
        yield "to check", "PyPI's index was not read yet (the spider pypi reads it)"
    else:
        yield "to check", f"{found.to_check:,} projects of the index of {minute(found.index_read_at)} UTC"
    for collection, number in found.dirty.items():
        yield f"to index in {collection}", f"{number:,} packages"
    later = f", {found.postponed:,} later" if found.postponed else ""
    yield "to try again", f"{found.failures:,} failures{later}"
    least = "at least " if found.redis is not None and found.redis.seen_is_least else ""
    where = " (in Redis)" if found.redis is not None else ""
    yield "feeds", f"{least}{found.seen:,} entries are done{where}"
