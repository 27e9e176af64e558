"""`scrapy crawl`: Scrapy's command with arguments checked first, a summary and an exit code at the end."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from scrapy.commands.crawl import Command as ScrapyCrawl
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.log import configure_logging

from pyf_scrapy.command import strict
from pyf_scrapy.commands.deadline import deadline
from pyf_scrapy.commands.output import ExitCode, complain, print_json, print_summary, reported
from pyf_scrapy.environment import find_env_file, obsolete, read_env_file
from pyf_scrapy.exceptions import PyfError, UsageProblem
from pyf_scrapy.extensions.outcome import Outcome
from pyf_scrapy.extensions.report import RunReport
from pyf_scrapy.settings_table import SETTINGS
from pyf_scrapy.spiders.arguments import flag, own
from pyf_scrapy.spiders.store_spider import StoreSpider

logger = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of malloc.h

#: Scrapy's loggers that list components, settings and stats: 80 lines a crawl. `-L INFO` shows them.
CHATTY = (
    "scrapy.addons",
    "scrapy.crawler",
    "scrapy.middleware",
    "scrapy.statscollectors",
    "scrapy.utils.log",
)


class Command(ScrapyCrawl):
    """Adds `-p PROFILE` (for `-a profile=PROFILE`) and `--json` to Scrapy's `crawl`.

    A command that is one spider's inherits all of it.
    """

    @property
    def name(self) -> str:
        """The name on the command line: Scrapy's rule is that of the module."""
        return type(self).__module__.rpartition(".")[2]

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        strict(parser, self.name)
        parser.add_argument(
            "-p", dest="package_profile", metavar="PROFILE", help="same as -a profile=PROFILE"
        )
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        super().process_options(args, opts)
        settings = self.settings
        assert settings is not None
        try:
            # Before Scrapy starts its process, and with it the log.
            opts.spargs = self.spider_arguments(opts)
            _check_settings(opts.set, settings)
            self.check_options(args)
            _check(args, opts.spargs, settings)
            is_quiet = logging.getLevelNamesMapping().get(settings["LOG_LEVEL"], 0) > logging.INFO
            if (env_file := find_env_file(os.environ)) is not None and not is_quiet:
                for hint in obsolete(read_env_file(env_file)):
                    complain(self.name, f"note: {env_file.name}: {hint}")
        except PyfError as error:
            complain(self.name, error)
            if settings["LOG_FILE"]:
                # Of a job of scrapyd its user sees the log alone.
                configure_logging(settings)
                logger.error("%s", error)
            sys.exit(error.exit_code)
        log_is_chosen = opts.loglevel or opts.nolog or opts.logfile
        log_is_chosen = log_is_chosen or any(pair.startswith("LOG_LEVEL=") for pair in opts.set)
        if log_is_chosen:
            return
        for name in CHATTY:
            # A filter, because Scrapy sets all levels anew when it configures logging.
            logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.WARNING)
        if sys.stderr.isatty() and not flag("verbose", opts.spargs.get("verbose")):
            # The progress bar has the screen; what needs attention is still shown.
            settings.set("LOG_LEVEL", "WARNING", priority="cmdline")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        process = self.crawler_process
        assert process is not None
        # Until Scrapy listens Ctrl-C ends the program at once: Python's exception may be thrown where it gets
        # lost, as in what is called when objects go.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        crawler = process.create_crawler(args[0])
        process.crawl(crawler, **opts.spargs)
        _spare_collections()
        _share_memory()
        with deadline(crawler):
            process.start()
        report = None if process.bootstrap_failed else crawler.get_extension(RunReport)
        if report is None or report.outcome is None:
            complain(self.name, "ended without a summary; nothing stored is lost")
            self.exitcode = ExitCode.FAILED
            return
        outcome = report.outcome
        self.exitcode = reported(self.name, lambda: _print(outcome, as_json=opts.json))

    def spider_arguments(self, opts: argparse.Namespace) -> dict[str, str]:
        """The arguments of `-a`, with `-p` as `profile`. Raises UsageProblem."""
        arguments: dict[str, str] = dict(opts.spargs)
        if opts.package_profile is not None:
            if "profile" in arguments:
                raise UsageProblem("give -p PROFILE or -a profile=PROFILE, not both")
            arguments["profile"] = opts.package_profile
        return arguments

    def check_options(self, args: list[str]) -> None:
        """Raise UsageProblem for an option that does not exist: Scrapy passes it on as an argument."""
        for argument in args:
            if argument.startswith("-"):
                raise UsageProblem(f"unknown option {argument!r}; see scrapy {self.name} -h")


def _spare_collections() -> None:
    """Let Python look for no cycles in what there is by now: of the program itself nothing ever goes."""
    gc.collect()
    gc.freeze()


def _share_memory() -> None:
    """Let the threads take memory from one place, so that what one gives back is of use to the others. Else a
    crawl grows by 20 MB while they fill places of their own. mallopt(3) of glibc; elsewhere all stays."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _check_settings(given: list[str], settings: Settings) -> None:
    """Raise UsageProblem for a wrong value of a setting of ours given with `-s`."""
    names = {pair.partition("=")[0] for pair in given}
    for setting in SETTINGS:
        if setting.name in names:
            setting.read(str(settings[setting.name]), Path.cwd())


def _check(args: list[str], arguments: dict[str, str], settings: Settings) -> None:
    """Raise UsageProblem for a spider or an argument that does not exist, or cannot be as it is."""
    loader = get_spider_loader(settings)
    known = sorted(loader.list())
    if len(args) != 1:
        raise UsageProblem(
            f"{'one spider, not' if args else 'which spider? one of:'} {', '.join(args or known)}"
        )
    if args[0] not in known:
        raise UsageProblem(f"unknown spider {args[0]!r}; known: {', '.join(known)}")
    spider = loader.load(args[0])
    if issubclass(spider, StoreSpider):
        spider.check_arguments(own(arguments), settings)


def _print(outcome: Outcome, *, as_json: bool) -> int:
    """The summary; returns the exit code."""
    if as_json:
        print_json(
            {
                "exit_code": outcome.exit_code,
                "reason": outcome.reason,
                "message": outcome.headline,
                **outcome.figures,
                "hosts": outcome.hosts,
            }
        )
        return outcome.exit_code
    shown: dict[str, object] = {name.replace("_", " "): n for name, n in outcome.figures.items() if n}
    shown |= {host: traffic(figures) for host, figures in outcome.hosts.items()}
    print_summary(shown, title=outcome.headline)
    return outcome.exit_code


def traffic(figures: Mapping[str, int]) -> str:
    """What was asked of a host and what it sent: "120 requests, 3.4 MB, 12 % of the answers 304"."""
    requests, size, answers = (figures.get(name, 0) for name in ("requests", "bytes", "answers"))
    sent = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
    text = f"{requests:,} request{'' if requests == 1 else 's'}, {sent}"
    if answers and figures.get("not_modified"):
        text += f", {100 * figures['not_modified'] / answers:.0f} % of the answers 304"
    return text
