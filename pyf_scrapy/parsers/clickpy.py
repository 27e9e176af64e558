"""ClickPy: downloads of thousands of projects by one query to ClickHouse's public database.

The request is a POST of `bulk_query(...)` (UTF-8) to CLICKPY_URL (its `?user=demo` needs no password); the
answer is ClickHouse's FORMAT JSON. This module owns the text of the query, and what answers it (the replica
too) may rely on its exact shape: `QUERY`, with TODAY and NAMES filled in:

    WITH (SELECT max(date) FROM pypi.pypi_downloads_per_day
          WHERE project = 'pip' AND date < toDate('2026-11-29')) AS newest
    SELECT project, toString(newest) AS day, ... FROM pypi.pypi_downloads_per_day
    WHERE project IN ('kelp','kelp-moor') AND date <= newest GROUP BY project FORMAT JSON

The only literals are 'pip', the date and the names, single-quoted, of [a-z0-9-] only, separated by commas
without blanks. An answer has an object for each project that was ever downloaded, in any order; unknown ones
are left out. 64-bit numbers are strings or numbers, as the server's version has it:

    {"meta": [...], "rows": 1, "data": [{"project": "kelp", "day": "2026-11-28", "last_day": "3",
     "last_week": "20", "last_month": "90", "total": "1234", "found": "1"}]}

`found` is the number of projects found, the same in each row: the server's limits may cut an answer off
without saying so (result_overflow_mode = 'break' in ClickPy's `scripts/create_user.sh`). Errors come as a
text, "Code: 62. DB::Exception: Syntax error ...", with status 400 or 500, or in `exception` of a 200.

Tables: https://github.com/ClickHouse/clickpy `scripts/create_tables.sh`; interface and format:
https://clickhouse.com/docs/interfaces/http and https://clickhouse.com/docs/interfaces/formats/JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.records import DownloadCounts
from pyf_scrapy.parsers.wire import NULL

Raw = msgspec.Raw

_ANSWER: Final = "ClickPy answer"
_SOURCE: Final = "clickpy"
_DAY: Final = 86_400  # seconds
_MAX_REASON: Final = 300  # characters of the server's own words

#: Names in one query: 20,000 packages take 5. 5,100 rows and 15,000 rows are known to have been answered.
NAMES_PER_QUERY: Final = 4_000
#: Bytes of a query. ClickHouse parses the first 262,144 (max_query_size) and fails beyond.
MAX_QUERY: Final = 250_000

#: The days are counted back from the newest day there is, which may be some days ago: counted from today a
#: late load would make every package look dead. `pip` is downloaded every day and cheap to look up.
QUERY: Final = """\
WITH (SELECT max(date) FROM pypi.pypi_downloads_per_day \
WHERE project = 'pip' AND date < toDate('{today}')) AS newest
SELECT
    project,
    toString(newest) AS day,
    sumIf(count, date = newest) AS last_day,
    sumIf(count, date > newest - 7) AS last_week,
    sumIf(count, date > newest - 30) AS last_month,
    sum(count) AS total,
    count() OVER () AS found
FROM pypi.pypi_downloads_per_day
WHERE project IN ({names}) AND date <= newest
GROUP BY project
FORMAT JSON
"""

#: PEP 503's normalized form: nothing in it needs an escape in SQL.
_NORMALIZED: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class _Answer(msgspec.Struct):
    data: Raw = NULL
    exception: Raw = NULL


class _Row(msgspec.Struct):
    project: Raw = NULL
    day: Raw = NULL
    last_day: Raw = NULL
    last_week: Raw = NULL
    last_month: Raw = NULL
    total: Raw = NULL
    found: Raw = NULL


_answer: Final = msgspec.json.Decoder(_Answer)
_rows: Final = msgspec.json.Decoder(list[_Row])


def batches(names: Iterable[str]) -> Iterator[list[str]]:
    """The names in lists that each fit into one `bulk_query`, in their order."""
    room = MAX_QUERY - len(QUERY)
    batch: list[str] = []
    size = 0
    for name in names:
        length = len(name) + 3  # quotes and comma
        if batch and (len(batch) == NAMES_PER_QUERY or size + length > room):
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += length
    if batch:
        yield batch


def bulk_query(names: Sequence[str], today: date) -> str:
    """The SQL that asks for the downloads of `names` until the last full day (UTC) before `today`.

    Not as server-side parameters: those travel in the URL, which proxies cut at some 8 kB. Raises ValueError
    when a name is not PEP 503 normalized, when there is none, or when they are more than one query may ask
    for (see `batches`).
    """
    quoted = ",".join(map(_quoted, names))
    query = QUERY.format(today=today.isoformat(), names=quoted)
    if not names or len(names) > NAMES_PER_QUERY or len(query) > MAX_QUERY:
        raise ValueError(f"{len(names)} names in {len(query)} bytes do not make one query")
    return query


def parse_bulk(body: bytes, as_of: int) -> dict[str, DownloadCounts]:
    """Normalized name -> downloads, of the projects that ClickPy knows.

    `as_of` (epoch seconds) is the day of the figures when the answer does not name it. A row without a name
    or without any figure is left out. Raises ParseError only: for the server's own errors with their first
    line, and for an answer that was cut off.
    """
    if body.startswith(b"Code: "):
        raise ParseError(_ANSWER, _said(body[:_MAX_REASON].decode("utf-8", "replace")))
    with wire.parsing(_ANSWER):
        answer = _answer.decode(body)
        if (exception := wire.text(answer.exception)) is not None:
            raise ParseError(_ANSWER, _said(exception))
        rows = wire.required(_ANSWER, "data", _rows, answer.data)
        for row in rows[:1]:
            found = wire.count(row.found)
            if found is not None and found != len(rows):
                raise ParseError(_ANSWER, f"cut off: {len(rows)} of {found} rows")
        return {name: counts for row in rows for name, counts in _named(row, as_of)}


def _named(row: _Row, as_of: int) -> Iterator[tuple[str, DownloadCounts]]:
    name = wire.text(row.project)
    day = wire.epoch(wire.text(row.day))
    figures = [wire.count(raw) for raw in (row.last_day, row.last_week, row.last_month, row.total)]
    if name is None or not _is_normalized(name) or figures == [None] * 4:
        return
    yield name, DownloadCounts(_SOURCE, as_of if day is None else day - day % _DAY, *figures)


def _is_normalized(name: str) -> bool:
    return len(name) <= wire.MAX_NAME and _NORMALIZED.fullmatch(name) is not None


def _quoted(name: str) -> str:
    if not _is_normalized(name):
        raise ValueError(f"{name[:80]!a} is not a normalized name")
    return f"'{name}'"


def _said(text: str) -> str:
    return text.partition("\n")[0][:_MAX_REASON]
