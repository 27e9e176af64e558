"""`scrapy crawl`: Scrapy's command with arguments checked first, a summary and an exit code at the end."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from scrapy.commands.crawl import Command as ScrapyCrawl

from pyf_scrapy.command import strict
from pyf_scrapy.commands.output import ExitCode, print_json, print_summary, reported
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.extensions.outcome import Outcome
from pyf_scrapy.extensions.report import RunReport
from pyf_scrapy.spiders.base import PackageSpider


class Command(ScrapyCrawl):
    """Adds `-p PROFILE` (for `-a profile=PROFILE`) and `--json` to Scrapy's `crawl`."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        strict(parser, "crawl")
        parser.add_argument(
            "-p", dest="package_profile", metavar="PROFILE", help="same as -a profile=PROFILE"
        )
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        super().process_options(args, opts)
        assert self.settings is not None
        log_is_chosen = opts.loglevel or opts.nolog or opts.logfile or "LOG_LEVEL" in str(opts.set)
        if sys.stderr.isatty() and not log_is_chosen:
            # The progress bar has the screen; what needs attention is still shown.
            self.settings.set("LOG_LEVEL", "WARNING", priority="cmdline")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        self.exitcode = reported("crawl", lambda: self.crawl(args, opts))

    def crawl(self, args: list[str], opts: argparse.Namespace) -> int:
        """Check, crawl, print the summary; returns the exit code. Raises UsageProblem before any request."""
        arguments = self._arguments(opts)
        spider = self._spider(args)
        if issubclass(spider, PackageSpider):
            assert self.settings is not None
            spider.check_arguments(arguments, self.settings)
        process = self.crawler_process
        assert process is not None
        crawler = process.create_crawler(spider)
        process.crawl(crawler, **arguments)
        process.start()
        report = crawler.get_extension(RunReport) if not process.bootstrap_failed else None
        if report is None or report.outcome is None:
            return ExitCode.FAILED
        _print(report.outcome, as_json=opts.json)
        return report.outcome.exit_code

    def _arguments(self, opts: argparse.Namespace) -> dict[str, Any]:
        arguments = dict(opts.spargs)
        if opts.package_profile is not None:
            if "profile" in arguments:
                raise UsageProblem("give -p PROFILE or -a profile=PROFILE, not both")
            arguments["profile"] = opts.package_profile
        return arguments

    def _spider(self, args: list[str]) -> Any:
        assert self.crawler_process is not None
        loader = self.crawler_process.spider_loader
        known = ", ".join(sorted(loader.list()))
        if len(args) != 1:
            raise UsageProblem(f"which spider? one of: {known}" if not args else f"one spider, not {args}")
        if args[0] not in loader.list():
            raise UsageProblem(f"unknown spider {args[0]!r}; known: {known}")
        return loader.load(args[0])


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "exit_code": outcome.exit_code,
                "reason": outcome.reason,
                "message": outcome.headline,
                **outcome.figures,
            }
        )
        return
    shown = {name.replace("_", " "): count for name, count in outcome.figures.items() if count}
    print_summary(shown, title=outcome.headline)
