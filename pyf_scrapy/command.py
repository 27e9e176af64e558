"""The base of the project's commands.

It stands outside `pyf_scrapy.commands`, because Scrapy makes a command of every command class that is
defined in a module of that package, of a base class too.
"""

from __future__ import annotations

import argparse
import re
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.settings import BaseSettings

from pyf_scrapy.commands.output import ExitCode, complain, print_json, print_text, reported
from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.profiles import Profile, load_profiles, select
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect

_COLLECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class PyfCommand(ScrapyCommand):
    """A command of the project: implement `short_desc` and `execute`.

    `arguments` is how many arguments it takes (fewest, most); options that it does not know and arguments
    beyond that are refused with one line and exit code 2.
    """

    requires_project = True
    requires_crawler_process = False
    default_settings: ClassVar[dict[str, Any]] = {"LOG_ENABLED": False}

    arguments: ClassVar[tuple[int, int]] = (0, 0)
    takes_profile: ClassVar[bool] = False
    takes_collection: ClassVar[bool] = False

    @abstractmethod
    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        """Do the work and return an ExitCode; a PyfError becomes one line and its exit code."""

    @property
    def name(self) -> str:
        """The name on the command line: Scrapy's rule is that of the module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def project_settings(self) -> BaseSettings:
        if self.settings is None:
            raise RuntimeError("scrapy.cmdline sets the settings before it calls a command")
        return self.settings

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        self.add_common_options(parser, profile=self.takes_profile, collection=self.takes_collection)

    def add_common_options(self, parser: argparse.ArgumentParser, *, profile: bool, collection: bool) -> None:
        """Declare what Scrapy and all our commands have in common, `-p` and `-c` where they make sense."""
        super().add_options(parser)
        strict(parser, self.name)
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        if profile:
            parser.add_argument(
                "-p", dest="package_profile", metavar="PROFILE", help="a profile of profiles.yaml"
            )
        if collection:
            parser.add_argument(
                "-c", dest="collection", metavar="COLLECTION", help="a search collection or alias"
            )

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        args[:] = checked(args, *self.arguments, command=self.name, syntax=self.syntax())
        super().process_options(args, opts)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        self.exitcode = reported(self.name, lambda: self.execute(args, opts))

    def connected(self, *, is_new: bool = False) -> Connection:
        """A way to the search server, for `with`. Raises UsageProblem, SearchError: also when the one that
        starts by itself has nothing yet, unless it may be new."""
        settings = TypesenseSettings.from_settings(self.project_settings)
        if settings.host is None and not is_new and not settings.folder.exists():
            raise SearchError(f"there is no search server in {settings.folder} yet; a crawl makes it")
        return connect(settings)

    def profiles(self) -> dict[str, Profile]:
        """All profiles by key. Raises ProfileError."""
        return load_profiles(self.project_settings.get("PROFILES_FILE"))

    def selected_profiles(self, opts: argparse.Namespace) -> list[Profile]:
        """Those of `-p`, else of DEFAULT_PROFILE. Raises UsageProblem if none or an unknown is named."""
        spec = opts.package_profile or self.project_settings.get("DEFAULT_PROFILE")
        if not spec:
            raise UsageProblem(
                f"which profile? use -p PROFILE or set DEFAULT_PROFILE; known: {', '.join(self.profiles())}"
            )
        return select(spec, self.profiles())

    def selected_collection(self, opts: argparse.Namespace) -> str:
        """The one collection of `-c`, `-p`, TYPESENSE_COLLECTION or DEFAULT_PROFILE, in that order.

        Raises UsageProblem when none, several, or an impossible one is named.
        """
        named = opts.collection
        if named is not None and opts.package_profile is not None:
            raise UsageProblem("give -p PROFILE or -c COLLECTION, not both")
        if named is None and opts.package_profile is None:
            named = self.project_settings.get("TYPESENSE_COLLECTION")
        if named is not None:
            if not _COLLECTION.fullmatch(named):
                raise UsageProblem(
                    f"{named!r} is not the name of a collection; letters, digits, - _ and . only"
                )
            return str(named)
        if not (opts.package_profile or self.project_settings.get("DEFAULT_PROFILE")):
            raise UsageProblem("which collection? use -p PROFILE or -c COLLECTION")
        profiles = self.selected_profiles(opts)
        if len(profiles) > 1:
            raise UsageProblem(f"one profile at a time, not {', '.join(profile.key for profile in profiles)}")
        return profiles[0].collection


@dataclass(frozen=True)
class Action:
    """What a command can do: the method `do_NAME` of an ActionCommand.

    `arguments` is how many it takes (fewest, most), `syntax` how they are shown, `options` declares its own.
    """

    name: str
    help: str
    arguments: tuple[int, int] = (0, 0)
    syntax: str = ""
    takes_profile: bool = False
    takes_collection: bool = False
    options: Callable[[argparse.ArgumentParser], None] | None = None


def yes_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--yes`, for what `output.confirmed` asks."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def port(text: str) -> int:
    """The port that an option names. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no port: give a number from 0 to 65535")
    return int(text)


