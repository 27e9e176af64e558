"""Typesense's API keys: what each may do, and keys for the public that may search some collections only.

Typesense checks a key against the name in the request, before it follows an alias. So a key for a front end
names the alias, the collections behind it and all other aliases of these. Names in keys are regular
expressions, matched whole.

The actions of a key hold, its collections do not quite: a parameter `collection` beside a multi_search beats
the one that was checked (0.24.1, and the source of later versions), so that it can search all of its server.

The functions that ask the server block and raise SearchError, also when the key in use may not manage keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

import typesense
from typesense.exceptions import ObjectAlreadyExists, RequestForbidden, RequestUnauthorized

from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.search.administration import list_aliases
from pyf_scrapy.search.calls import failures, get, path

SEARCH = "documents:search"
SHORTEST_VALUE = 8  # characters; four of them are shown in lists
LONGEST_VALUE = 256
MAX_DESCRIPTION = 200  # characters

_GENERATED = 16  # bytes of a random value, twice as many characters
_SHOWN = 4  # characters of a value, as Typesense does
_SEARCHING = {SEARCH, "documents:*", "*"}
_NEVER = 64_723_363_199  # what Typesense makes of no expiry: a date in the year 4021
_VALUE = re.compile(r"[\x21-\x7e]+")
_DURATION = re.compile(r"([0-9]{1,6})([hd])")
_UNITS = {"h": "hours", "d": "days"}
_MOST_DAYS = 36_525  # a hundred years
_VERSIONED = re.compile(r"(?P<alias>.+)-[0-9]+")
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|]")  # of ECMAScript's regular expressions


@dataclass(frozen=True)
class Key:
    """A key as the server tells of it. `prefix` is the beginning of its value, `expires_at` the last second
    (epoch) in which it works, None = for ever; `collections` are regular expressions."""

    id: int
    description: str
    actions: tuple[str, ...]
    collections: tuple[str, ...]
    prefix: str
    expires_at: int | None

    @property
    def is_search_only(self) -> bool:
        return self.actions == (SEARCH,)

    def is_expired(self, now: int) -> bool:
        """Whether it works no more at `now` (epoch seconds)."""
        return self.expires_at is not None and now > self.expires_at

    def searches(self, name: str) -> bool:
        """Whether it may search the collection or alias of this name."""
        return not _SEARCHING.isdisjoint(self.actions) and any(
            _matches(pattern, name) for pattern in self.collections
        )

    def same_rights(self, other: Key) -> bool:
        """Whether both may do the same with the same collections."""
        return set(self.actions) == set(other.actions) and set(self.collections) == set(other.collections)


class NewKey(NamedTuple):
    """What came of a creation: `value` is None for a value that the user gave, `is_new` False when a key with
    it and the same rights was there already."""

    key: Key
    value: str | None
    is_new: bool


def search_patterns(name: str, aliases: Mapping[str, str]) -> list[str]:
    """The names that a key must hold to search what is behind `name`, a collection or alias, also after that
    was made anew as the next version: `name`, the collections ALIAS-1, ALIAS-2 ..., all other aliases of it.

    `aliases` maps all aliases to their collections.
    """
    target = aliases.get(name, name)
    versioned = _VERSIONED.fullmatch(target)
    behind = f"{_escaped(versioned['alias'])}-[0-9]+" if versioned else _escaped(target)
    others = sorted(alias for alias, collection in aliases.items() if collection == target)
    named = [name] if name in aliases else []
    return list(dict.fromkeys([*map(_escaped, named), behind, *map(_escaped, others)]))


def lacking(keys: Iterable[Key], alias: str, names_of_same_collection: Iterable[str]) -> list[Key]:
    """Those keys that may search a collection by one of its names, but not by the name `alias`."""
    names = set(names_of_same_collection) - {alias}
    return [key for key in keys if not key.searches(alias) and any(map(key.searches, names))]


def keys_lacking(client: typesense.Client, alias: str, collection: str, now: int) -> list[Key]:
    """The keys that may search `collection` (by its own name or one of its aliases), but not as `alias`.

    For a warning when `alias` is pointed to it: whoever has such a key gets a 401 under the new name. Keys
    that are expired at `now` (epoch seconds) are left out.
    """
    names = [collection, *(name for name, target in list_aliases(client).items() if target == collection)]
    return lacking((key for key in list_keys(client) if not key.is_expired(now)), alias, names)


def list_keys(client: typesense.Client) -> list[Key]:
    """All keys by id, without the one that the server was started with."""
    with _managing("listing keys"):
        answer = client.api_call.get("/keys", dict[str, Any])
    return sorted(map(_key, answer["keys"]), key=lambda key: key.id)


def create_search_key(
    client: typesense.Client,
    names: Sequence[str],
    description: str,
    *,
    now: int,
    expires_at: int | None = None,
    value: str | None = None,
) -> NewKey:
    """Create a key that may search the collections and aliases `names`, and nothing else.

    `now` and `expires_at` are epoch seconds, None = for ever; `value` is one of the user's own (see
    `check_value`). Raises UsageProblem where it is the key in use, which must not go to the public, or that
    of a key that has, or may have, other rights; SearchError where there is no such collection.
    """
    if value == client.config.api_key:
        raise UsageProblem("this value is the key in TYPESENSE_API_KEY, which may do more: give another")
    aliases = list_aliases(client)
    for name in names:
        if get(client, path("collections", name)) is None:
            raise SearchError(f"there is no collection {name!r}")
    patterns = dict.fromkeys(pattern for name in names for pattern in search_patterns(name, aliases))
    # Made here: the client repeats a request that timed out, and that must not make a second key.
    secret = secrets.token_hex(_GENERATED) if value is None else value
    wanted = Key(-1, description, (SEARCH,), tuple(patterns), secret[:_SHOWN], expires_at)
    body: dict[str, Any] = {
        "description": description,
        "actions": wanted.actions,
        "collections": wanted.collections,
        "value": secret,
    }
    if expires_at is not None:
        body["expires_at"] = expires_at
    with _managing("creating a key"):
        try:
            answer = client.api_call.post("/keys", dict[str, Any], body=body)
        except ObjectAlreadyExists:
            answer = None
    key = _existing(client, wanted, now) if answer is None else _key(answer)
    return NewKey(key, secret if value is None else None, answer is not None or value is None)


def derived_search_key(client: typesense.Client, names: Sequence[str], description: str, *, now: int) -> str:
    """The value of a key that may search `names` and nothing else; it is made unless it is there.

    It follows from the key in use, so that a program that starts often makes no key each time. Raises as
    `create_search_key`.
    """
    aliases = list_aliases(client)
    rights = sorted({pattern for name in names for pattern in search_patterns(name, aliases)})
    secret = str(client.config.api_key).encode()
    value = hmac.new(secret, "\n".join([description, *rights]).encode(), hashlib.sha256).hexdigest()
    create_search_key(client, names, description, now=now, value=value)
    return value


def find_key(client: typesense.Client, id_: int) -> Key:
    """The key of this id. Raises UsageProblem when there is none."""
    found = next((key for key in list_keys(client) if key.id == id_), None)
    if found is None:
        raise UsageProblem(f"there is no key {id_}; `scrapy apikeys list` shows all")
    return found


def delete_key(client: typesense.Client, key: Key) -> None:
    """Delete a key: it works no more at once."""
    with _managing(f"deleting key {key.id}"):
        client.api_call.delete(path("keys", str(key.id)), dict[str, Any])


def check_value(value: str) -> str:
    """Return a value that a user wants for a key, or raise UsageProblem, which does not repeat it."""
    if not _VALUE.fullmatch(value) or not SHORTEST_VALUE <= len(value) <= LONGEST_VALUE:
        raise UsageProblem(
            f"this value cannot be a key: use {SHORTEST_VALUE} to {LONGEST_VALUE} letters, digits and signs "
            "of ASCII, without blanks"
        )
    return value


def expiry(text: str, now: datetime) -> int:
    """The last second (epoch) of a date, "2027-01-31" (UTC), or of a time from `now` on, "90d" or "12h".

    Raises UsageProblem when it is neither, or not in the future.
    """
    if duration := _DURATION.fullmatch(text):
        span = timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        if not timedelta(0) < span <= timedelta(days=_MOST_DAYS):
            raise UsageProblem(f"--expires {text}: give a time from 1h to {_MOST_DAYS}d")
        return int((now + span).timestamp())
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  (only the day is used)
    except ValueError:
        raise UsageProblem(
            f"--expires {text[:40]!r}: give the last day (UTC), as 2027-01-31, or a time, as 90d or 12h"
        ) from None
    end = datetime.combine(day, time(23, 59, 59), UTC)
    if end <= now:
        raise UsageProblem(f"--expires {text}: that is in the past; today is {now:%Y-%m-%d} (UTC)")
    if end > now + timedelta(days=_MOST_DAYS):
        raise UsageProblem(f"--expires {text}: that is more than a hundred years from now")
    return int(end.timestamp())


@contextmanager
def _managing(doing: str) -> Iterator[None]:
    """`failures`, but a key that is refused here was taken when the connection was opened."""
    with failures(doing):
        try:
            yield
        except (RequestUnauthorized, RequestForbidden) as error:
            raise SearchError(
                f"{doing}: the key in TYPESENSE_API_KEY may not manage keys; "
                "give the admin key that the server was started with"
            ) from error


def _existing(client: typesense.Client, wanted: Key, now: int) -> Key:
    """The key of a value that is taken; the server tells only the beginning of it."""
    similar = [key for key in list_keys(client) if key.prefix == wanted.prefix]
    if len(similar) == 1 and similar[0].same_rights(wanted) and not similar[0].is_expired(now):
        return similar[0]
    named = " or ".join(f"{key.id} ({key.description})" for key in similar)
    raise UsageProblem(
        f"a key with this value exists{f': {named}' if named else ''}, with other rights or an unknown one: "
        "give another value, or delete that key first"
    )


def _key(answer: Mapping[str, Any]) -> Key:
    """A key of the server's answer, which at its creation has the whole value."""
    expires_at = int(answer.get("expires_at", _NEVER))
    return Key(
        id=int(answer["id"]),
        description=str(answer.get("description", "")),
        actions=tuple(answer["actions"]),
        collections=tuple(answer["collections"]),
        prefix=str(answer.get("value_prefix") or answer.get("value", ""))[:_SHOWN],
        expires_at=None if expires_at >= _NEVER else expires_at,
    )


def _escaped(name: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", name)


def _matches(pattern: str, name: str) -> bool:
    if pattern in ("*", name):
        return True
    with warnings.catch_warnings():  # of what is not ours: ECMAScript's expressions differ in rare things
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return re.fullmatch(pattern, name) is not None
        except (re.error, OverflowError, RecursionError):
            return False
