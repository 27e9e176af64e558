"""Documents are copied from collection to collection, and what did not arrive is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.rebuild import migrate as module
from pyf_scrapy.rebuild.migrate import migrate
from pyf_scrapy.search.administration import list_collections, set_alias
from pyf_scrapy.search.collections import create_physical, import_documents, iter_documents
from tests.crawling import Place


def nothing(doing: str, done: int, total: int) -> None:
    """A progress that nobody looks at."""


async def test_all_documents_arrive_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BYTES", 20_000)
    await place.crawl("pypi", profile="plone")
    with place.connection() as connection:
        done = migrate(connection.client, "plone", "copy", nothing)
        assert done.is_complete
        assert done.created
        assert done.documents == done.stored
        held, copied = (list(iter_documents(connection.client, name)) for name in ("plone-1", "copy"))
        assert sorted(copied, key=_id) == sorted(held, key=_id)
        with pytest.raises(UsageProblem, match=r"copy has .* documents: migrate into a new or an empty"):
            migrate(connection.client, "plone", "copy", nothing)


def _id(document: dict[str, Any]) -> str:
    return str(document["id"])


def test_what_the_target_refuses_is_named(place: Place) -> None:
    fields = [{"name": "name", "type": "string"}]
    with place.connection() as connection:
        client = connection.client
        client.api_call.post("/collections", dict, body={"name": "theirs", "fields": fields})
        documents = [json.dumps({"id": str(n), "name": f"n{n}"}).encode() for n in range(1_200)]
        assert set(import_documents(client, "theirs", documents)) == {None}
        done = migrate(client, "theirs", "ours", nothing)
        assert (done.documents, done.stored, done.refused) == (1_200, 0, 1_200)
        assert len(done.reasons) == 1_000
        assert "not found" in done.reasons["7"] or "required" in done.reasons["7"], done.reasons["7"]
        assert not done.is_complete
        client.api_call.post("/collections", dict, body={"name": "empty", "fields": fields})
        assert migrate(client, "theirs", "empty", nothing).is_complete


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("missing", "new", "no collection 'missing'"),
        ("a", "alias", "alias is an alias of a"),
        ("a", "../x", "'../x': use letters"),
        ("a", "\x1b[2J", "use letters"),
    ],
)
def test_what_would_mix_collections_is_refused(place: Place, source: str, target: str, reason: str) -> None:
    with place.connection() as connection:
        create_physical(connection.client, "a")
        set_alias(connection.client, "alias", "a")
        with pytest.raises(UsageProblem, match=reason):
            migrate(connection.client, source, target, nothing)
        assert [state.name for state in list_collections(connection.client)] == ["a"]