def unchanged(opts: argparse.Namespace) -> int:
    """Say that the user did not want it; returns the exit code."""
    if opts.json:
        print_json({"changed": False})
    else:
        print_text("Nothing was changed.")
    return ExitCode.OK


class ActionCommand(PyfCommand):
    """A command that does one of several things: `scrapy collections list`.

    Each of its `actions` has a parser of its own, so that an option of another action is refused. All
    options, Scrapy's too, stand behind the action.
    """

    actions: ClassVar[tuple[Action, ...]]

    def syntax(self) -> str:
        return f"{'|'.join(action.name for action in self.actions)} ..."

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        strict(parser, self.name)
        parsers = parser.add_subparsers(
            dest="action", metavar="ACTION", required=True, title="Actions", prog=f"scrapy {self.name}"
        )
        for action in self.actions:
            own = parsers.add_parser(
                action.name,
                usage=" ".join(f"scrapy {self.name} {action.name} {action.syntax} [options]".split()),
                help=action.help,
                description=action.help,
                formatter_class=parser.formatter_class,
                conflict_handler="resolve",
            )
            self.add_common_options(own, profile=action.takes_profile, collection=action.takes_collection)
            if action.options is not None:
                action.options(own)

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        action = next(action for action in self.actions if action.name == opts.action)
        args[:] = checked(args, *action.arguments, command=f"{self.name} {action.name}", syntax=action.syntax)
        super(PyfCommand, self).process_options(args, opts)

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        code: int = getattr(self, f"do_{opts.action}")(args, opts)
        return code


def checked(args: Sequence[str], fewest: int, most: int, *, command: str, syntax: str) -> list[str]:
    """The arguments, without the `--` after which everything is one. Raises Scrapy's UsageError."""
    end = args.index("--") if "--" in args else len(args)
    for arg in args[:end]:
        if arg.startswith("-") and arg != "-":
            raise UsageError(f"unknown option {arg!r}; see scrapy {command} -h")
    given = [*args[:end], *args[end + 1 :]]
    for arg in given:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{arg!r} is no text in UTF-8") from None
    if len(given) > most:
        raise UsageError(f"unknown argument {given[most]!r}; see scrapy {command} -h")
    if len(given) < fewest:
        raise UsageError(f"an argument is missing; use scrapy {command} {syntax}")
    return given


def strict(parser: argparse.ArgumentParser, command: str) -> None:
    """Make a parser of Scrapy answer a wrong command line with one line, and refuse Scrapy's --profile.

    That option writes profiler data to a file of the given name, which is never what a user of -p meant.
    """

    def error(message: str) -> NoReturn:
        complain(command, message)
        sys.exit(ExitCode.USAGE)

    parser.error = error  # type: ignore[method-assign]  # argparse prints the usage before each error
    parser.add_argument("--profile", nargs="?", action=_RefuseProfile, help=argparse.SUPPRESS)


class _RefuseProfile(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> NoReturn:
        wanted = values or "PROFILE"
        parser.error(f"--profile is Scrapy's profiler; use -p {wanted} (a crawl: -a profile={wanted})")
