"""No byte string gets anything but ParseError out of a parser, and what a record holds can be stored.

If this failed, one hostile package would end a crawl with a traceback or break the store's batch it is in.
"""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.clickpy import parse_bulk
from pyf_scrapy.parsers.github import parse_contributors, parse_message, parse_repository
from pyf_scrapy.parsers.github_graphql import parse_batch
from pyf_scrapy.parsers.project_json import parse_outline, parse_project, parse_release
from pyf_scrapy.parsers.provenance import Publisher, parse_provenance
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import Contributor, DownloadCounts
from pyf_scrapy.parsers.rss import FeedEntry, parse_feed
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version, parse_index, parse_simple_page


class Feed(msgspec.Struct):
    entries: list[FeedEntry]


def parse_entries(body: bytes) -> Any:
    return Feed(parse_feed(body))


class Several(msgspec.Struct):
    contributors: tuple[Contributor, ...] = ()
    publishers: tuple[Publisher, ...] = ()
    downloads: dict[str, DownloadCounts] = {}


def parse_people(body: bytes) -> Any:
    return Several(contributors=parse_contributors(body))


def parse_publishers(body: bytes) -> Any:
    return Several(publishers=parse_provenance(body))


def parse_downloads(body: bytes) -> Any:
    return Several(downloads=parse_bulk(body, 1_795_219_200))


PARSERS: tuple[Callable[[bytes], Any], ...] = (
    parse_project,
    parse_outline,
    parse_release,
    parse_index,
    parse_simple_page,
    parse_entries,
    parse_repository,
    parse_people,
    partial(parse_batch, count=4),
    partial(parse_recent, as_of=1_795_219_200),
    parse_downloads,
    parse_publishers,
)
CASES = sorted((Path(__file__).parent / "data").rglob("input.json"))
INPUTS = [path.read_bytes() for path in CASES]
GOOD = [path.read_bytes() for path in CASES if path.with_name("output.json").exists()]

# Every key of the recorded documents, so that random structures reach deep into the parsers.
WORDS = sorted({key.decode() for body in INPUTS for key in re.findall(rb'"([\w.-]{1,30})": ', body)})
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"(?!:)|-?[0-9.e+]+|true|false|null|\{\}|\[\]')

