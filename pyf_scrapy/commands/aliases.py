"""`scrapy aliases`: the names under which collections are searched."""

from __future__ import annotations

import argparse
import time

from pyf_scrapy.command import Action, ActionCommand, unchanged, yes_option
from pyf_scrapy.commands.output import (
    ExitCode,
    complain,
    confirmed,
    print_json,
    print_table,
    print_text,
)
from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.rebuild import half_built
from pyf_scrapy.search.administration import delete_alias, list_aliases, set_alias
from pyf_scrapy.search.keys import keys_lacking


class Command(ActionCommand):
    actions = (
        Action("list", "Show what each alias points to"),
        Action("set", "Point an alias, new or not, to a collection", (2, 2), "ALIAS COLLECTION"),
        Action(
            "delete",
            "Take an alias away; its collection stays",
            (1, 1),
            "ALIAS [--yes]",
            options=yes_option,
        ),
    )

    def short_desc(self) -> str:
        return "List, set and delete the names under which collections are searched"

    def do_list(self, args: list[str], opts: argparse.Namespace) -> int:
        with self.connected() as connection:
            aliases = list_aliases(connection.client)
        if opts.json:
            print_json({"aliases": aliases})
        else:
            print_table(("alias", "collection"), aliases.items(), empty="There is no alias.")
        return ExitCode.OK

    def do_set(self, args: list[str], opts: argparse.Namespace) -> int:
        alias, collection = args
        if collection in half_built(self.project_settings):
            raise UsageProblem(f"{collection} is half-built: `scrapy collections recreate` moves the aliases")
        with self.connected() as connection:
            before = set_alias(connection.client, alias, collection)
            if not opts.json:
                moved = f", before to {before}" if before not in (None, collection) else ""
                print_text(f"{alias} points to {collection}{moved}.")
            try:
                lacking = keys_lacking(connection.client, alias, collection, int(time.time()))
            except SearchError as error:  # it is done, whoever may search by it
                complain(self.name, f"note: {error}")
                lacking = []
        if opts.json:
            keys = [{"id": key.id, "description": key.description} for key in lacking]
            print_json({"alias": alias, "collection": collection, "before": before, "keys_lacking": keys})
        else:
            for key in lacking:
                print_text(f"Key {key.id} ({key.description}) cannot search by this name: make a new one.")
        return ExitCode.OK

    def do_delete(self, args: list[str], opts: argparse.Namespace) -> int:
        [alias] = args
        with self.connected() as connection:
            if not confirmed(f"Take the alias {alias} away? Nobody finds anything by it then.", yes=opts.yes):
                return unchanged(opts)
            collection = delete_alias(connection.client, alias)
        if opts.json:
            print_json({"alias": alias, "collection": collection})
        else:
            print_text(f"The alias {alias} is gone; its collection {collection} is still there.")
        return ExitCode.OK
