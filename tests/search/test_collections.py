"""Collections come into being once, however creation is interrupted, and no document is lost unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
import typesense

from pyf_scrapy.exceptions import DocumentError, SearchError, UsageProblem
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.collections import (
    check_alias,
    delete_documents,
    ensure_collection,
    import_documents,
    iter_documents,
)
from pyf_scrapy.search.documents import documents
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.schema import schema

from .corpus import EVERYTHING, TODAY, client_of, package, release

IDS = (
    "plone-api==2.0",
    "p==1!2.0+local.1",
    "p=='single'",
    'p=="double"',
    "p==a,b",
    "p==a]b",
    "p==a && id:=b",
    "p==with`backtick`",
    "p==a/b?c#d",
    "p==50%",
    "p==ü \u2028 \x85",
    "p==back\\slash",
)


@pytest.fixture(scope="module")
def client(typesense_server: Server) -> Iterator[typesense.Client]:
    client = client_of(typesense_server)
    yield client
    client.api_call.close()


def document(id_: str = "p==1", **changes: Any) -> bytes:
    (made,) = documents(package("p", release("p", "1")), EVERYTHING, TODAY)
    return msgspec.json.encode(made | {"id": id_} | changes)


def stored(client: typesense.Client, collection: str) -> set[str]:
    return {one["id"] for one in iter_documents(client, collection)}


@pytest.mark.parametrize("alias", ["plone", "packages1", "django-v2", "a_b.c", "X", "9lives", "a-1b"])
def test_names_that_may_be_aliases(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize(
    "alias",
    ["", "plone-1", "a-b-22", "-x", ".", "..", "a/b", "a b", "ä", "a\n", "x" * 101, "a*", "a,b", "a%2f"],
)
def test_names_that_would_be_ambiguous_or_unsafe_are_refused(client: typesense.Client, alias: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        ensure_collection(client, alias)
    assert "\n" not in str(refused.value)


def test_first_collection_is_number_one_behind_its_alias(client: typesense.Client) -> None:
    made = ensure_collection(client, "first")
    assert (made.alias, made.name) == ("first", "first-1")
    assert made.created_at > 1_600_000_000
    assert ensure_collection(client, "first") == made
    alias = get(client, path("aliases", "first"))
    assert alias is not None
    assert alias["collection_name"] == "first-1"


def test_creation_interrupted_before_the_alias_is_completed(client: typesense.Client) -> None:
    client.api_call.post("/collections", dict[str, Any], body=schema("halfway-1"))
    import_documents(client, "halfway-1", [document()])
    assert ensure_collection(client, "halfway").name == "halfway-1"
    assert stored(client, "halfway-1") == {"p==1"}


def test_the_collection_in_use_is_the_one_the_alias_names(client: typesense.Client) -> None:
    for name in ("rebuilt-1", "rebuilt-2"):
        client.api_call.post("/collections", dict[str, Any], body=schema(name))
    with pytest.raises(SearchError, match="rebuilt-1 and rebuilt-2"):
        ensure_collection(client, "rebuilt")
    client.api_call.put(path("aliases", "rebuilt"), dict[str, Any], body={"collection_name": "rebuilt-2"})
    assert ensure_collection(client, "rebuilt").name == "rebuilt-2"


def test_a_lost_collection_comes_back_under_its_name(client: typesense.Client) -> None:
    before = ensure_collection(client, "lost")
    client.api_call.delete(path("collections", before.name), dict[str, Any])
    after = ensure_collection(client, "lost")
    assert after.name == before.name
    assert after.created_at >= before.created_at
    assert stored(client, after.name) == set()


def test_a_plain_collection_of_that_name_is_left_alone(client: typesense.Client) -> None:
    client.api_call.post("/collections", dict[str, Any], body=schema("plain"))
    with pytest.raises(SearchError, match="plain is a plain collection"):
        ensure_collection(client, "plain")
    assert get(client, path("collections", "plain-1")) is None


def test_many_creators_at_once_agree(typesense_server: Server) -> None:
    clients = [client_of(typesense_server) for _ in range(8)]
    with ThreadPoolExecutor(len(clients)) as threads:
        made = set(threads.map(lambda client: ensure_collection(client, "race"), clients))
    assert {one.name for one in made} == {"race-1"}
    assert len(made) == 1
    for one in clients:
        one.api_call.close()


def test_each_line_of_an_import_has_its_result(client: typesense.Client) -> None:
    """pyf.aggregator lost documents because nobody read these."""
    collection = ensure_collection(client, "imports").name
    no_summary = json.loads(document("p==2"))
    del no_summary["summary"]
    results = import_documents(
        client,
        collection,
        [
            document("p==1"),
            json.dumps(no_summary).encode(),
            document("p==3", keywords=""),
            b"{",
            document("p==5"),
        ],
    )
    assert [result is None for result in results] == [True, False, False, False, True]
    assert "summary" in str(results[1])
    assert "keywords" in str(results[2])
    assert stored(client, collection) == {"p==1", "p==5"}
    assert import_documents(client, collection, []) == []


def test_documents_are_replaced_whole(client: typesense.Client) -> None:
    collection = ensure_collection(client, "whole").name
    import_documents(client, collection, [document(github_stars=5, project_urls={"A.b": "x"})])
    import_documents(client, collection, [document(project_urls={"C": "y"})])
    (found,) = iter_documents(client, collection)
    assert "github_stars" not in found
    assert found == json.loads(document(project_urls={"C": "y"}))


def test_a_line_with_a_line_end_is_a_mistake_of_the_caller(client: typesense.Client) -> None:
    for line in (b"", b"{}\n{}"):
        with pytest.raises(ValueError, match="line"):
            import_documents(client, "imports-1", [line])


def test_failures_of_the_server_are_told_from_rejected_lines(client: typesense.Client) -> None:
    with pytest.raises(SearchError, match="import into nowhere"):
        import_documents(client, "nowhere", [document()])
    with pytest.raises(SearchError, match="deleting from nowhere"):
        delete_documents(client, "nowhere", ["p==1"])
    with pytest.raises(SearchError, match="export of nowhere"):
        list(iter_documents(client, "nowhere"))


def test_a_server_that_is_gone_or_refuses_the_key_is_one_line(typesense_server: Server) -> None:
    for server, reason in (
        (typesense_server._replace(api_key="wrong"), "refuses the key"),
        (typesense_server._replace(port=1), "ConnectError"),
    ):
        client = client_of(server)
        for call in (
            lambda client=client: ensure_collection(client, "x"),
            lambda client=client: import_documents(client, "x-1", [document()]),
            lambda client=client: list(iter_documents(client, "x-1")),
        ):
            with pytest.raises(SearchError, match=reason) as failed:
                call()
            assert "\n" not in str(failed.value)
        client.api_call.close()


def client_answering(answer: Callable[[httpx.Request], httpx.Response]) -> typesense.Client:
    """A client of a server that a real one cannot be made to be."""
    transport = httpx.MockTransport(answer)
    return client_of(Server("127.0.0.1", 1, "http", "key"), httpx.Client(transport=transport))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"success":true}', "1 results for 2 documents"),
        (b'{"success":true}\n{"succ', "not understood"),
    ],
)
def test_an_import_that_is_not_fully_answered_is_not_done(answer: bytes, reason: str) -> None:
    client = client_answering(lambda request: httpx.Response(200, content=answer))
    with pytest.raises(SearchError, match=reason):
        import_documents(client, "x-1", [document("p==1"), document("p==2")])


def test_a_line_that_the_server_itself_failed_at_is_refused_alone() -> None:
    """One document that breaks the server must not keep all others out for ever."""
    answer = b'{"success":true}\n{"success":false,"code":500,"error":"broken"}'
    client = client_answering(lambda request: httpx.Response(200, content=answer))
    assert import_documents(client, "x-1", [document("p==1"), document("p==2")]) == [None, "broken (500)"]


def test_an_export_that_is_cut_off_does_not_look_complete() -> None:
    client = client_answering(lambda request: httpx.Response(200, content=b'{"id":"a"}\n{"id":"b'))
    with pytest.raises(SearchError, match="export of x-1: answer not understood"):
        list(iter_documents(client, "x-1"))


@pytest.mark.parametrize("value", [b"[" * 3_000 + b"]" * 3_000, b'"\xff"', b"nonsense"])
def test_a_document_that_cannot_be_read_is_one_line_that_names_it(value: bytes) -> None:
    line = b'{"id":"a==1"}\n{"contributors":[{"id":"x"}],"deep":' + value + b',"id":"b==1","name":"b"}\n'
    client = client_answering(lambda request: httpx.Response(200, content=line))
    with pytest.raises(DocumentError, match=r"^export of x-1: document 'b==1' cannot be read \("):
        list(iter_documents(client, "x-1"))


def test_a_collection_deleted_meanwhile_is_said_to_be() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/aliases/x":
            return httpx.Response(200, json={"name": "x", "collection_name": "x-1"})
        return httpx.Response(201 if request.method == "POST" else 404, json={})

    with pytest.raises(SearchError, match="x-1 was deleted while"):
        ensure_collection(client_answering(answer), "x")


def test_any_id_can_be_deleted_and_takes_no_other_with_it(client: typesense.Client) -> None:
    collection = ensure_collection(client, "deletes").name
    import_documents(client, collection, [document(id_) for id_ in IDS])
    assert stored(client, collection) == set(IDS)
    for place, id_ in enumerate(IDS):
        assert delete_documents(client, collection, [id_]) == 1, id_
        assert stored(client, collection) == set(IDS[place + 1 :])
    assert delete_documents(client, collection, [*IDS, "never==1"]) == 0


def test_many_ids_are_deleted_in_portions(client: typesense.Client) -> None:
    collection = ensure_collection(client, "portions").name
    ids = [f"{'long-' * 20}name==1.{number}" for number in range(200)]
    import_documents(client, collection, [document(id_) for id_ in [*ids, "kept==1"]])
    assert delete_documents(client, collection, ids) == 200
    assert stored(client, collection) == {"kept==1"}


def test_export_gives_back_what_was_stored(client: typesense.Client) -> None:
    collection = ensure_collection(client, "exports").name
    texts = ["line\nend \u2028 \x85 \\", "ünï", "x" * 300_000]
    lines = [document(f"p=={place}", main_content=text) for place, text in enumerate(texts)]
    import_documents(client, collection, lines)
    found = sorted(iter_documents(client, collection), key=lambda one: str(one["id"]))
    assert found == [json.loads(line) for line in lines]
