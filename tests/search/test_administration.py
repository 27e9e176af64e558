"""What an operator does with collections and aliases, against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typesense

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.search.administration import (
    create_collection,
    delete_alias,
    delete_collection,
    exists,
    list_aliases,
    list_collections,
    new_version,
    point,
    set_alias,
)
from pyf_scrapy.search.collections import create_physical
from pyf_scrapy.search.connection import TypesenseSettings, connect
from pyf_scrapy.search.embedded import Server


@pytest.fixture
def client(empty_index: Server, tmp_path: Path) -> Iterator[typesense.Client]:
    server = empty_index
    settings = TypesenseSettings(*server[:3], api_key=server.api_key, timeout=60, folder=tmp_path, linger=0)
    with connect(settings) as connection:
        yield connection.client


def test_collections_are_listed_with_their_aliases(client: typesense.Client) -> None:
    create_collection(client, "plone")
    create_physical(client, "another")
    set_alias(client, "packages", "plone-1")
    another, plone = list_collections(client)
    assert (another.name, another.aliases) == ("another", ())
    assert (plone.name, plone.aliases, plone.documents) == ("plone-1", ("packages", "plone"), 0)
    assert plone.fields > 50
    assert plone.created_at > 1_700_000_000
    assert list_aliases(client) == {"packages": "plone-1", "plone": "plone-1"}


def test_an_alias_tells_what_it_pointed_to_before(client: typesense.Client) -> None:
    for name in ("a", "b"):
        create_physical(client, name)
    assert set_alias(client, "packages", "a") is None
    assert set_alias(client, "packages", "b") == "a"
    assert delete_alias(client, "packages") == "b"
    assert exists(client, "b")


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda c: delete_collection(c, "packages"), "packages is an alias of plone-1, not a collection"),
        (lambda c: delete_collection(c, "plone-1"), "plone-1 is what is searched as packages, plone"),
        (lambda c: delete_collection(c, "plon-1"), "no collection 'plon-1'; did you mean plone-1"),
        (lambda c: delete_collection(c, "zzz"), "no collection 'zzz'; there are: broken, plone-1"),
        (lambda c: set_alias(c, "more", "packages"), "packages is an alias itself: give .* plone-1"),
        (lambda c: set_alias(c, "more", "missing"), "no collection 'missing'"),
        (lambda c: set_alias(c, "broken", "plone-1"), "broken is a collection: choose another name"),
        (lambda c: set_alias(c, "a/b", "plone-1"), "'a/b': use letters"),
        (lambda c: set_alias(c, "plone-2", "plone-1"), "kept for the collections"),
        (lambda c: delete_alias(c, "plone-1"), "no alias 'plone-1'; did you mean plone"),
        (lambda c: create_collection(c, "plone"), "plone exists already: it is an alias of plone-1"),
        (lambda c: create_collection(c, "plone-2"), "kept for the collections"),
    ],
)
def test_what_would_break_a_search_is_refused(
    client: typesense.Client, deed: Callable[[typesense.Client], object], reason: str
) -> None:
    """W11: the old system deleted the live collection when it was given its alias."""
    create_collection(client, "plone")
    set_alias(client, "packages", "plone-1")
    create_physical(client, "broken")
    before = (list_collections(client), list_aliases(client))
    with pytest.raises(UsageProblem, match=reason):
        deed(client)
    assert (list_collections(client), list_aliases(client)) == before


def test_a_collection_that_nobody_searches_is_deleted(client: typesense.Client) -> None:
    create_physical(client, "old")
    delete_collection(client, "old")
    assert not exists(client, "old")


def test_the_next_version_is_higher_than_all_there_are(client: typesense.Client) -> None:
    assert new_version(client, "plone") == "plone-1"
    for name in ("plone-2", "plone-11", "plone-extra-40", "plone-x", "xplone-50", "plone-0012"):
        create_physical(client, name)
    assert new_version(client, "plone") == "plone-13"
    point(client, "plone-20", "plone-2")
    assert new_version(client, "plone") == "plone-21"


def test_an_alias_is_no_collection(client: typesense.Client) -> None:
    create_physical(client, "a")
    point(client, "b", "a")
    assert not exists(client, "b")
