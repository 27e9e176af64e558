"""`scrapy health`: every score of a collection as of today, from the store alone."""

from __future__ import annotations

import argparse

from pyf_scrapy.commands.crawl import Command as Crawl
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.spiders.health import HealthSpider


class Command(Crawl):
    """`scrapy crawl health`, with `-c COLLECTION` as other commands have it."""

    def syntax(self) -> str:
        return "[-p PROFILE | -c COLLECTION] [--json]"

    def short_desc(self) -> str:
        return "Judge the packages of a collection again, without a request to PyPI"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "-c", dest="collection", metavar="COLLECTION", help="a search collection or alias"
        )

    def spider_arguments(self, opts: argparse.Namespace) -> dict[str, str]:
        arguments = super().spider_arguments(opts)
        if opts.collection is not None:
            if opts.package_profile is not None:
                raise UsageProblem("give -p PROFILE or -c COLLECTION, not both")
            if "collection" in arguments:
                raise UsageProblem("give -c COLLECTION or -a collection=COLLECTION, not both")
            arguments["collection"] = opts.collection
        return arguments

    def check_options(self, args: list[str]) -> None:
        super().check_options(args)
        if args:
            raise UsageProblem(f"unknown argument {args[0]!r}; see scrapy {self.name} -h")
        args.append(HealthSpider.name)
