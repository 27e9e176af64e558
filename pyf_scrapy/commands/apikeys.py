"""`scrapy apikeys`: keys of the search server; for front ends one that can search, and nothing else."""

from __future__ import annotations

import argparse
import getpass
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any

from pyf_scrapy.command import Action, ActionCommand, unchanged, yes_option
from pyf_scrapy.commands.output import (
    ExitCode,
    confirmed,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.dates import day, minute
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.lookup import existing_collection
from pyf_scrapy.search.keys import (
    MAX_DESCRIPTION,
    Key,
    check_value,
    create_search_key,
    delete_key,
    expiry,
    find_key,
    list_keys,
)

ONCE = "This is the only time that the value is shown: the server tells it to nobody again."
_LAST_SECOND = 86_399  # of a day
_ID = re.compile(r"[0-9]{1,10}")


def _creation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--description", metavar="TEXT", help="what the key is for (search-only key for COLLECTION)"
    )
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        help="the last day, such as 2027-01-31 (UTC), or a time from now on, such as 90d or 12h (never)",
    )
    parser.add_argument(
        "--value",
        metavar="VALUE",
        help="a value of your own; - reads it from standard input, so that no list of processes shows it",
    )


class Command(ActionCommand):
    actions = (
        Action("list", "List the keys, without their values"),
        Action(
            "create",
            "Create a key that may search collections, and do nothing else",
            syntax="-p PROFILE | -c COLLECTION [--description TEXT] [--expires WHEN] [--value -]",
            takes_profile=True,
            takes_collection=True,
            options=_creation,
        ),
        Action("delete", "Delete a key", arguments=(1, 1), syntax="ID [--yes]", options=yes_option),
    )

    def short_desc(self) -> str:
        return "List, create and delete keys of the search server; for front ends a key that can only search"

    def do_list(self, args: list[str], opts: argparse.Namespace) -> int:
        with self.connected() as connection:
            keys = list_keys(connection.client)
        now = int(time.time())
        if opts.json:
            print_json({"keys": [_row(key, now) for key in keys]})
            return ExitCode.OK
        print_table(
            ("id", "description", "actions", "collections", "value", "expires"),
            (
                (
                    str(key.id),
                    key.description,
                    "search only" if key.is_search_only else " ".join(key.actions),
                    " ".join(key.collections),
                    f"{key.prefix}...",
                    _expires(key, now),
                )
                for key in keys
            ),
            empty="No keys but the one that the server was started with.",
        )
        return ExitCode.OK

    def do_create(self, args: list[str], opts: argparse.Namespace) -> int:
        names = self._names(opts)
        now = datetime.now(UTC)
        expires_at = None if opts.expires is None else expiry(opts.expires, now)
        description = opts.description or f"search-only key for {', '.join(names)}"[:MAX_DESCRIPTION]
        if len(description) > MAX_DESCRIPTION:
            raise UsageProblem(f"--description is longer than {MAX_DESCRIPTION} characters; shorten it")
        value = None if opts.value is None else check_value(_value(opts.value))
        with existing_collection(self.project_settings, names[0], self.profiles().values()) as client:
            made = create_search_key(
                client, names, description, now=int(now.timestamp()), expires_at=expires_at, value=value
            )
        row = _row(made.key, int(now.timestamp()))
        if opts.json:
            told = {} if made.value is None else {"value": made.value, "note": ONCE}
            print_json({"created": made.is_new, **row, **told})
            return ExitCode.OK
        if made.is_new:
            print_text(f"Key {made.key.id} may search these collections, and do nothing else:")
        else:
            print_text(f"There is such a key already, with this value and these rights: {made.key.id}")
        print_summary(
            {
                "description": made.key.description,
                "collections": " ".join(made.key.collections),
                "expires": _expires(made.key, int(now.timestamp())),
                **({} if made.value is None else {"value": made.value}),
            }
        )
        if made.value is not None:
            print_text(ONCE)
        return ExitCode.OK

    def do_delete(self, args: list[str], opts: argparse.Namespace) -> int:
        if not _ID.fullmatch(args[0]):
            raise UsageProblem(f"{args[0][:40]!r} is not the id of a key; `scrapy apikeys list` shows them")
        with self.connected() as connection:
            key = find_key(connection.client, int(args[0]))
            about = f"{key.id} ({key.description}, {key.prefix}...)"
            if not confirmed(f"Delete key {about}? Whoever uses it is refused at once.", yes=opts.yes):
                return unchanged(opts)
            delete_key(connection.client, key)
        if opts.json:
            print_json({"deleted": _row(key, int(time.time()))})
        else:
            print_text(f"Deleted key {about}.")
        return ExitCode.OK

    def _names(self, opts: argparse.Namespace) -> list[str]:
        """The collections of `-p`, where there may be several, or of what names one."""
        if opts.package_profile and opts.collection is None:
            return [profile.collection for profile in self.selected_profiles(opts)]
        return [self.selected_collection(opts)]


def _value(given: str) -> str:
    """The value of `--value`; it is not echoed where it is typed."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return getpass.getpass("Value: ")
    return sys.stdin.readline(1000).rstrip("\r\n")


def _row(key: Key, now: int) -> dict[str, Any]:
    return {
        "id": key.id,
        "description": key.description,
        "actions": key.actions,
        "collections": key.collections,
        "search_only": key.is_search_only,
        "value_prefix": key.prefix,
        "expires_at": key.expires_at,
        "expires": _date(key),
        "expired": key.is_expired(now),
    }


def _date(key: Key) -> str | None:
    """The last day on which it works, with the time where that is not the end of the day (UTC)."""
    if key.expires_at is not None and key.expires_at % 86_400 != _LAST_SECOND:
        return minute(key.expires_at)
    return day(key.expires_at)


def _expires(key: Key, now: int) -> str:
    if key.expires_at is None:
        return "never"
    return f"expired {_date(key)}" if key.is_expired(now) else str(_date(key))
