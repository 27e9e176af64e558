"""What people type finds what they mean: 41 searches over 120 packages, and what `show` shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
import typesense
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.search import named_versions, queries
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.named_versions import versions_named
from pyf_scrapy.search.queries import (
    MAX_PER_PAGE,
    QUERY_FIELDS,
    ROW_FIELDS,
    filter_value,
    search,
    show,
)
from pyf_scrapy.search.schema import SCHEMA

from .corpus import DATA, client_of, corpus, indexed, package, release

QUERIES = yaml.safe_load((DATA / "queries.yaml").read_text(encoding="utf-8"))
ALIAS = "queries"


@pytest.fixture(scope="module")
def client(typesense_server: Server) -> Iterator[typesense.Client]:
    client = client_of(typesense_server)
    indexed(client, ALIAS, corpus())
    yield client
    client.api_call.close()


@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case["q"])
def test_first_hit_is_what_a_person_expects(client: typesense.Client, case: dict[str, Any]) -> None:
    result = search(client, ALIAS, case["q"], per_page=250)
    names = [row["name"] for row in result.rows]
    if "first" in case:
        assert names[:1] == [case["first"]], names[:5]
    if "version" in case:
        assert result.rows[0]["version"] == case["version"]
    if case.get("none"):
        assert names == []
    assert not set(case.get("absent", ())) & set(names)


def test_at_least_thirty_queries_with_a_first_hit_were_asked() -> None:
    assert len({case["q"] for case in QUERIES if "first" in case}) >= 30


def test_every_field_that_is_searched_or_shown_is_in_the_schema() -> None:
    known = {field.name for field in SCHEMA if field.index}
    assert known >= {field.name for field in QUERY_FIELDS}
    assert known >= set(ROW_FIELDS)
    assert "description" not in {field.name for field in QUERY_FIELDS}  # HTML


def test_each_package_is_one_row_with_all_its_keys(client: typesense.Client) -> None:
    result = search(client, ALIAS, "", per_page=MAX_PER_PAGE)
    assert result.found == len(result.rows) == 120
    assert len({row["name_normalized"] for row in result.rows}) == 120
    assert all(tuple(row) == ROW_FIELDS for row in result.rows)
    assert all(row["is_latest"] for row in result.rows)
    assert result.rows[0]["health_score"] == 99  # without words, quality decides
    assert result.rows[0]["github_stars"] is None


def test_what_older_releases_say_is_grouped_and_what_the_latest_say_needs_no_group(
    client: typesense.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grouping costs Typesense more than the search itself, and the latest releases are one a package."""
    asked: list[dict[str, Any]] = []

    def noted(client: typesense.Client, queries_: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.extend(queries_)
        return searches(client, queries_)

    monkeypatch.setattr(queries, "searches", noted)
    rows = [row["name"] for row in search(client, ALIAS, "gallery", per_page=MAX_PER_PAGE).rows]
    assert len(rows) == len(set(rows)) > 1
    assert "group_by" not in asked[-1]
    for words, all_releases in (("thicket plone 5.2", False), ("gallery", True)):
        result = search(client, ALIAS, words, per_page=MAX_PER_PAGE, all_releases=all_releases)
        rows = [row["name"] for row in result.rows]
        assert result.found == len(rows) == len(set(rows)) > 0
        assert asked[-1]["group_by"] == "name_normalized"


def test_a_group_without_hits_costs_no_other_row(
    client: typesense.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on Typesense 0.24.1 in one of a thousand grouped searches of a large index."""
    whole = search(client, ALIAS, "gallery", all_releases=True)

    def with_an_empty_one(client: typesense.Client, queries_: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (result,) = searches(client, queries_)
        return [result | {"grouped_hits": [{"group_key": [""], "hits": []}, *result["grouped_hits"]]}]

    monkeypatch.setattr(queries, "searches", with_an_empty_one)
    assert search(client, ALIAS, "gallery", all_releases=True) == whole


def test_framework_versions_are_asked_for_once_a_minute_and_only_for_numbers(
    typesense_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To count them in a large index costs as much as ten searches."""
    lookups: list[str] = []

    def noted(client: typesense.Client, queries_: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lookups.extend(one["collection"] for one in queries_ if one["facet_by"] == "latest_for")
        return searches(client, queries_)

    monkeypatch.setattr(named_versions, "searches", noted)
    now = 1000.0
    monkeypatch.setattr(named_versions, "time", SimpleNamespace(monotonic=lambda: now))
    for client in (client_of(typesense_server), client_of(typesense_server)):
        with closing(client.api_call):
            search(client, ALIAS, "i18n gallery for python3")
            assert lookups == []
            for words in ("gallery plone 5.2", "plone 6"):
                assert search(client, ALIAS, words).rows
            assert lookups == [ALIAS]
            now += 61
            search(client, ALIAS, "gallery plone 5.2")
            assert lookups == [ALIAS, ALIAS]
            lookups.clear()


def test_facets_count_packages_not_releases(client: typesense.Client) -> None:
    gallery = search(client, ALIAS, "thicket.gallery", filter_by="name:=`thicket.gallery`")
    assert gallery.facets["framework_versions"] == {"Plone 6.1": 1}
    two_releases = search(client, ALIAS, "gallery plone 5.2", filter_by="name:=`thicket.gallery`")
    assert two_releases.facets["python_versions"] == {"Python 3": 1, "Python 3.12": 1}
    everything = search(client, ALIAS, "", facet_by=["python_versions"])
    assert everything.facets == {"python_versions": {"Python 3": 120, "Python 3.12": 120}}


def test_the_values_of_a_facet_can_be_narrowed(client: typesense.Client) -> None:
    found = search(client, ALIAS, "", facet_by=["python_versions"], facet_query="python_versions:3.12")
    assert found.facets == {"python_versions": {"Python 3.12": 120}}


def test_pages_follow_each_other(client: typesense.Client) -> None:
    names = [
        row["name"] for page in (1, 2, 3) for row in search(client, ALIAS, "", page=page, per_page=50).rows
    ]
    assert len(names) == len(set(names)) == 120


def test_filters_and_sorting_by_what_upstream_could_not(client: typesense.Client) -> None:
    healthy = search(client, ALIAS, "", filter_by="health_score:>=95", sort_by="health_score:asc")
    scores = [row["health_score"] for row in healthy.rows]
    assert scores == sorted(scores)
    assert scores[0] == 95
    same = search(client, ALIAS, "", filter_by="requires_python:=`>=3.9`", sort_by="health_score:asc")
    assert {row["name"] for row in same.rows} == {row["name"] for row in healthy.rows}


def test_older_releases_are_searched_on_request_after_the_latest(client: typesense.Client) -> None:
    result = search(client, ALIAS, "zeppelin", all_releases=True)
    assert [(row["name"], row["version"]) for row in result.rows] == [
        ("thicket.airship", "1.0"),
        ("thicket.balloon", "2.0"),
    ]


@pytest.mark.parametrize(("page", "per_page"), [(0, 10), (2**32 + 1, 10), (1, 0), (1, MAX_PER_PAGE + 1)])
def test_impossible_pages_are_refused_before_any_request(
    client: typesense.Client, page: int, per_page: int
) -> None:
    with pytest.raises(UsageProblem):
        search(client, ALIAS, "x", page=page, per_page=per_page)


def test_a_failed_search_is_one_line(client: typesense.Client) -> None:
    with pytest.raises(SearchError, match="nonsense"):
        search(client, ALIAS, "x", filter_by="nonsense:=1")
    with pytest.raises(SearchError, match="Not found"):
        search(client, "nowhere", "x")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.one_of(st.text(max_size=40), st.text("-`\"'()[]&|:=,*.1 a", max_size=12)))
def test_no_query_is_an_error(client: typesense.Client, query: str) -> None:
    assert search(client, ALIAS, query).found >= 0


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("gallery plone 6.0", ["Plone 6.0"]),
        ("Plone 6", ["Plone 6.0", "Plone 6.1"]),
        ("6.1", ["Plone 6.1"]),
        ("django-cms 3.11 blog", ["Django CMS 3.11"]),
        ("django 3.11", ["Django 3.11.5"]),
        ("django 3.1", []),
        ("version 6.0", []),
        ("plone 6.01", []),
        ("plone", []),
        ("", []),
        ("6.0 plone", []),
        ("plone 6.0 plone 6.1", ["Plone 6.0", "Plone 6.1"]),
    ],
)
def test_framework_versions_are_recognised(query: str, named: list[str]) -> None:
    known = ["Plone 6.0", "Plone 6.1", "Django 3.11.5", "Django CMS 3.11"]
    assert versions_named(query, known) == named


