"""Synonyms and the defaults of our search are in the search server, so that front ends find what we find."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typesense

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.profiles_file import SynonymGroup
from pyf_scrapy.search.calls import get, path, searches
from pyf_scrapy.search.collections import Collection
from pyf_scrapy.search.connection import TypesenseSettings, connect
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.keys import create_search_key
from pyf_scrapy.search.queries import search
from pyf_scrapy.search.relevance import (
    Carried,
    apply_synonyms,
    carry_over,
    prepare_search,
    preset_name,
    save_preset,
)

from .corpus import client_of, corpus, indexed, package, release
from .test_queries import QUERIES

OLD = (0, 24, 1)
NEW = (30, 2)
ALIAS = "relevant"
GROUPS = (
    SynonymGroup(("sso", "single sign on")),
    SynonymGroup(("form", "questionnaire"), root="survey"),
)


@pytest.fixture(scope="module")
def client(typesense_server: Server) -> Iterator[typesense.Client]:
    client = client_of(typesense_server)
    indexed(client, ALIAS, corpus())
    texts = (
        "sso",
        "single sign on",
        "on single sign",
        "survey",
        "questionnaire",
        "add-on",
        "extension",
        "c++",
    )
    indexed(
        client,
        "words",
        [package(f"p{n}", release(f"p{n}", "1", summary=text)) for n, text in enumerate(texts)],
    )
    yield client
    client.api_call.close()


@pytest.fixture
def words(client: typesense.Client) -> typesense.Client:
    """The client, when the collection words-1 has no synonyms or overrides."""
    for kind in ("synonyms", "overrides"):
        for item in client.api_call.get(f"/collections/words-1/{kind}", dict)[kind]:
            client.api_call.delete(path("collections", "words-1", kind, item["id"]), dict)
    return client


def apply(client: typesense.Client, *groups: SynonymGroup) -> int:
    return apply_synonyms(client, OLD, "words", "words-1", groups)


def found(client: typesense.Client, query: str) -> set[str]:
    return {row["summary"] for row in search(client, "words", query).rows}


def test_words_that_mean_the_same_find_each_other(words: typesense.Client) -> None:
    assert found(words, "sso") == {"sso"}
    apply(words, *GROUPS)
    assert {"sso", "single sign on"} <= found(words, "sso")
    assert {"sso", "single sign on"} <= found(words, "single sign on")


def test_a_root_finds_its_synonyms_and_none_of_them_finds_it(words: typesense.Client) -> None:
    apply(words, *GROUPS)
    assert found(words, "survey") == {"survey", "questionnaire"}
    assert found(words, "questionnaire") == {"questionnaire"}


def test_synonyms_are_split_to_words_as_documents_are(words: typesense.Client) -> None:
    apply(words, SynonymGroup(("add-on", "extension")), SynonymGroup(("cpp", "C++")))
    assert found(words, "extension") == {"add-on", "extension"}
    assert found(words, "add-on") == {"add-on", "extension"}
    assert found(words, "cpp") == {"c++"}


def test_what_is_gone_from_the_profile_goes_and_what_is_there_is_not_written_again(
    words: typesense.Client,
) -> None:
    assert apply(words, *GROUPS) == 2
    assert apply(words, *GROUPS) == 0
    assert apply(words, *reversed(GROUPS)) == 0
    assert apply(words, GROUPS[1]) == 1
    assert found(words, "sso") == {"sso"}
    assert apply(words) == 1
    assert get(words, "/collections/words-1/synonyms") == {"synonyms": []}


def test_synonyms_of_the_operator_stay(words: typesense.Client) -> None:
    """Whoever curates an index by hand must not lose that to the next crawl."""
    words.api_call.put("/collections/words-1/synonyms/mine", dict, body={"synonyms": ["sso", "c++"]})
    before = get(words, "/collections/words-1/synonyms")
    apply(words, *GROUPS)
    apply(words)
    assert get(words, "/collections/words-1/synonyms") == before


def test_a_collection_made_anew_gets_what_the_old_one_had(words: typesense.Client) -> None:
    apply(words, *GROUPS)
    words.api_call.put(
        f"/collections/words-1/synonyms{path('mine+1')}",
        dict,
        body={"root": "a b", "synonyms": ["sso", "c++"]},
    )
    override = {
        "rule": {"query": "sso", "match": "exact"},
        "includes": [{"id": "p3==1", "position": 1}],
        "excludes": [{"id": "p0==1"}],
        "filter_curated_hits": True,
    }
    words.api_call.put("/collections/words-1/overrides/first", dict, body=override)
    words.api_call.post("/collections?src_name=words-1", dict, body={"name": "words-2"})
    for kind in ("synonyms", "overrides"):  # which Typesense has cloned
        for item in words.api_call.get(f"/collections/words-2/{kind}", dict)[kind]:
            words.api_call.delete(path("collections", "words-2", kind, item["id"]), dict)
    words.api_call.put("/collections/words-2/synonyms/own", dict, body={"synonyms": ["x", "y"]})
    try:
        carried = carry_over(words, OLD, "words-1", "words-2")
        assert len(carried.synonyms) == 3
        assert "mine+1" in carried.synonyms
        assert carried.overrides == ("first",)
        for kind in ("synonyms", "overrides"):
            old, new = (
                {item["id"]: item for item in words.api_call.get(f"/collections/{name}/{kind}", dict)[kind]}
                for name in ("words-1", "words-2")
            )
            assert {id_: item for id_, item in new.items() if id_ != "own"} == old
        assert carry_over(words, OLD, "words-1", "words-2") == Carried()
        with pytest.raises(SearchError, match="copying synonyms of words-1 to words-3"):
            carry_over(words, OLD, "words-1", "words-3")
    finally:
        words.api_call.delete("/collections/words-2", dict)


def test_every_profile_has_synonyms_that_typesense_takes(words: typesense.Client) -> None:
    groups = [group for profile in load_profiles().values() for group in profile.synonyms]
    assert groups
    assert apply(words, *groups) == len(set(groups))


@pytest.fixture(scope="module")
def front_end(client: typesense.Client, typesense_server: Server) -> Iterator[typesense.Client]:
    """A client whose key can only search."""
    save_preset(client, ALIAS)
    made = create_search_key(client, [ALIAS], "front end", now=0)
    own = client_of(typesense_server._replace(api_key=str(made.value)))
    yield own
    own.api_call.close()
    client.api_call.delete(f"/keys/{made.key.id}", dict)


def by_preset(front_end: typesense.Client, query: str, **more: Any) -> dict[str, Any]:
    """The result of a search that says nothing but its words and the preset."""
    return searches(front_end, [{"collection": ALIAS, "q": query, "preset": preset_name(ALIAS), **more}])[0]


def names(result: dict[str, Any]) -> list[str]:
    return [hit["document"]["name"] for hit in result["hits"]]


def test_a_front_end_with_the_preset_shows_what_scrapy_search_shows(
    client: typesense.Client, front_end: typesense.Client
) -> None:
    ours, theirs = search(client, ALIAS, ""), by_preset(front_end, "*")
    assert names(theirs) == [row["name"] for row in ours.rows]
    assert theirs["found"] == ours.found
    shown = {hit["document"]["name"]: hit["document"] for hit in theirs["hits"]}
    for row in ours.rows:
        assert shown[row["name"]] == {key: value for key, value in row.items() if value is not None}
    assert {facet["field_name"] for facet in theirs["facet_counts"]} == set(ours.facets)


@pytest.mark.parametrize("words", [case["q"] for case in QUERIES if not any(map(str.isdigit, case["q"]))])
def test_words_find_the_same_packages_by_the_preset(
    client: typesense.Client, front_end: typesense.Client, words: str
) -> None:
    """In the same order, when the front end adds what a preset cannot know: a preference for that name."""
    ours = [row["name"] for row in search(client, ALIAS, words, per_page=250).rows]
    assert set(names(by_preset(front_end, words, per_page=250))) == set(ours)
    name = re.sub(r"[-_.\s]+", "-", words).lower()
    preferred = f"_eval(name_normalized:=`{name}` || name:`{name.replace('-', '')}`):desc"
    order = f"{preferred},_text_match:desc,health_score:desc"
    if re.fullmatch(r"[a-z-]+", name):
        assert names(by_preset(front_end, words, per_page=250, sort_by=order)) == ours


def test_a_get_with_the_preset_finds_the_same(client: typesense.Client, front_end: typesense.Client) -> None:
    url = f"/collections/{ALIAS}/documents/search"
    result = front_end.api_call.get(url, dict, params={"q": "*", "preset": preset_name(ALIAS)})
    assert names(result) == [row["name"] for row in search(client, ALIAS, "").rows]


def test_what_a_front_end_says_beats_the_preset(front_end: typesense.Client) -> None:
    result = by_preset(front_end, "*", per_page=3, filter_by="is_latest:true && health_score:>=95")
    assert len(names(result)) == 3
    assert 3 < result["found"] < 120


def test_the_preset_is_written_when_it_is_missing_or_another(client: typesense.Client) -> None:
    save_preset(client, ALIAS)
    assert save_preset(client, ALIAS) is False
    client.api_call.put(f"/presets/{preset_name(ALIAS)}", dict, body={"value": {"query_by": "name"}})
    assert save_preset(client, ALIAS) is True
    assert save_preset(client, ALIAS) is False


def test_no_alias_has_the_preset_of_anothers_mark() -> None:
    """A mark that is overwritten lets the next crawl send all documents again."""
    assert not preset_name("mark-plone").startswith("pyf-mark-")


def test_a_key_that_may_not_write_synonyms_costs_the_synonyms_not_the_crawl(
    client: typesense.Client, typesense_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    actions = ["documents:*", "collections:*", "aliases:*", "debug:list"]
    body = {"description": "crawler", "actions": actions, "collections": [".*"]}
    made = client.api_call.post("/keys", dict, body=body)
    settings = TypesenseSettings(*typesense_server[:3], made["value"], timeout=60, folder=tmp_path, linger=0)
    with connect(settings) as connection:
        prepare_search(connection, Collection("words", "words-1", 0, 0), GROUPS)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "words has no synonyms or search preset of ours: asking Typesense for /collections/words-1/synonyms: "
        "Typesense refuses the key in TYPESENSE_API_KEY"
    ]
    client.api_call.delete(f"/keys/{made['id']}", dict)


def test_a_server_that_fails_is_not_taken_for_one_that_refuses(
    typesense_server: Server, tmp_path: Path
) -> None:
    settings = TypesenseSettings(
        *typesense_server[:3], typesense_server.api_key, timeout=60, folder=tmp_path, linger=0
    )
    with connect(settings) as connection:
        connection.client = client_of(typesense_server._replace(port=1))
        with pytest.raises(SearchError, match="ConnectError"):
            prepare_search(connection, Collection("words", "words-1", 0, 0), GROUPS)
        connection.client.api_call.close()


class Newer:
    """What Typesense 30 does with sets of synonyms and curations, as documented; it notes what is written."""

    def __init__(self, collections: dict[str, dict[str, Any]], sets: dict[str, list[dict[str, Any]]]) -> None:
        self.collections = collections
        self.sets = sets
        self.writes: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body: Any = json.loads(request.content) if request.content else None
        if request.method != "GET":
            self.writes.append((request.method, request.url.path, body))
        match (request.method, *request.url.path.split("/")[1:]):
            case ("GET", "collections", name):
                return httpx.Response(200, json={"name": name, "fields": [], **self.collections[name]})
            case ("PATCH", "collections", name):
                self.collections[name] |= body
            case ("GET", "synonym_sets", name):
                if name not in self.sets:
                    return httpx.Response(404, json={"message": "Not Found"})
                return httpx.Response(200, json={"name": name, "items": self.sets[name]})
            case ("PUT", "synonym_sets", name):
                self.sets[name] = body["items"]
            case ("DELETE", "synonym_sets", name):
                del self.sets[name]
            case ("DELETE", "synonym_sets", name, "items", id_):
                self.sets[name] = [item for item in self.sets[name] if item["id"] != id_]
            case unknown:
                pytest.fail(f"not in the documentation of Typesense 30: {unknown}")
        return httpx.Response(200, json={})

    def did(self) -> list[tuple[str, str, Any]]:
        """The writes since it was asked last."""
        writes, self.writes = self.writes, []
        return writes


@pytest.fixture
def newer() -> Newer:
    return Newer(
        {"words-1": {"synonym_sets": ["mine"], "curation_sets": ["pinned"]}, "words-2": {}}, {"mine": []}
    )


def client_answered_by(newer: Newer) -> typesense.Client:
    return client_of(
        Server("127.0.0.1", 1, "http", "key"), httpx.Client(transport=httpx.MockTransport(newer))
    )


def test_from_30_on_synonyms_are_a_set_that_the_collection_names(newer: Newer) -> None:
    client = client_answered_by(newer)
    one_way = {"id": "pyf-d5f3", "synonyms": ["form", "questionnaire"], "root": "survey"}
    assert apply_synonyms(client, NEW, "words", "words-1", [GROUPS[1]]) == 2
    (put, patch) = newer.did()
    assert put[:2] == ("PUT", "/synonym_sets/pyf-words")
    (item,) = put[2]["items"]
    assert item | {"id": "pyf-d5f3"} == one_way | {"symbols_to_index": ["+", "#"]}
    assert patch == ("PATCH", "/collections/words-1", {"synonym_sets": ["mine", "pyf-words"]})

    assert apply_synonyms(client, NEW, "words", "words-1", [GROUPS[1]]) == 0
    assert apply_synonyms(client, NEW, "words", "words-1", GROUPS) == 1
    assert [write[:2] for write in newer.did()] == [("PUT", "/synonym_sets/pyf-words")]
    assert apply_synonyms(client, NEW, "words", "words-1", ()) == 2
    assert newer.did() == [
        ("PATCH", "/collections/words-1", {"synonym_sets": ["mine"]}),
        ("DELETE", "/synonym_sets/pyf-words", None),
    ]


def test_an_update_of_the_server_to_30_leaves_no_old_synonyms_of_ours(newer: Newer) -> None:
    """It makes a set of each collection's synonyms, ours among them."""
    newer.collections["words-1"]["synonym_sets"] = ["words-1_synonyms_index"]
    newer.sets["words-1_synonyms_index"] = [
        {"id": "pyf-0123", "synonyms": ["sso", "single sign on"]},
        {"id": "mine", "synonyms": ["a", "b"]},
    ]
    assert apply_synonyms(client_answered_by(newer), NEW, "words", "words-1", ()) == 1
    assert newer.did() == [("DELETE", "/synonym_sets/words-1_synonyms_index/items/pyf-0123", None)]


def test_from_30_on_a_collection_made_anew_names_the_same_sets(newer: Newer) -> None:
    client = client_answered_by(newer)
    assert carry_over(client, NEW, "words-1", "words-2") == Carried(("mine",), ("pinned",))
    assert newer.did() == [
        ("PATCH", "/collections/words-2", {"synonym_sets": ["mine"], "curation_sets": ["pinned"]})
    ]
    assert carry_over(client, NEW, "words-1", "words-2") == Carried()
    assert newer.did() == []
