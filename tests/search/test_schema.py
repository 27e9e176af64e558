"""The schema keeps the fields that the seeds and pyf.aggregator's users rely on, and the server takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.schema import SCHEMA, schema

from .corpus import client_of

# pyf.aggregator's schema; "int" stands for int32, int64, auto and float of whole numbers, int64 here.
UPSTREAM = """
identifier name: string facet
author author_email bugtrack_url description description_content_type license: string
maintainer maintainer_email platform release_url summary version: string
classifiers framework_versions python_versions keywords: string[] facet
requires_dist: string[]
title first_chapter main_content changelog: string optional
docs_url home_page package_url project_url repository_url yanked_reason: string optional
project_urls urls: auto optional
name_sortable version_sortable version_raw: string sort facet
version_postfix: string sort
version_major version_minor version_bugfix: int sort
upload_timestamp: int sort
yanked: bool
registry npm_scope: string facet optional
npm_quality_score npm_popularity_score npm_maintenance_score npm_final_score: float sort optional
github_stars github_watchers github_updated github_open_issues: int facet optional
download_last_day download_last_week download_last_month download_total: int facet optional
download_updated: int sort optional
contributors: auto optional
"""
SEEDS = """
name version author description summary license classifiers keywords requires_dist requires_python
home_page docs_url project_urls upload_timestamp version_major version_minor version_bugfix
health_score health_score_breakdown github_stars github_watchers github_open_issues github_url
github_updated download_last_day download_last_week download_last_month download_total download_updated
"""
FIELDS = {field.name: field for field in SCHEMA}
EXPECTED = [
    (name, tuple(kind.split()))
    for names, kind in (line.split(":", 1) for line in UPSTREAM.strip().splitlines())
    for name in names.split()
]


@pytest.fixture(scope="module")
def created(typesense_server: Server) -> Iterator[dict[str, Any]]:
    client = client_of(typesense_server)
    yield client.api_call.post("/collections", dict[str, Any], body=schema("schema-as-created"))
    client.api_call.close()


@pytest.mark.parametrize(("name", "kind"), EXPECTED, ids=[name for name, _ in EXPECTED])
def test_upstreams_fields_can_be_used_as_before(name: str, kind: tuple[str, ...]) -> None:
    field = FIELDS[name]
    field_type, *flags = kind
    assert field.type == {"int": "int64"}.get(field_type, field_type)
    assert all(getattr(field, flag) for flag in flags if flag != "optional")
    assert field.origin in ("seeds", "upstream")


def test_the_seeds_fields_are_marked_as_promised() -> None:
    assert {field.name for field in SCHEMA if field.origin == "seeds"} == set(SEEDS.split())


def test_names_are_unique_and_described_for_the_readme() -> None:
    assert len(FIELDS) == len(SCHEMA)
    for field in SCHEMA:
        assert re.fullmatch(r"[^|\n]{3,60}", field.help), field
        assert not field.help.endswith(".")


def test_whole_numbers_are_int64() -> None:
    assert {field.type for field in SCHEMA} == {"string", "string[]", "int64", "bool", "auto", "float"}
    assert {field.name for field in SCHEMA if field.type == "float"} == {
        f"npm_{kind}_score" for kind in ("quality", "popularity", "maintenance", "final")
    }


def test_free_form_objects_are_never_indexed() -> None:
    assert all(not field.index and field.optional for field in SCHEMA if field.type == "auto")


def test_the_server_creates_what_was_asked_for(created: dict[str, Any]) -> None:
    """A flag that the server ignores would be a filter or a sort that fails later."""
    answered = {field["name"]: field for field in created["fields"]}
    assert set(answered) == set(FIELDS)
    for name, field in FIELDS.items():
        given = answered[name]
        assert given["type"] == field.type
        assert given["index"] == field.index
        assert given["optional"] == field.optional
        assert given["facet"] == field.facet
        assert given["infix"] == field.infix
        assert given["sort"] or not field.sort
    assert created["default_sorting_field"] == "name_sortable"
    assert created["enable_nested_fields"]
    assert set(created["token_separators"]) >= set(".-_@/")