texts = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=6,
)
members = st.dictionaries(st.sampled_from(WORDS), values, max_size=8)
files = st.lists(members, max_size=2)
versions = st.sampled_from(["1.0", "unknown", "1.0+kelp"]) | st.text(min_size=1, max_size=8)
projects = st.fixed_dictionaries(
    {
        "info": st.builds(
            lambda more, version: {**more, "name": "kelp", "version": version}, members, versions
        )
    },
    optional={
        "releases": st.none() | st.dictionaries(versions, files, max_size=3) | values,
        "urls": files | values,
        "vulnerabilities": files | values,
        "ownership": members,
        "last_serial": values,
    },
)
metas = st.fixed_dictionaries({"api-version": st.just("1.4") | values}, optional={"_last-serial": values})
indexes = st.fixed_dictionaries(
    {"projects": st.lists(members | values, max_size=4)}, optional={"meta": metas}
)
pages = st.fixed_dictionaries(
    {"name": st.just("kelp"), "files": files},
    optional={"meta": metas, "versions": st.lists(versions, max_size=3), "project-status": members},
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid document with values exchanged for those of another one, and sometimes with broken bytes."""
    body = draw(st.sampled_from(GOOD))
    tokens = TOKEN.findall(draw(st.sampled_from(INPUTS))) or [b"null"]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(TOKEN.finditer(body))))
        body = body[: place.start()] + draw(st.sampled_from(tokens)) + body[place.end() :]
    if draw(st.integers(0, 3)) == 0:
        start = draw(st.integers(0, len(body)))
        piece = st.binary(max_size=6) | st.sampled_from([b"1e999", b"\\u0000", b"\\ud800", b"\xff", b"null"])
        body = body[:start] + draw(piece) + body[start + draw(st.integers(0, 20)) :]
    return body


def check(body: bytes) -> None:
    assert parse_message(body).isprintable()
    for parse in PARSERS:
        try:
            record = parse(body)
        except ParseError:
            continue
        check_storable(record)
        if isinstance(record, SimplePage):
            assert set(files_by_version(record)) >= set(record.versions or ())


def check_storable(record: Any) -> None:
    packed = msgspec.msgpack.encode(record)  # refuses lone surrogates
    assert msgspec.msgpack.decode(packed, type=type(record)) == record
    assert b"\\u0000" not in msgspec.json.encode(record)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_random_bytes(body: bytes) -> None:
    check(body)


@settings(max_examples=200)
@given(values)
def test_random_json(value: Any) -> None:
    check(json.dumps(value).encode())  # the stdlib writes NaN, Infinity and lone surrogates too


@settings(max_examples=200)
@given(projects | indexes | pages)
@example({"info": {"name": "kelp", "version": "1.0", "classifiers": ["\ud800"]}})
@example({"meta": {"api-version": 10**4299}, "projects": []})
@example({"meta": {"api-version": 10**4000}, "name": "kelp", "files": []})
def test_random_documents(document: dict[str, Any]) -> None:
    check(json.dumps(document).encode())


@settings(max_examples=200)
@given(mutations())
def test_mutated_documents(body: bytes) -> None:
    check(body)


@pytest.mark.parametrize("body", INPUTS)
def test_every_cut_of_a_valid_document(body: bytes) -> None:
    for end in range(0, len(body), max(1, len(body) // 40)):
        check(body[:end])


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 990, 1100, 100_000, 1_000_000])
@pytest.mark.parametrize("bracket", ["[", '{"a":', '[{"info":'])
@pytest.mark.parametrize(
    "around",
    [
        "%s",
        '{"surplus":%s}',
        '{"info":{"name":"kelp","version":"1.0","summary":%s},"urls":[]}',
        '{"info":{"name":"kelp","version":"1.0","classifiers":["x",%s]},"urls":[]}',
        '{"info":{"name":"kelp","version":"1.0","project_urls":{"x":%s}},"releases":{"1.0":%s}}',
        '{"info":{"name":"kelp","version":"1.0"},"urls":[{"digests":%s}]}',
        '{"meta":{"api-version":%s},"projects":[{"name":%s}],"files":[%s],"name":"kelp"}',
    ],
)
def test_deep_nesting(around: str, bracket: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"info":': "}]"}[bracket]
    check(around.replace("%s", bracket * depth + "1" + closing * depth).encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"info":{"name":"kelp","version":"1.0"},"releases":{"1.0":[%s{}]}}' % (b"{}," * 5_000_000),
        b'{"info":{"name":"kelp","version":"1.0"},"releases":{%s"x":null}}' % (b'"a":null,' * 2_500_000),
        b'{"info":{"name":"kelp","version":"1.0"},"releases":{"1.0":[{%s"x":0}]}}'
        % (b'"size":0,' * 2_500_000),
        b'{"info":{"name":"kelp","version":"1.0"},"urls":[%s{}]}' % (b"{}," * 5_000_000),
        b'{"name":"kelp","files":[%s{}]}' % (b"{}," * 5_000_000),
        b'{"name":"kelp","files":[],"versions":["x"%s]}' % (b',"y"' * 5_000_000),
        b'{"projects":[%s{}]}' % (b"{}," * 5_000_000),
        b"[%s{}]" % (b"{}," * 5_000_000),
        b'{"data":[%s{}]}' % (b"{}," * 5_000_000),
        b'{"data":{%s"r0":null}}' % (b'"r1":0,' * 2_500_000),
        b'{"version":1,"attestation_bundles":[%s{}]}' % (b"{}," * 5_000_000),
    ],
    ids=[
        *("files", "releases", "members", "urls", "page files", "page versions", "projects"),
        *("contributors", "rows", "aliases", "bundles"),
    ],
)
def test_many_tiny_elements_are_refused_before_they_are_built(body: bytes) -> None:
    """Built, each would take hundreds of megabytes to gigabytes."""
    refused = 0
    tracemalloc.start()
    try:
        for parse in PARSERS:
            try:
                parse(body)
            except ParseError:
                refused += 1
        assert tracemalloc.get_traced_memory()[1] < 2 * len(body)
    finally:
        tracemalloc.stop()
    assert refused >= len(PARSERS) - 2  # but those that skip `releases`


def test_overlong_fields_cost_themselves() -> None:
    long = "x" * wire.MAX_TEXT
    info: dict[str, Any] = {
        "name": "kelp",
        "version": "1.0",
        "summary": long,
        "license": "x" * (wire.MAX_TEXT - 2),
        "description": "x" * (wire.MAX_DESCRIPTION - 2),
        "classifiers": [long],
        "requires_dist": [0] * wire.MAX_TEXT,
        "project_urls": {"Homepage": long},
        "yanked": long,
    }
    body = msgspec.json.encode({"info": info, "vulnerabilities": [{}] * 600_000})
    record = parse_project(body)
    assert record.metadata.summary is None
    assert record.metadata.license is not None
    assert record.metadata.description is not None
    assert record.metadata.classifiers == ()
    assert record.metadata.requires_dist is None
    assert record.metadata.project_urls is None
    assert record.metadata.yanked is None
    assert record.vulnerabilities is None
    info["description"] += "x"
    assert parse_project(msgspec.json.encode({"info": info})).metadata.description is None
