"""What makes a search find the right things, kept in the search server: the synonyms of a profile, and the
defaults of our own search for front ends.

Typesense keeps synonyms and overrides with a collection up to version 29, from 30 on in sets of their own
that collections name (https://typesense.org/docs/30.2/api/synonyms.html, curation.html). What is ours there
begins with "pyf-"; what is not is never touched. All functions block and raise SearchError.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import typesense

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.profiles_file import SynonymGroup
from pyf_scrapy.search.calls import REFUSALS, failures, get, path
from pyf_scrapy.search.collections import Collection
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.search.queries import search_defaults
from pyf_scrapy.search.schema import SYMBOLS_TO_INDEX, TOKEN_SEPARATORS

logger = logging.getLogger(__name__)

PREFIX = "pyf-"
SETS_SINCE = (30,)  # the version with synonym_sets and curation_sets
_SETS = ("synonym_sets", "curation_sets")
_SEPARATORS = re.compile(f"[{re.escape(''.join(TOKEN_SEPARATORS))}]+")


class Carried(NamedTuple):
    """What `carry_over` has copied: ids of synonyms and overrides, or the names of their sets."""

    synonyms: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


def preset_name(alias: str) -> str:
    """The name of the preset with the defaults for an alias: "pyf-search-plone"."""
    return f"{PREFIX}search-{alias}"


def prepare_search(connection: Connection, collection: Collection, groups: Iterable[SynonymGroup]) -> None:
    """Give a collection its synonyms and its preset. A key that does not allow it costs them, not the crawl:
    a warning says so."""
    try:
        apply_synonyms(connection.client, connection.version, collection.alias, collection.name, groups)
        save_preset(connection.client, collection.alias)
    except SearchError as error:
        if not isinstance(error.__cause__, REFUSALS):
            raise
        logger.warning("%s has no synonyms or search preset of ours: %s", collection.alias, error)


def apply_synonyms(
    client: typesense.Client,
    version: tuple[int, ...],
    alias: str,
    collection: str,
    groups: Iterable[SynonymGroup],
) -> int:
    """Give `collection` these synonyms and take away others of ours; return how many requests wrote.

    `version` is that of the server. What is right already is not written again.
    """
    items = {item["id"]: item for item in map(_item, groups)}
    if version >= SETS_SINCE:
        return _apply_set(client, f"{PREFIX}{alias}", collection, items)
    return _sync_items(client, path("collections", collection, "synonyms"), items)


def save_preset(client: typesense.Client, alias: str) -> bool:
    """Keep the defaults of our search as a preset, so that front ends can say `preset=` with its name; return
    whether that wrote something."""
    name, wanted = preset_name(alias), search_defaults()
    with failures("asking Typesense for its presets"):
        # All of them, because 0.24.1 answers 404 for each by its name.
        presets = client.api_call.get("/presets", dict[str, Any])["presets"]
    if any(preset["name"] == name and preset["value"] == wanted for preset in presets):
        return False
    with failures(f"saving preset {name}"):
        client.api_call.put(path("presets", name), dict[str, Any], body={"value": wanted})
    return True


def carry_over(client: typesense.Client, version: tuple[int, ...], old: str, new: str) -> Carried:
    """Give the collection `new` all synonyms and overrides of the collection `old`, whoever made them; return
    what it lacked. What `new` has already stays."""
    if version >= SETS_SINCE:
        return _link_all(client, old, new)
    return Carried(_copy(client, "synonyms", old, new), _copy(client, "overrides", old, new))


def _item(group: SynonymGroup) -> dict[str, Any]:
    """A synonym as Typesense's API takes it; its id says what is in it, so one with that id is right."""
    # Typesense would glue "add-on" to one word here, and not where it indexes documents.
    root, *words = (" ".join(_SEPARATORS.sub(" ", word).split()) for word in (group.root, *group.words))
    digest = hashlib.sha256("\0".join([root, *words]).encode()).hexdigest()
    item: dict[str, Any] = {
        "id": f"{PREFIX}{digest[:16]}",
        "synonyms": words,
        "symbols_to_index": SYMBOLS_TO_INDEX,
    }
    return item | {"root": root} if root else item


