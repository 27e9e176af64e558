"""`scrapy replicate`: a copy of another instance, made and kept up to date without a request to PyPI."""

from __future__ import annotations

import argparse

from pyf_scrapy.commands.crawl import Command as Crawl
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.spiders.replicate import ReplicateSpider


class Command(Crawl):
    """`scrapy crawl replicate`, with its arguments as options."""

    def syntax(self) -> str:
        return "URL [-p PROFILE] [--whole] [--follow SECONDS] [--anew] [--json]"

    def short_desc(self) -> str:
        return "Copy the facts of another instance (scrapy serve) and index them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--whole", action="store_true", help="copy all facts, not only those of the profiles"
        )
        parser.add_argument(
            "--follow", metavar="SECONDS", help="until interrupted: ask for news every so many seconds"
        )
        parser.add_argument("--anew", action="store_true", help="read everything again, and keep only that")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        opts.source = args[0] if args else None
        super().process_options(args, opts)

    def spider_arguments(self, opts: argparse.Namespace) -> dict[str, str]:
        given = super().spider_arguments(opts)
        options = {
            "url": opts.source,
            "whole": "1" if opts.whole else None,
            "follow": opts.follow,
            "anew": "1" if opts.anew else None,
        }
        return given | {name: value for name, value in options.items() if value is not None}

    def check_options(self, args: list[str]) -> None:
        super().check_options(args)
        if len(args) != 1:
            wrong = f"unknown argument {args[1]!r}" if args else "which source? an address is missing"
            raise UsageProblem(f"{wrong}; use scrapy {self.name} {self.syntax()}")
        args[:] = [ReplicateSpider.name]
