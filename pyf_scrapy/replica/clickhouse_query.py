"""Reads the one shape of SQL that the replica's ClickPy answers.

    WITH (SELECT max(date) FROM pypi.pypi_downloads_per_day
          WHERE project = 'pip' AND date < toDate('2026-11-29')) AS newest          -- may be left out
    SELECT project, toString(newest) AS day, max(date) AS last,
           sumIf(count, date > newest - 30) AS month,      -- or sum(if(date > ..., count, 0))
           sum(count) AS total, count() OVER () AS found
    FROM pypi.pypi_downloads_per_day
    WHERE project IN ('plone-api', 'zope') AND date <= newest
    GROUP BY project [ORDER BY project] [LIMIT n] [FORMAT JSON]

Columns: `project`, `toString` of a date, `sum`, `sumIf`, `max(date)`, `min(date)`, `count() OVER ()`. Dates:
a name from WITH, `'2026-10-01'`, `toDate('2026-10-01')`, `today()`, `yesterday()`, each `+` or `-` days,
`toIntervalDay(n)` or `toIntervalWeek(n)`. Conditions are put together by AND. `{name:Type}` is the parameter
`param_name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from pyf_scrapy.replica.clickhouse_language import Days, Reader, SqlError, failed, unquoted

NEVER = date(1970, 1, 1)
"""What `max(date)` is of no rows."""

_TABLE = "pypi.pypi_downloads_per_day"


def _every_day(_day: int) -> bool:
    return True


_ALL: Days = _every_day


class Column(NamedTuple):
    """One of the answer: `function` is project, sum, max, min, day or groups; `value` is that of a day."""

    name: str
    function: str
    days: Days = _ALL
    value: int = 0


class Select(NamedTuple):
    """A query."""

    columns: list[Column]
    projects: list[str]
    days: Days
    grouped: bool
    ordered: bool
    limit: int | None


def parse_select(text: str, newest: int, parameters: Mapping[str, str]) -> Select:
    """The query in a text; `newest` is the last day in the table. Raises SqlError."""
    reader = Reader(text, newest + 1, parameters)
    if reader.skip("WITH"):
        _with(reader, newest)
    select = _select(reader)
    if reader.skip("FORMAT"):
        reader.want("JSON")
    reader.skip(";")
    reader.take("end")
    return select


def _with(reader: Reader, newest: int) -> None:
    """Gives a name to the newest day that a package has."""
    for text in ("(", "SELECT", "max", "(", "date", ")"):
        reader.want(text)
    _from(reader)
    _, days = _where(reader)
    reader.want(")")
    reader.want("AS")
    # Whichever package is asked for: all have figures up to the same day, or nearly so.
    found = next((day for day in range(newest, newest - 400, -1) if days(day)), NEVER.toordinal())
    reader.names[reader.take("name").text] = found


def _select(reader: Reader) -> Select:
    reader.want("SELECT")
    columns = [_column(reader)]
    while reader.skip(","):
        columns.append(_column(reader))
    _from(reader)
    projects, days = _where(reader)
    if projects is None:
        raise SqlError("The replica answers for named projects only", 48, "NOT_IMPLEMENTED", 501)
    grouped = reader.skip("GROUP")
    if grouped:
        reader.want("BY")
        reader.want("project")
    elif any(column.function == "project" for column in columns):
        message = "Column `project` is not under aggregate function and not in GROUP BY"
        raise SqlError(message, 215, "NOT_AN_AGGREGATE")
    ordered = reader.skip("ORDER")
    if ordered:
        reader.want("BY")
        reader.want("project")
    limit = int(reader.take("number").text) if reader.skip("LIMIT") else None
    return Select(columns, projects, days, grouped, ordered, limit)


def _from(reader: Reader) -> None:
    reader.want("FROM")
    table = reader.take("name").text
    if reader.skip("."):
        table += "." + reader.take("name").text
    if table != _TABLE:
        raise SqlError(f"Unknown table expression identifier '{table}'", 60, "UNKNOWN_TABLE", 404)


def _column(reader: Reader) -> Column:
    begin = reader.next.at
    name = reader.take("name").text
    column = _called(reader, name)
    end = reader.next.at
    called = reader.take("name").text if reader.skip("AS") else reader.text[begin:end].strip()
    return column._replace(name=called)


def _called(reader: Reader, name: str) -> Column:
    function = name.lower()
    if function == "project":
        return Column(name, function)
    reader.want("(")
    if function in ("max", "min"):
        reader.want("date")
        column = Column(name, function)
    elif function == "tostring":
        column = Column(name, "day", value=reader.day())
    elif function == "count":
        for text in (")", "OVER", "("):
            reader.want(text)
        column = Column(name, "groups")
    elif function == "sumif":
        reader.want("count")
        reader.want(",")
        column = Column(name, "sum", _days(reader))
    elif function == "sum":
        column = Column(name, "sum", _counted(reader))
    else:
        raise SqlError(f"Function with name `{name}` does not exist", 46, "UNKNOWN_FUNCTION", 404)
    reader.want(")")
    return column


def _counted(reader: Reader) -> Days:
    """What is added up by `sum(...)`."""
    if not reader.skip("if"):
        reader.want("count")
        return _ALL
    reader.want("(")
    days = _days(reader)
    for text in (",", "count", ",", "0", ")"):
        reader.want(text)
    return days


def _days(reader: Reader) -> Days:
    days = reader.comparison()
    while reader.skip("AND"):
        days = _both(days, reader.comparison())
    return days


def _both(one: Days, other: Days) -> Days:
    return lambda day: one(day) and other(day)


def _where(reader: Reader) -> tuple[list[str] | None, Days]:
    """The projects, None: all, and the days."""
    projects: list[str] | None = None
    days = _ALL
    if not reader.skip("WHERE"):
        return None, days
    while True:
        if reader.skip("project"):
            if projects is not None:
                raise failed(reader.text, reader.next.at)
            projects = _projects(reader)
        else:
            days = _both(days, reader.comparison())
        if not reader.skip("AND"):
            return projects, days


def _projects(reader: Reader) -> list[str]:
    if reader.skip("="):
        return [reader.string()]
    reader.want("IN")
    if reader.next.text == "{":
        return [unquoted(one) for one in re.findall(r"'(?:[^'\\]|\\.)*'", reader.parameter())]
    reader.want("(")
    named = [reader.string()]
    while reader.skip(","):
        named.append(reader.string())
    reader.want(")")
    return named
