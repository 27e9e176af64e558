"""ClickPy: one wrong query or a misread answer is wrong about thousands of packages at once.

The cases of data/clickpy/ are in test_recorded_cases.py, hostile bytes in test_hostile_input.py.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import is_normalized_name

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.clickpy import MAX_QUERY, NAMES_PER_QUERY, batches, bulk_query, parse_bulk

TODAY = date(2026, 11, 22)
DAY = 1_795_219_200

#: ClickHouse's default of max_query_size, in bytes.
MAX_QUERY_SIZE = 262_144

names = st.from_regex(r"[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,4}", fullmatch=True)


class TestQuery:
    def test_its_text(self) -> None:
        """The replica answers exactly this; whoever changes it has to change both."""
        lines = (
            "WITH (SELECT max(date) FROM pypi.pypi_downloads_per_day"
            " WHERE project = 'pip' AND date < toDate('2026-11-22')) AS newest",
            "SELECT project, toString(newest) AS day, sumIf(count, date = newest) AS last_day,",
            "sumIf(count, date > newest - 7) AS last_week, sumIf(count, date > newest - 30) AS last_month,",
            "sum(count) AS total, count() OVER () AS found FROM pypi.pypi_downloads_per_day",
            "WHERE project IN ('kelp','kelp-moor') AND date <= newest GROUP BY project FORMAT JSON",
        )
        assert " ".join(bulk_query(["kelp", "kelp-moor"], TODAY).split()) == " ".join(lines)

    @pytest.mark.parametrize(
        "name",
        ["", "'", "a'b", "a\\", "Kelp", "kelp.moor", "a_b", "-a", "a-", "a--b", "a\n", "é", "a" * 256, "a;b"],
    )
    def test_what_is_no_normalized_name_is_refused(self, name: str) -> None:
        """In SQL it could end the text and begin a query of its own."""
        with pytest.raises(ValueError, match="is not a normalized name"):
            bulk_query(["kelp", name], TODAY)

    @given(st.lists(st.text(max_size=10), min_size=1, max_size=5))
    def test_no_name_changes_the_query(self, tried: list[str]) -> None:
        try:
            query = bulk_query(tried, TODAY)
        except ValueError:
            assert not all(is_normalized_name(name) and name.isascii() for name in tried)
        else:
            assert query == bulk_query(["x"], TODAY).replace("'x'", ",".join(f"'{name}'" for name in tried))

    @pytest.mark.parametrize("count", [0, NAMES_PER_QUERY + 1])
    def test_no_names_or_too_many(self, count: int) -> None:
        with pytest.raises(ValueError, match="do not make one query"):
            bulk_query(["kelp"] * count, TODAY)

    def test_names_too_long_together(self) -> None:
        with pytest.raises(ValueError, match="do not make one query"):
            bulk_query(["k" * 255] * 1_000, TODAY)


class TestBatches:
    def test_20_000_packages_take_at_most_10_requests(self) -> None:
        """Also when their names are five times as long as real ones."""
        found = list(batches("k" * 100 for _ in range(20_000)))
        assert len(found) <= 10
        assert max(len(bulk_query(batch, TODAY)) for batch in found) <= MAX_QUERY < MAX_QUERY_SIZE
        assert len(list(batches(f"kelp-{number}" for number in range(20_000)))) == 5

    @given(st.lists(names, max_size=30), st.integers(1, 400))
    def test_all_names_in_their_order(self, few: list[str], times: int) -> None:
        every = few * times
        found = list(batches(every))
        assert [name for batch in found for name in batch] == every
        for batch in found:
            bulk_query(batch, TODAY)

    def test_the_longest_names(self) -> None:
        assert sum(map(len, batches(["k" * 255] * 5_000))) == 5_000
        for batch in batches(["k" * 255] * 5_000):
            bulk_query(batch, TODAY)


class TestAnswer:
    def test_an_answer_that_was_cut_off_is_no_answer(self) -> None:
        """Packages behind the cut would be taken for never downloaded."""
        body = (Path(__file__).parent / "data" / "clickpy" / "texts" / "input.json").read_bytes()
        whole = msgspec.json.decode(body)
        assert len(parse_bulk(body, DAY)) == 2
        del whole["data"][0]
        with pytest.raises(ParseError, match="cut off: 1 of 2 rows"):
            parse_bulk(msgspec.json.encode(whole), DAY)

    def test_the_day_is_a_day(self) -> None:
        row = {"project": "kelp", "day": "2026-11-21T13:00:00", "total": 1}
        (counts,) = parse_bulk(msgspec.json.encode({"data": [row]}), 0).values()
        assert counts.as_of == DAY

    def test_errors_are_one_line(self) -> None:
        body = (
            b"Code: 241. DB::Exception: (total) memory limit exceeded\xff\x1b[31m" + b"x" * 5_000 + b"\nstack"
        )
        with pytest.raises(ParseError) as caught:
            parse_bulk(body, DAY)
        assert "memory limit exceeded" in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400

    @given(st.binary() | st.binary().map(lambda tail: b"Code: " + tail))
    def test_any_bytes(self, body: bytes) -> None:
        with pytest.raises(ParseError):
            parse_bulk(body, DAY)
