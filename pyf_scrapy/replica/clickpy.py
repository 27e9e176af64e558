"""ClickPy: ClickHouse's public copy of PyPI's downloads, over ClickHouse's HTTP interface.

`POST ?user=demo&default_format=JSON` with the query as the body. Counts include those of mirrors.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import parse_qs

from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.clickhouse_language import SqlError
from pyf_scrapy.replica.clickhouse_query import NEVER, Column, Select, parse_select
from pyf_scrapy.replica.dice import mixed
from pyf_scrapy.replica.downloads import Downloads

_USERS = ("demo", "play")
_HISTORY = 400
"""Days that the table holds."""
_TYPES = {
    "project": "String",
    "sum": "Int64",
    "max": "Date",
    "min": "Date",
    "day": "String",
    "groups": "UInt64",
}
_VERSION = "25.1.1.1 (replica)"


class ClickPy:
    """Answers the queries that clickhouse_query.py reads."""

    def __init__(self, downloads: Downloads, query_size: int, most_rows: int) -> None:
        self._downloads = downloads
        self._query_size = query_size
        self._most_rows = most_rows or None

    def answer(self, query: str, body: bytes) -> Answer:
        """The answer to a POST."""
        values = {key: given[-1] for key, given in parse_qs(query, keep_blank_values=True).items()}
        try:
            text = self._text(values, body)
            parameters = {key[6:]: value for key, value in values.items() if key.startswith("param_")}
            select = parse_select(text, self._downloads.newest, parameters)
            rows, read = self._rows(select)
        except SqlError as error:
            return _refused(error)
        # Recent servers write plain numbers; the setting of this name is theirs.
        if values.get("output_format_json_quote_64bit_integers", "1") == "1":
            rows = [{key: str(value) for key, value in row.items()} for row in rows]
        document = {
            "meta": [{"name": one.name, "type": _TYPES[one.function]} for one in select.columns],
            "data": rows,
            "rows": len(rows),
            "statistics": {"elapsed": 0.01, "rows_read": read, "bytes_read": 40 * read},
        }
        headers = {"X-ClickHouse-Format": "JSON", "X-ClickHouse-Server-Display-Name": "replica"}
        return Answer(json.dumps(document).encode(), "application/json; charset=UTF-8", headers=headers)

    def _text(self, values: dict[str, str], body: bytes) -> str:
        if values.get("user") not in _USERS:
            message = f"{values.get('user', 'default')}: Authentication failed: password is incorrect"
            raise SqlError(message, 516, "AUTHENTICATION_FAILED", 403)
        data = values.get("query", "").encode() + body
        if len(data) > self._query_size:
            raise SqlError(
                f"Syntax error: failed at position {self._query_size}: Max query size exceeded"
                " (can be increased with the `max_query_size` setting)"
            )
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise SqlError("Syntax error: the query is no UTF-8") from error
        if values.get("default_format") != "JSON" and not text.rstrip("; \n").endswith("JSON"):
            raise SqlError("The replica answers in the format JSON only", 73, "UNKNOWN_FORMAT")
        return text

    def _rows(self, select: Select) -> tuple[list[dict[str, Any]], int]:
        """The rows of the answer, and how many of the table it took."""
        newest = self._downloads.newest
        sums = [one for one in select.columns if one.function in ("sum", "max", "min")]
        days = [day for day in range(newest - _HISTORY + 1, newest + 1) if select.days(day)]
        needed = [day for day in days if any(one.days(day) for one in sums)]
        places = [[n for n, day in enumerate(needed) if column.days(day)] for column in select.columns]
        found: list[tuple[int, dict[str, Any]]] = []
        for name in dict.fromkeys(select.projects):
            number = self._downloads.number(name)
            if number is not None:
                on = self._downloads.daily(number, mirrors=True)
                counts = [on(day) for day in needed]
                # A group is there when any row is, whatever its columns take of it.
                if any(counts) or any(on(day) for day in days):
                    found.append((number, _row(select.columns, places, name, needed, counts)))
        # Groups come in any order unless one is asked for, and so they do here.
        found.sort(key=lambda pair: pair[1].get("project", "") if select.ordered else mixed(pair[0], 1))
        rows = [row for _, row in found]
        if not select.grouped:
            rows = [_summed(select.columns, rows)]
        for column in select.columns:
            if column.function == "groups":
                rows = [{**row, column.name: len(rows)} for row in rows]
        # What is above the server's own limit is cut off without a word.
        return rows[: select.limit][: self._most_rows], len(found) * len(days)


def _row(
    columns: list[Column], places: list[list[int]], name: str, days: list[int], counts: list[int]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    downloaded = [day for day, count in zip(days, counts, strict=True) if count]
    for column, wanted in zip(columns, places, strict=True):
        if column.function == "project":
            row[column.name] = name
        elif column.function == "sum":
            row[column.name] = sum(counts[place] for place in wanted)
        elif column.function == "day":
            row[column.name] = _iso(column.value)
        elif column.function == "groups":
            row[column.name] = 0  # known when all rows are
        else:
            row[column.name] = _day(column.function, downloaded)
    return row


def _day(function: str, days: list[int]) -> str:
    if not days:
        return NEVER.isoformat()
    return _iso(max(days) if function == "max" else min(days))


def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _summed(columns: list[Column], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All rows as one: a query without GROUP BY has always one."""
    total: dict[str, Any] = {}
    for column in columns:
        values = [row[column.name] for row in rows]
        if column.function == "sum":
            total[column.name] = sum(values)
        else:
            total[column.name] = (max if column.function == "max" else min)(values, default=NEVER.isoformat())
    return total


def _refused(error: SqlError) -> Answer:
    text = f"Code: {error.code}. DB::Exception: {error}. ({error.kind}) (version {_VERSION})\n"
    headers = {"X-ClickHouse-Exception-Code": str(error.code)}
    return Answer(text.encode(), "text/plain; charset=UTF-8", error.status, headers=headers)
