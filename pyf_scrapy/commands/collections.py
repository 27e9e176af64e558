"""`scrapy collections`: what stands behind the aliases, made, made anew, copied and deleted."""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pyf_scrapy.command import Action, ActionCommand, unchanged, yes_option
from pyf_scrapy.commands.output import (
    ExitCode,
    confirmed,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.commands.progress_bar import progress_bar
from pyf_scrapy.commands.takeover_output import print_takeover
from pyf_scrapy.dates import minute
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.profiles import Profile, select
from pyf_scrapy.rebuild import half_built
from pyf_scrapy.rebuild.migrate import migrate
from pyf_scrapy.rebuild.recreate import Recreated, recreate
from pyf_scrapy.search.administration import (
    collection_details,
    create_collection,
    deletable,
    delete_collection,
    list_collections,
)
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.session import Target
from pyf_scrapy.takeover import take_over

T = TypeVar("T")

_SHOWN = 20  # refused documents


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--names", action="store_true", help="only the names, one a line")


def _recreate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delete-old", action="store_true", help="delete the old collection at the end")
    parser.add_argument(
        "--accept-losses",
        action="store_true",
        help="go on without documents that are refused and packages that the store does not know",
    )
    yes_option(parser)


class Command(ActionCommand):
    actions = (
        Action(
            "list",
            "Show all collections of the search server, or one with its fields",
            (0, 1),
            "[NAME | --names]",
            options=_names,
        ),
        Action("create", "Create NAME-1 behind the alias NAME", (1, 1), "NAME"),
        Action(
            "delete",
            "Delete a collection that no alias points to",
            (1, 1),
            "NAME [--yes]",
            options=yes_option,
        ),
        Action(
            "recreate",
            "Make a collection anew from the store beside the live one, then switch to it",
            syntax="[-p PROFILE | -c COLLECTION] [--delete-old [--yes]] [--accept-losses]",
            takes_profile=True,
            takes_collection=True,
            options=_recreate,
        ),
        Action("migrate", "Copy the documents of a collection into another", (2, 2), "SOURCE TARGET"),
        Action(
            "import",
            "Take over the figures and names of a collection of pyf.aggregator",
            (1, 1),
            "SOURCE [-p PROFILE]",
            takes_profile=True,
        ),
    )

    def short_desc(self) -> str:
        return "List, create, make anew, copy and delete collections of the search server"

    def do_list(self, args: list[str], opts: argparse.Namespace) -> int:
        if args and opts.names:
            raise UsageProblem("give a NAME or --names, not both")
        with self.connected() as connection:
            if args:
                details = collection_details(connection.client, args[0])
                _print_details(details, as_json=opts.json)
                return ExitCode.OK
            found = list_collections(connection.client)
        half = half_built(self.project_settings)
        if opts.json:
            print_json({"collections": found, "half_built": sorted(half & {state.name for state in found})})
        elif opts.names:
            for state in found:
                print_text(state.name)
        else:
            rows = [
                (
                    state.name,
                    ", ".join(state.aliases) or ("(half-built)" if state.name in half else ""),
                    state.documents,
                    state.fields,
                    minute(state.created_at),
                )
                for state in found
            ]
            columns = ("collection", "aliases", "documents", "fields", "since")
            print_table(columns, rows, empty="There is no collection.")
        return ExitCode.OK

    def do_create(self, args: list[str], opts: argparse.Namespace) -> int:
        with self.connected(is_new=True) as connection:
            made = create_collection(connection.client, args[0])
        if opts.json:
            print_json({"collection": made.name, "alias": made.alias, "documents": made.documents})
        else:
            held = f"with {made.documents:,} documents" if made.documents else "empty"
            print_text(f"{made.name} is there, {held}, behind the alias {made.alias}.")
        return ExitCode.OK

    def do_delete(self, args: list[str], opts: argparse.Namespace) -> int:
        [name] = args
        with self.connected() as connection:
            state = deletable(connection.client, name)
            if not confirmed(f"Delete {name} with {state.documents:,} documents?", yes=opts.yes):
                return unchanged(opts)
            delete_collection(connection.client, name)
        if opts.json:
            print_json({"collection": name, "documents": state.documents})
        else:
            print_text(f"{name} is deleted.")
        return ExitCode.OK

    def do_recreate(self, args: list[str], opts: argparse.Namespace) -> int:
        if opts.yes and not opts.delete_old:
            raise UsageProblem("--yes answers the question of --delete-old; nothing else is asked")
        target = self._target(opts)
        question = f"Delete the old collection of {target.profile.collection} after the switch?"
        if opts.delete_old and not confirmed(question, yes=opts.yes):
            return unchanged(opts)
        with progress_bar() as progress:
            made = _run(
                recreate(
                    self.project_settings,
                    target,
                    datetime.now(UTC).date(),
                    progress,
                    accept_losses=opts.accept_losses,
                    delete_old=opts.delete_old,
                )
            )
        if opts.json:
            print_json(made)
        else:
            _print_recreated(made)
        return ExitCode.FAILED if made.refused else ExitCode.OK

    def do_migrate(self, args: list[str], opts: argparse.Namespace) -> int:
        source, target = args
        if any(profile.collection == target for profile in self.profiles().values()):
            raise UsageProblem(f"{target} is the alias of a profile: choose another name")
        with (
            self.connected() as connection,
            progress_bar() as progress,
        ):
            done = migrate(connection.client, source, target, progress)
        if opts.json:
            print_json(done)
        else:
            print_text(f"{done.stored:,} of {done.documents:,} documents of {source} are in {target} now.")
            if done.missing:
                print_text(f"{done.missing:,} of them were stored and are not found again.")
            _print_refused(done.reasons, done.refused)
        return ExitCode.OK if done.is_complete else ExitCode.FAILED

    def do_import(self, args: list[str], opts: argparse.Namespace) -> int:
        [source] = args
        profile = opts.package_profile or self.project_settings.get("DEFAULT_PROFILE")
        if profile:
            select(profile, self.profiles())
        with progress_bar() as progress:
            report = take_over(self.project_settings, source, int(time.time()), progress)
        if opts.json:
            print_json(report)
        else:
            print_takeover(report, f"scrapy crawl pypi -p {profile or 'PROFILE'}")
        return ExitCode.SOME_FAILED if report.refused.count else ExitCode.OK

    def _target(self, opts: argparse.Namespace) -> Target:
        """Which collection, by the profile that fills it, else as it was made."""
        name = check_alias(self.selected_collection(opts))
        profile = next((profile for profile in self.profiles().values() if profile.collection == name), None)
        if profile is not None:
            return Target(profile)
        return Target(replace(Profile(key=name, name=name), collection=name), as_made=True)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it; SIGTERM ends it as Ctrl-C does, so that nothing half-built is left."""

    async def run() -> T:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _print_details(details: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(details)
        return
    print_summary(
        {
            "collection": details["name"],
            "documents": details["num_documents"],
            "since": minute(details["created_at"]),
            "sorted by": details.get("default_sorting_field"),
            "separators": " ".join(details.get("token_separators", ())),
        }
    )
    print_text()
    kinds = ("facet", "sort", "optional", "infix")
    rows = [
        (field["name"], field["type"], ", ".join(kind for kind in kinds if field.get(kind)))
        for field in details["fields"]
    ]
    print_table(("field", "type", ""), rows)


def _print_recreated(made: Recreated) -> None:
    print_summary(
        {
            "collection": f"{made.new}, before {made.old}{' (deleted)' if made.old_deleted else ''}",
            "aliases": ", ".join(made.aliases),
            "documents": f"{made.documents:,} of {made.packages:,} packages, before {made.old_documents:,}",
            "carried over": f"{made.synonyms:,} synonyms, {made.overrides:,} overrides",
            "took": f"{made.seconds:.1f} s",
        }
    )
    _print_refused(made.refused, len(made.refused))
    if made.old_kept:
        print_text(f"\nThe old one is still there: {made.old_kept}")
    elif not made.old_deleted:
        print_text(f"\nThe old one is still there: scrapy collections delete {made.old}")


def _print_refused(reasons: Mapping[str, str], number: int) -> None:
    if number:
        print_text()
        print_table(("refused", "why"), list(reasons.items())[:_SHOWN])
        if number > _SHOWN:
            print_text(f"... and {number - _SHOWN:,} more; --json lists them")
