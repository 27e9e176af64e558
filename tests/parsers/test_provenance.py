"""Provenance proves that a package is made in a repository: read too kindly, it proves what is not so.

The cases of data/provenance/ are in test_recorded_cases.py, hostile bytes in test_hostile_input.py.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.provenance import Publisher, parse_provenance


def answer(*publishers: Any, version: Any = 1) -> bytes:
    bundles = [{"publisher": publisher, "attestations": [{}]} for publisher in publishers]
    return msgspec.json.encode({"version": version, "attestation_bundles": bundles})


def test_publishers_once_each_as_listed() -> None:
    first = {"kind": "GitHub", "repository": "kelp/moor", "workflow": "a.yml"}
    second = {"kind": "GitHub", "repository": "kelp/other", "workflow": "a.yml"}
    assert parse_provenance(answer(first, second, first)) == (Publisher(**first), Publisher(**second))


@pytest.mark.parametrize(
    "repository",
    [
        5,
        "",
        "kelp",
        "/kelp",
        "kelp/",
        "kelp//moor",
        "a/b c",
        "https://github.com/a/b",
        "a/\u043e",
        "a/" + "b" * 500,
    ],
)
def test_what_is_no_repository_proves_nothing(repository: Any) -> None:
    """It is compared with a link of the package, and part of a URL."""
    (publisher,) = parse_provenance(answer({"kind": "GitHub", "repository": repository}))
    assert publisher == Publisher("GitHub")


@pytest.mark.parametrize("version", [0, 2, None, "one", True, 1.0])
def test_another_format_is_not_read_as_this_one(version: Any) -> None:
    with pytest.raises(ParseError, match="is not understood"):
        parse_provenance(answer({"kind": "GitHub", "repository": "kelp/moor"}, version=version))


@pytest.mark.parametrize("publisher", [None, 5, [], {}, {"kind": 5}, {"kind": ""}])
def test_a_broken_publisher_costs_only_itself(publisher: Any) -> None:
    assert parse_provenance(answer(publisher, {"kind": "Google"})) == (Publisher("Google"),)


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_provenance(body)
