"""pypistats.org's answers: an error read as figures would show a popular package as dead.

The cases of data/pypistats/ are in test_recorded_cases.py, hostile bytes in test_hostile_input.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import DownloadCounts

DAY = 1_795_219_200


def test_recorded_figures(real_data: Path) -> None:
    paths = sorted((real_data / "pypistats").glob("*.recent_downloads.*json"))
    assert len(paths) >= 3
    for path in paths:
        told = json.loads(path.read_bytes())["data"]
        counts = parse_recent(path.read_bytes(), DAY)
        assert (counts.source, counts.as_of, counts.total) == ("pypistats", DAY, None)
        assert (counts.last_day, counts.last_week, counts.last_month) == (
            told.get("last_day"),
            told.get("last_week"),
            told.get("last_month"),
        )


def test_everything_else_recorded_is_refused(real_data: Path) -> None:
    """`404` and `500` are JSON, and tables of days have `data` too."""
    paths = [
        path
        for path in (real_data / "pypistats").iterdir()
        if "recent_downloads" not in path.name and path.suffix in (".json", ".txt")
    ]
    assert len(paths) >= 12
    for path in paths:
        with pytest.raises(ParseError):
            parse_recent(path.read_bytes(), DAY)


@given(
    st.dictionaries(
        st.sampled_from(["last_day", "last_week", "last_month"]), st.integers(-5, 2**64), min_size=1
    )
)
@example({"last_day": 2**63 - 1})
@example({"last_day": 2**63})
@example({"last_day": 0})
def test_figures_are_of_int64_or_not_known(data: dict[str, int]) -> None:
    """The store and Typesense refuse any other number, with the whole batch it is in."""
    usable = {name: figure for name, figure in data.items() if 0 <= figure < 2**63}
    body = msgspec.json.encode({"data": data})
    if usable:
        assert parse_recent(body, DAY) == DownloadCounts("pypistats", DAY, **usable)
    else:
        with pytest.raises(ParseError, match="no figures"):
            parse_recent(body, DAY)


@pytest.mark.parametrize(
    "body",
    [
        b"404",
        b"500",
        b"null",
        b"[]",
        b'<a href="/api/#etiquette">429 RATE LIMIT EXCEEDED</a>',
        b'{"data": null}',
        b'{"data": [{"category": "null", "date": "2026-11-20", "downloads": 5}], "type": "system_downloads"}',
    ],
)
def test_errors_and_other_answers(body: bytes) -> None:
    """Two of its errors are JSON."""
    with pytest.raises(ParseError):
        parse_recent(body, DAY)


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_recent(body, DAY)
