"""What an operator does with collections and aliases: list, create, delete, point elsewhere.

All functions block. They raise SearchError when the server fails, UsageProblem for what must not be done.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import typesense

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.search.calls import failures, get, path
from pyf_scrapy.search.collections import Collection, check_alias, ensure_collection, next_version

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class CollectionState:
    """A collection as the server shows it: how many documents and fields it has, since when it is there
    (epoch seconds; Typesense 0.24 dates it anew when it starts), and which aliases point to it."""

    name: str
    documents: int
    fields: int
    created_at: int
    aliases: tuple[str, ...]


def list_aliases(client: typesense.Client) -> dict[str, str]:
    """The name of the collection behind each alias, by the alias's name."""
    with failures("asking Typesense for its aliases"):
        answer = client.api_call.get("/aliases", dict[str, Any])
    return {alias["name"]: alias["collection_name"] for alias in sorted(answer["aliases"], key=_name_of)}


def list_collections(client: typesense.Client) -> list[CollectionState]:
    """All collections by name."""
    aliases = list_aliases(client)
    with failures("asking Typesense for its collections"):
        found = client.api_call.get("/collections", list[dict[str, Any]])
    return [
        CollectionState(
            one["name"],
            one["num_documents"],
            len(one["fields"]),
            one["created_at"],
            tuple(alias for alias, name in aliases.items() if name == one["name"]),
        )
        for one in sorted(found, key=_name_of)
    ]


def collection_details(client: typesense.Client, name: str) -> dict[str, Any]:
    """A collection (or what an alias points to) with its fields, as the server shows it."""
    found = get(client, path("collections", name))
    if found is None:
        raise UsageProblem(_unknown("collection", name, [state.name for state in list_collections(client)]))
    return found


def create_collection(client: typesense.Client, alias: str) -> Collection:
    """Create NAME-1 with our schema behind the alias NAME. Refuses a name that is taken."""
    check_alias(alias)
    if target := list_aliases(client).get(alias):
        raise UsageProblem(f"{alias} exists already: it is an alias of {target}")
    return ensure_collection(client, alias)


def deletable(client: typesense.Client, name: str) -> CollectionState:
    """The collection that may be deleted. Refuses an alias, what an alias points to and what is not there.

    Typesense itself would delete the collection *behind* an alias.
    """
    found = {state.name: state for state in list_collections(client)}
    if target := list_aliases(client).get(name):
        raise UsageProblem(
            f"{name} is an alias of {target}, not a collection: "
            f"`scrapy aliases delete {name}` takes the alias away"
        )
    if name not in found:
        raise UsageProblem(_unknown("collection", name, found))
    if found[name].aliases:
        aliases = ", ".join(found[name].aliases)
        raise UsageProblem(
            f"{name} is what is searched as {aliases}: point that to another collection first "
            f"(`scrapy aliases set {found[name].aliases[0]} COLLECTION`), or delete the alias"
        )
    return found[name]


def check_name(name: str) -> str:
    """Return `name`, or raise UsageProblem where no collection may be called so."""
    if not _NAME.fullmatch(name):
        raise UsageProblem(
            f"collection name {name[:100]!r}: use letters from a to z, digits, '_', '.' and '-', at most 200"
        )
    return name


def delete_collection(client: typesense.Client, name: str) -> None:
    """Delete a collection that is `deletable`, looked at once more just before."""
    deletable(client, name)
    drop_collection(client, name)


def drop_collection(client: typesense.Client, name: str) -> None:
    """Delete a collection of which the caller knows that no alias has its name or points to it."""
    with failures(f"deleting collection {name}"):
        client.api_call.delete(path("collections", name), dict[str, Any])


def set_alias(client: typesense.Client, alias: str, collection: str) -> str | None:
    """Point an alias, which need not exist, to a collection; return what it pointed to before.

    Refuses a collection that is not there, an alias as target (Typesense would accept it and find nothing),
    and the name of a collection as alias.
    """
    check_alias(alias)
    aliases = list_aliases(client)
    names = [state.name for state in list_collections(client)]
    if alias in names:
        raise UsageProblem(f"{alias} is a collection: choose another name for the alias")
    if collection in aliases:
        raise UsageProblem(f"{collection} is an alias itself: give what it points to, {aliases[collection]}")
    if collection not in names:
        raise UsageProblem(_unknown("collection", collection, names))
    point(client, alias, collection)
    return aliases.get(alias)


def point(client: typesense.Client, alias: str, collection: str) -> None:
    """Point an alias to a collection, unchecked."""
    with failures(f"pointing alias {alias} to {collection}"):
        client.api_call.put(path("aliases", alias), dict[str, Any], body={"collection_name": collection})


def delete_alias(client: typesense.Client, alias: str) -> str:
    """Delete an alias; return the collection that it pointed to, which stays."""
    aliases = list_aliases(client)
    if alias not in aliases:
        raise UsageProblem(_unknown("alias", alias, aliases))
    with failures(f"deleting alias {alias}"):
        client.api_call.delete(path("aliases", alias), dict[str, Any])
    return aliases[alias]


def new_version(client: typesense.Client, alias: str) -> str:
    """The name of the next collection behind an alias: one higher than all that is there, aliases too."""
    return next_version([*list_aliases(client), *(state.name for state in list_collections(client))], alias)


def exists(client: typesense.Client, name: str) -> bool:
    """Whether there is a collection (not an alias) of this name."""
    found = get(client, path("collections", name))
    return found is not None and found["name"] == name


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"there {'is' if len(names) == 1 else 'are'}: " + (", ".join(names[:20]) or "none")
    )
    return f"there is no {what} {name[:100]!r}; {hint}"


def _name_of(answer: dict[str, Any]) -> str:
    return str(answer["name"])