def _sync_items(client: typesense.Client, base: str, items: Mapping[str, dict[str, Any]]) -> int:
    """Make `items` those of ours below a path of the API, such as /collections/plone-1/synonyms."""
    found = get(client, base)
    ours = {item["id"] for item in found["synonyms"] if item["id"].startswith(PREFIX)} if found else set()
    with failures(f"writing {base}"):
        for id_ in items.keys() - ours:
            client.api_call.put(f"{base}{path(id_)}", dict[str, Any], body=items[id_])
        for id_ in ours - items.keys():
            client.api_call.delete(f"{base}{path(id_)}", dict[str, Any])
    return len(ours.symmetric_difference(items))


def _apply_set(
    client: typesense.Client, name: str, collection: str, items: Mapping[str, dict[str, Any]]
) -> int:
    """Make `items` the synonym set `name`, linked with the collection; without any there is no such set."""
    found = get(client, path("synonym_sets", name))
    ids = {item["id"] for item in found["items"]} if found else set()
    linked = _linked(client, collection)["synonym_sets"]
    others = [other for other in linked if other != name]
    written = 0
    with failures(f"writing synonym set {name}"):
        if items and ids != items.keys():
            body = {"items": list(items.values())}
            client.api_call.put(path("synonym_sets", name), dict[str, Any], body=body)
            written += 1
        if bool(items) != (name in linked):
            _link(client, collection, {"synonym_sets": [*others, name] if items else others})
            written += 1
        if found and not items:
            client.api_call.delete(path("synonym_sets", name), dict[str, Any])
            written += 1
    return written + sum(_remove_ours(client, other) for other in others)


def _remove_ours(client: typesense.Client, name: str) -> int:
    """Take what was ours out of a set: the server made one of a collection's synonyms when it became 30."""
    base = path("synonym_sets", name)
    found = get(client, base)
    ours = [item["id"] for item in found["items"] if item["id"].startswith(PREFIX)] if found else []
    with failures(f"writing synonym set {name}"):
        for id_ in ours:
            client.api_call.delete(f"{base}/items{path(id_)}", dict[str, Any])
    return len(ours)


def _link_all(client: typesense.Client, old: str, new: str) -> Carried:
    before, after = _linked(client, old), _linked(client, new)
    lacking = {kind: [name for name in before[kind] if name not in after[kind]] for kind in _SETS}
    changes = {kind: [*after[kind], *names] for kind, names in lacking.items() if names}
    if changes:
        with failures(f"giving {new} the synonyms and curations of {old}"):
            _link(client, new, changes)
    return Carried(*(tuple(lacking[kind]) for kind in _SETS))


def _linked(client: typesense.Client, collection: str) -> dict[str, list[str]]:
    """The names of the sets that a collection uses, by kind."""
    found = get(client, path("collections", collection)) or {}
    return {kind: list(found.get(kind) or ()) for kind in _SETS}


def _link(client: typesense.Client, collection: str, sets: Mapping[str, list[str]]) -> None:
    client.api_call.patch(path("collections", collection), dict[str, Any], body=sets)


def _copy(client: typesense.Client, kind: str, old: str, new: str) -> tuple[str, ...]:
    """Copy the synonyms or overrides that `new` lacks; return their ids."""
    base = path("collections", new, kind)
    known = {item["id"] for item in (get(client, base) or {}).get(kind, ())}
    items = (get(client, path("collections", old, kind)) or {}).get(kind, ())
    lacking = {item["id"]: item for item in items if item["id"] not in known}
    with failures(f"copying {kind} of {old} to {new}"):
        for id_, item in lacking.items():
            client.api_call.put(f"{base}{path(id_)}", dict[str, Any], body=item)
    return tuple(lacking)
