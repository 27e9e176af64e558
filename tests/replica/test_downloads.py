"""pypistats and ClickPy: figures that agree, names as each takes them, limits, and SQL that is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.parsers.clickpy import bulk_query, parse_bulk
from pyf_scrapy.replica import Handle
from pyf_scrapy.replica.downloads import Downloads

from .client import Received, get, post

TODAY = date(2026, 11, 1)
NOON = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp())
"""Of the replicas in tests."""


def recent(handle: Handle, name: str) -> Received:
    return get(handle.url, f"/pypistats/api/packages/{name}/recent")


def sql(handle: Handle, query: str, **parameters: str) -> Received:
    more = "".join(f"&{name}={value}" for name, value in parameters.items())
    return post(handle.url, f"/clickpy?user=demo&default_format=JSON{more}", query.encode())


def some_names(handle: Handle) -> list[str]:
    return [name for name in handle.replica.names() if (handle.replica.number(name) or (0, False))[1]]


def test_recent_as_recorded(replica: Handle, real_data: Path) -> None:
    real = (real_data / "pypistats" / "flask.recent_downloads.packages.json").read_bytes()
    name = some_names(replica)[0]
    answer = json.loads(recent(replica, name).body)
    assert answer.keys() == json.loads(real).keys()
    assert answer["data"].keys() == json.loads(real)["data"].keys()
    assert (answer["package"], answer["type"]) == (name, "recent_downloads")
    assert 0 <= answer["data"]["last_day"] <= answer["data"]["last_week"] <= answer["data"]["last_month"]


def test_names_as_pypistats_takes_them(replica: Handle) -> None:
    """Whoever sends a display name gets a 404 there, although the package exists."""
    replica.services(pypistats_limits=False)
    replica.event({"event": "create", "project": "Some.Odd_Name", "version": "1.0"})
    replica.advance(2 * 86_400)
    answers = {
        name: recent(replica, name)
        for name in ("some.odd_name", "some-odd-name", "Some.Odd_Name", "some--odd-name")
    }
    assert [one.status for one in answers.values()] == [200, 200, 404, 404]
    assert answers["Some.Odd_Name"].body == b"404"
    assert answers["Some.Odd_Name"].headers["Content-Type"].startswith("text/html")


def test_no_downloads_before_the_first_day_is_over(replica: Handle) -> None:
    replica.event({"event": "create", "project": "fresh", "version": "1.0"})
    assert recent(replica, "fresh").status == 404
    replica.advance(86_400)
    assert recent(replica, "fresh").status == 200


def test_a_project_without_releases_has_none(replica: Handle) -> None:
    replica.event({"event": "create", "project": "bare"})
    replica.advance(2 * 86_400)
    assert recent(replica, "bare").status == 404
    numbers = {name: replica.replica.number(name) for name in replica.replica.names()}
    empty = next(name for name, number in numbers.items() if number and not number[1])
    assert recent(replica, empty).status == 404


def test_overall(replica: Handle) -> None:
    name = some_names(replica)[1]
    answer = json.loads(get(replica.url, f"/pypistats/api/packages/{name}/overall?mirrors=false").body)
    assert {row["category"] for row in answer["data"]} <= {"without_mirrors"}
    month = [row["downloads"] for row in answer["data"] if row["date"] >= "2026-10-02"]
    assert sum(month) == json.loads(recent(replica, name).body)["data"]["last_month"]


@pytest.mark.parametrize(("pause", "allowed"), [(0.0, 5), (2.0, 30)])
def test_limits_of_pypistats(replica: Handle, pause: float, allowed: int) -> None:
    """5 a second, 30 a minute; the answer does not say how long to wait."""
    replica.services(speed=0)
    statuses = []
    for number in range(allowed + 1):
        if number and number % 5 == 0:
            replica.advance(pause)
        statuses.append(recent(replica, "no-such"))
    assert [one.status for one in statuses] == [404] * allowed + [429]
    assert b"429 RATE LIMIT EXCEEDED" in statuses[-1].body
    assert "Retry-After" not in statuses[-1].headers
    recent(replica, "no-such")
    assert replica.statistics()["services"]["pypistats"]["after_limit"] == 1
    replica.advance(60)
    assert recent(replica, "no-such").status == 404


def test_faults_of_pypistats(replica: Handle) -> None:
    replica.faults([{"match": "/pypistats/*", "fault": "status-500", "times": 1}])
    name = some_names(replica)[0]
    assert [recent(replica, name).status for _ in range(2)] == [500, 200]


def test_the_crawlers_own_query(shared: Handle) -> None:
    """Its query has to be understood, and the figures have to be those of the truth, mirrors included."""
    names = some_names(shared)[:400]
    truth = Downloads(shared.replica)
    answer = sql(shared, bulk_query([*names, "no-such-project"], TODAY))
    assert answer.status == 200
    counts = parse_bulk(answer.body, NOON)
    assert counts.keys() == set(names)
    for name in names[::40]:
        assert counts[name].last_day == truth.total(name, 1, mirrors=True)
        assert counts[name].last_month == truth.total(name, 30, mirrors=True)
        assert (counts[name].last_month or 0) > (truth.total(name, 30) or 0)


def test_shape_of_an_answer(shared: Handle) -> None:
    one, two = some_names(shared)[:2]
    query = """
        SELECT project, sum(if(date > today() - 8, count, 0)) AS week,
               sumIf(count, date >= '2026-10-25') AS same, max(date) AS newest  -- the last day
        FROM pypi.pypi_downloads_per_day WHERE project IN (NAMES) AND date > today() - 90
        GROUP BY project ORDER BY project LIMIT 10;""".replace("NAMES", f"'{two}', '{one}', 'Unknown'")
    answer = json.loads(sql(shared, query).body)
    assert answer["meta"] == [
        {"name": "project", "type": "String"},
        {"name": "week", "type": "Int64"},
        {"name": "same", "type": "Int64"},
        {"name": "newest", "type": "Date"},
    ]
    assert [row["project"] for row in answer["data"]] == sorted([one, two])
    assert answer["rows"] == 2
    assert answer["statistics"].keys() == {"elapsed", "rows_read", "bytes_read"}
    for row in answer["data"]:
        assert (row["newest"], row["week"]) == ("2026-10-31", row["same"])
        assert row["week"] == str(Downloads(shared.replica).total(row["project"], 7, mirrors=True))
    plain = json.loads(sql(shared, query, output_format_json_quote_64bit_integers="0").body)
    assert [str(row["week"]) for row in plain["data"]] == [row["week"] for row in answer["data"]]


def test_parameters(shared: Handle) -> None:
    name = some_names(shared)[0]
    query = """SELECT sum(count) AS n FROM pypi.pypi_downloads_per_day
               WHERE project IN {names:Array(String)} AND date >= {from:Date}
               AND date < today() - {days:UInt16}"""
    given = {"param_names": f"%5B'{name}'%5D", "param_from": "2026-10-01", "param_days": "0"}
    total = Downloads(shared.replica).total(name, 31, mirrors=True)
    assert json.loads(sql(shared, query, **given).body)["data"] == [{"n": str(total)}]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "Code: 62. DB::Exception: Syntax error: failed at position 1 (end of query)"),
        ("DROP TABLE x", 400, "failed at position 1 (line 1, col 1): DROP TABLE x"),
        ("SELECT project FROM pypi.projects", 404, "UNKNOWN_TABLE"),
        ("SELECT avg(count) FROM t", 404, "UNKNOWN_FUNCTION"),
        ("SELECT project FROM pypi.pypi_downloads_per_day WHERE project = 'a'", 400, "NOT_AN_AGGREGATE"),
        ("SELECT sum(count) FROM pypi.pypi_downloads_per_day", 501, "named projects only"),
        ("SELECT sum(count) FROM pypi.pypi_downloads_per_day WHERE date > 'x'", 400, "CANNOT_PARSE_DATE"),
        (
            "SELECT sum(count) FROM pypi.pypi_downloads_per_day WHERE project = {a:String}",
            400,
            "`a` is not set",
        ),
        ("SELECT project FROM pypi.pypi_downloads_per_day WHERE project IN ('a", 400, "SYNTAX_ERROR"),
    ],
)
def test_refused_sql(shared: Handle, query: str, status: int, words: str) -> None:
    answer = sql(shared, query)
    assert answer.status == status
    assert words in answer.body.decode()
    assert answer.body.startswith(f"Code: {answer.headers['X-ClickHouse-Exception-Code']}. ".encode())


def test_query_size(replica: Handle) -> None:
    """A crawler that does not cut its list into pieces would fail at 11,000 packages."""
    query = "SELECT sum(count) FROM pypi.pypi_downloads_per_day WHERE project = 'NAME'"
    query = query.replace("NAME", "x" * 262_144)
    answer = sql(replica, query)
    assert (answer.status, b"Max query size exceeded" in answer.body) == (400, True)
    assert sql(replica, query.replace("x" * 1000, "")).status == 200


def test_an_answer_cut_off_by_the_server(replica: Handle) -> None:
    replica.services(clickpy_most_rows=3)
    answer: Any = json.loads(sql(replica, bulk_query(some_names(replica)[:5], TODAY)).body)
    assert (answer["rows"], {row["found"] for row in answer["data"]}) == (3, {"5"})


def test_only_the_public_user(replica: Handle) -> None:
    assert post(replica.url, "/clickpy", b"SELECT 1").status == 403
