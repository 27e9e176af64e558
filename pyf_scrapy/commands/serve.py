"""`scrapy serve`: the index for people and programs, over HTTP."""

from __future__ import annotations

import argparse
import logging

from pyf_scrapy.command import PyfCommand, port
from pyf_scrapy.commands.output import ExitCode, print_text
from pyf_scrapy.exceptions import UsageProblem

DEFAULT_PORT = 8000


class Command(PyfCommand):
    """Serves until it is interrupted."""

    takes_profile = True

    def syntax(self) -> str:
        return "[-p PROFILE] [--host HOST] [--port PORT]"

    def short_desc(self) -> str:
        return "Serve pages, APIs and feeds of the index"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to bind (127.0.0.1: for this machine only)"
        )
        parser.add_argument(
            "--port",
            type=port,
            metavar="PORT",
            default=DEFAULT_PORT,
            help=f"port to bind ({DEFAULT_PORT}; 0 = any free one)",
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if opts.json:
            raise UsageProblem("serve prints nothing that could be JSON; its API does")
        # Imported here: Scrapy imports this module before each command.
        from pyf_scrapy.web.serving import serve
        from pyf_scrapy.web.site import opened_site

        only: tuple[str, ...] = ()
        if opts.package_profile is not None:
            only = tuple(profile.collection for profile in self.selected_profiles(opts))
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
        with opened_site(self.project_settings, self.profiles(), only) as site:
            serve(site, opts.host, opts.port, said=print_text)
        return ExitCode.OK