@pytest.fixture(scope="module")
def hostile(client: typesense.Client) -> list[str]:
    values = [
        "Framework :: Plone :: 6.0",
        "with, comma",
        "closing ]bracket",
        "and && name:=other",
        "or || name:!=other",
        "(parentheses",
        "`] || name:!=`inverted",
        "'single'",
        '"double"',
        ">=3.8,<4",
        "back\\slash",
        "star*",
        "!negated",
        "place:(1, 2)",
        "near: ((",
        "ünïcode",
    ]
    indexed(
        client,
        "hostile",
        [
            package(f"p{place}", release(f"p{place}", "1", keywords=(value,)))
            for place, value in enumerate(values)
        ],
    )
    return values


def test_filter_values_cannot_break_out_of_their_quotes(client: typesense.Client, hostile: list[str]) -> None:
    for place, value in enumerate(hostile):
        for condition in (f"keywords:={filter_value(value)}", f"keywords:=[{filter_value(value)}]"):
            found = search(client, "hostile", "", filter_by=condition)
            assert [row["name"] for row in found.rows] == [f"p{place}"], condition


def test_show_finds_a_package_in_any_spelling(client: typesense.Client) -> None:
    for spelling in ("thicket.gallery", "Thicket_Gallery", "thicket gallery"):
        (latest,) = show(client, ALIAS, spelling)
        assert (latest["name"], latest["version"]) == ("thicket.gallery", "3.1")
    assert latest["description"].startswith("<h2>")
    assert show(client, ALIAS, "thicket") == []
    assert show(client, ALIAS, "") == []


def test_show_lists_all_releases_newest_first(client: typesense.Client) -> None:
    versions = [document["version"] for document in show(client, ALIAS, "thicket.balloon", all_versions=True)]
    assert versions == ["3.0", "2.0", "4.0a1"]


def test_show_leaves_out_the_fields_that_nobody_wants(client: typesense.Client) -> None:
    found = show(client, ALIAS, "thicket.balloon", all_versions=True, fields=("version",))
    assert found[0] == {"name_normalized": "thicket-balloon", "version": "3.0"}
    assert len(found) == 3


def test_show_knows_more_releases_than_one_answer_holds(client: typesense.Client) -> None:
    indexed(client, "long", [package("long", *(release("long", f"1.{number}") for number in range(600)))])
    versions = [document["version"] for document in show(client, "long", "long", all_versions=True)]
    assert versions == [f"1.{number}" for number in reversed(range(600))]
