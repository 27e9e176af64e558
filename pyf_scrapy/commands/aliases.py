"""`scrapy aliases`: the names under which collections are searched."""

from __future__ import annotations

import argparse

from pyf_scrapy.command import Action, ActionCommand
from pyf_scrapy.commands.output import ExitCode, confirmed, print_json, print_table, print_text
from pyf_scrapy.search.administration import delete_alias, list_aliases, set_alias
from pyf_scrapy.search.connection import TypesenseSettings, connect


def _confirmation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


class Command(ActionCommand):
    actions = (
        Action("list", "Show what each alias points to"),
        Action("set", "Point an alias, new or not, to a collection", (2, 2), "ALIAS COLLECTION"),
        Action(
            "delete",
            "Take an alias away; its collection stays",
            (1, 1),
            "ALIAS [--yes]",
            options=_confirmation,
        ),
    )

    def short_desc(self) -> str:
        return "List, set and delete the names under which collections are searched"

    def do_list(self, args: list[str], opts: argparse.Namespace) -> int:
        with connect(TypesenseSettings.from_settings(self.project_settings)) as connection:
            aliases = list_aliases(connection.client)
        if opts.json:
            print_json({"aliases": aliases})
        else:
            print_table(("alias", "collection"), aliases.items(), empty="There is no alias.")
        return ExitCode.OK

    def do_set(self, args: list[str], opts: argparse.Namespace) -> int:
        alias, collection = args
        with connect(TypesenseSettings.from_settings(self.project_settings)) as connection:
            before = set_alias(connection.client, alias, collection)
        if opts.json:
            print_json({"alias": alias, "collection": collection, "before": before})
        else:
            moved = f", before to {before}" if before not in (None, collection) else ""
            print_text(f"{alias} points to {collection}{moved}.")
        return ExitCode.OK

    def do_delete(self, args: list[str], opts: argparse.Namespace) -> int:
        [alias] = args
        with connect(TypesenseSettings.from_settings(self.project_settings)) as connection:
            if not confirmed(f"Take the alias {alias} away? Nobody finds anything by it then.", yes=opts.yes):
                print_text("Nothing was changed.")
                return ExitCode.FAILED
            collection = delete_alias(connection.client, alias)
        if opts.json:
            print_json({"alias": alias, "collection": collection})
        else:
            print_text(f"The alias {alias} is gone; its collection {collection} is still there.")
        return ExitCode.OK
