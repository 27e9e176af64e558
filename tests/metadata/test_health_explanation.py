"""How a score is put in words. If these fail, `scrapy show` explains nothing."""

from __future__ import annotations

import msgspec

from pyf_scrapy.metadata.health.explanation import advice, explained
from pyf_scrapy.metadata.health.repository import PROVE
from pyf_scrapy.parsers.records import DownloadCounts, Vulnerability

from .health_cases import BEST, WORST, days_ago, judge, project, repository


def test_each_point_is_a_line_and_the_last_is_the_sum() -> None:
    found = judge(
        BEST,
        project=project(Vulnerability("GHSA-1")),
        downloads=DownloadCounts("pypistats", days_ago(1), last_month=50),
    )
    stored = msgspec.json.decode(msgspec.json.encode(found.breakdown))  # as it comes out of the index
    lines = list(explained(stored, found.score))
    assert lines[0] == ("latest upload", 40, 40, "newest upload 2026-08-31")
    assert ("stars", 0, 10, "no facts of a repository") in lines
    assert ("downloads", None, None, "50 in a month (pypistats)") in lines
    assert ("known vulnerabilities", -60, None, "GHSA-1: at most 40") in lines
    assert lines[-1] == ("score", 40, 100, "80 % of what the rules ask is known")
    assert sum(points or 0 for _, points, _, _ in lines[:-1]) == 40
    assert advice(stored) == [("+60", "release a version without the known vulnerability")]


def test_a_gain_that_nobody_knows_is_a_question() -> None:
    found = judge(WORST, repository_url="https://github.com/demo-org/demo")
    assert advice(found.breakdown)[-1] == ("?", PROVE)
    assert advice(found.breakdown)[0] == ("+40", "release a new version")


def test_nothing_is_left_to_do() -> None:
    known = {"repository": repository(stars=1000, open_issues=0, pushed_at=days_ago(1)), "proof": "named"}
    assert advice(judge(BEST, **known).breakdown) == []


def test_a_document_of_an_older_program_is_shown_without_points() -> None:
    old = {"recency": {"points": 40, "max_points": 40, "problems": [], "bonuses": []}}
    assert list(explained(old, 40)) == []
    assert advice(old) == []


def test_a_rule_of_a_newer_program_is_shown_by_its_id() -> None:
    point = {"rule": "invented", "axis": "x", "points": 3, "maximum": 5, "evidence": "y", "source": "z"}
    assert next(explained({"points": [point], "confidence": 1}, 3)) == ("invented", 3, 5, "y")
