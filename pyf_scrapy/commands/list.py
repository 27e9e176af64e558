"""`scrapy list`: Scrapy's command, and a check of what every crawl needs.

scrapyd runs it on each egg that it is sent: what would end every job refuses the egg.
"""

from __future__ import annotations

import argparse

from scrapy.commands.list import Command as ScrapyList

from pyf_scrapy.command import checked, strict
from pyf_scrapy.commands.output import ExitCode, reported
from pyf_scrapy.profiles import load_profiles, select


class Command(ScrapyList):
    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        strict(parser, "list")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        args[:] = checked(args, 0, 0, command="list", syntax="")
        super().process_options(args, opts)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        self.exitcode = reported("list", lambda: self._list(args, opts))

    def _list(self, args: list[str], opts: argparse.Namespace) -> int:
        assert self.settings is not None, "scrapy.cmdline sets the settings before it calls a command"
        profiles = load_profiles(self.settings.get("PROFILES_FILE"))
        if default := self.settings.get("DEFAULT_PROFILE"):
            select(default, profiles)
        super().run(args, opts)
        return ExitCode.OK
