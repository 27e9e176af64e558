"""The way of whoever only reads to a search collection, and what helps where there is nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typesense

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.connection import TypesenseSettings, connect
from pyf_scrapy.search.queries import search

_NEAR = 3  # names offered for one that is unknown


@contextmanager
def existing_collection(
    settings: Mapping[str, Any], collection: str, profiles: Iterable[Profile]
) -> Iterator[typesense.Client]:
    """Give a client of the server that has the collection (or alias).

    Raises SearchError, also when there is no such collection: then it names the command that makes it.
    """
    typesense_settings = TypesenseSettings.from_settings(settings)
    missing = SearchError(
        f"there is no collection {collection!r} yet; make it: {maker(collection, profiles)}"
    )
    if typesense_settings.host is None and not typesense_settings.folder.exists():
        raise missing  # no server needs to be started to know
    with connect(typesense_settings) as connection:
        if get(connection.client, path("collections", collection)) is None:
            raise missing
        yield connection.client


def crawls(
    spider: str, collections: Sequence[str], profiles: Iterable[Profile], others: str | None = None
) -> list[str]:
    """The crawls of the profiles of these collections; `others` is for those that have no profile.

    `PROFILE` stands for the one to be chosen where none of the collections has a profile.
    """
    keys = {profile.collection: profile.key for profile in profiles}
    having = [keys[collection] for collection in collections if collection in keys]
    own = [collection for collection in collections if others and collection not in keys]
    made = [f"scrapy crawl {others} -a collection={collection}" for collection in own]
    if having or not own:
        made.insert(0, f"scrapy crawl {spider} -a profile={','.join(having) or 'PROFILE'}")
    return made


def maker(collection: str, profiles: Iterable[Profile]) -> str:
    """The command that fills a collection."""
    key = next((profile.key for profile in profiles if profile.collection == collection), None)
    if key is not None:
        return f"scrapy crawl pypi -a profile={key}"
    return f"scrapy crawl project -a names=NAME,NAME -a collection={collection}"


def did_you_mean(client: typesense.Client, collection: str, name: str) -> str:
    """A question that offers packages with a similar name, behind a semicolon; "" where there are none."""
    found = [row["name"] for row in search(client, collection, name, per_page=_NEAR, facet_by=()).rows]
    near = difflib.get_close_matches(name, found, n=_NEAR, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""
