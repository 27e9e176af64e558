"""`scrapy demo`: the whole thing for a newcomer, on a replica of PyPI."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_text
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.profiles import select

_PROFILES = "plone,django,flask"


class Command(PyfCommand):
    def syntax(self) -> str:
        return "[--projects N]"

    def short_desc(self) -> str:
        return "Crawl, search and show invented packages, to see how it works"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--projects", type=int, default=1000, metavar="N", help="size of the replica of PyPI (1000)"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if opts.json:
            raise UsageProblem("the demo is for people; the commands that it runs have --json")
        # Imported here: Scrapy imports this module before each command.
        from pyf_scrapy.demo import as_set, run
        from pyf_scrapy.replica.options import Options

        folder = Path(self.project_settings["PYF_DATA_DIR"]) / "demo"
        profiles = select(_PROFILES, self.profiles())
        code = run(folder, os.environ, Options(projects=opts.projects), profiles, print_text)
        if code == ExitCode.OK:
            print_text(_GOING_ON.format(folder=as_set(folder)))
        return code


_GOING_ON = """
That was the demo. Its index can still be searched, until you remove {folder}
(its search server stops by itself 10 minutes after its last use):
  . .venv/bin/activate
  PYF_DATA_DIR={folder} scrapy search WORD -p plone
  PYF_DATA_DIR={folder} scrapy serve

And now the real pypi.org. A crawl may be interrupted: the same command goes on.
  . .venv/bin/activate
  scrapy crawl project -a requirements=requirements.txt -a collection=stack
  scrapy crawl pypi -a profile=plone -a releases=latest
  scrapy search "content types" -p plone
  scrapy show plone.api -p plone"""
