"""What bounds the health score. If these fail, users are led to packages that nobody should install."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pyf_scrapy.metadata.health import RULES
from pyf_scrapy.parsers.records import Vulnerability

from .health_cases import BEST, EMPTY, GOOD, WORST, days_ago, judge, point, project, release, repository

OPEN = Vulnerability("GHSA-1111", fixed_in=("2.0",))
WITHDRAWN = Vulnerability("GHSA-2222", withdrawn="2026-01-01T00:00:00Z")
STARRED: dict[str, Any] = {
    "repository": repository(stars=2000, pushed_at=days_ago(1), open_issues=0),
    "proof": "named",
}
ARCHIVED: dict[str, Any] = {
    "repository": repository(archived=True, stars=2000, pushed_at=days_ago(1)),
    "proof": "named",
}


@pytest.mark.parametrize(
    ("changed", "rule", "most", "evidence"),
    [
        ({"removed": True}, "removed", 0, "gone from PyPI: at most 0"),
        ({"status": "quarantined"}, "quarantined", 0, "quarantined on PyPI: at most 0"),
        ({"status": "archived"}, "archived", 20, "archived on PyPI: at most 20"),
        ({"status": "deprecated"}, "archived", 20, "deprecated on PyPI: at most 20"),
        (ARCHIVED, "archived", 20, "its repository is archived: at most 20"),
        (
            {**ARCHIVED, "status": "archived"},
            "archived",
            20,
            "archived on PyPI, its repository is archived: at most 20",
        ),
        ({"project": project(OPEN)}, "advisories", 40, "GHSA-1111: at most 40"),
        ({"project": project(WITHDRAWN, OPEN)}, "advisories", 40, "GHSA-1111: at most 40"),
    ],
)
def test_the_best_package_is_limited(changed: dict[str, Any], rule: str, most: int, evidence: str) -> None:
    found = judge(BEST, **changed)
    made = point(found, rule)
    assert found.score == most
    assert (made.points, made.maximum, made.evidence) == (most - 100, 0, evidence)
    assert found.breakdown["caps"] == [{"rule": rule, "limit": most, "points": most - 100}]
    (axis,) = [name for name, one in found.axes.items() if one.cut]
    assert found.axes[axis].cut == most - 100
    problems = found.breakdown["recency"]["problems"] + found.breakdown["metadata"]["problems"]
    assert len(problems) == 1  # front ends that know no caps show why, too
    assert found.breakdown["recency"]["points"] == 40  # and what is good about it stays said


@pytest.mark.parametrize("changed", [{"status": "archived"}, {"project": project(OPEN)}, {"removed": True}])
def test_a_bad_package_loses_nothing_by_a_limit(changed: dict[str, Any]) -> None:
    found = judge(WORST, **changed)
    assert found.score == 0
    assert [cap["points"] for cap in found.breakdown["caps"]] == [0]


@pytest.mark.parametrize(
    ("said", "earned", "points"),
    [
        ({"author": "Ada"}, 10, 0),
        ({"author": "Ada", "license": "MIT"}, 20, 0),
        ({"author": "Ada", "license": "MIT", "home_page": "https://demo.example.org"}, 23, -3),
    ],
)
def test_a_limit_takes_what_is_above_it(said: dict[str, str], earned: int, points: int) -> None:
    found = judge(WORST, releases=(release(replace(EMPTY, **said)),), status="archived")
    assert (point(found, "archived").points, found.score) == (points, min(earned, 20))


def test_limits_add_up_when_several_hold() -> None:
    """The lowest decides, and each record says what it took of what the others left."""
    found = judge(BEST, project=project(OPEN), status="archived", removed=True, **STARRED)
    assert found.score == 0
    assert found.breakdown["caps"] == [
        {"rule": "ceiling", "limit": 100, "points": -30},
        {"rule": "advisories", "limit": 40, "points": -60},
        {"rule": "archived", "limit": 20, "points": -20},
        {"rule": "removed", "limit": 0, "points": -20},
    ]
    assert found.axes["security"].cut == -60
    assert found.axes["maintenance"].cut == -40


def test_limits_stand_in_the_table_from_the_mildest_to_the_hardest() -> None:
    """Else a harder one would leave nothing to a milder one, and the sum would not be the score."""
    assert [rule.id for rule in RULES if rule.limits] == [
        "ceiling",
        "advisories",
        "archived",
        "quarantined",
        "removed",
    ]
    assert not any(rule.limits for rule in RULES[: -len([rule for rule in RULES if rule.limits])])


@pytest.mark.parametrize("known", [(), (WITHDRAWN,)])
def test_withdrawn_advisories_are_none(known: tuple[Vulnerability, ...]) -> None:
    found = judge(BEST, project=project(*known))
    assert found.score == 100
    assert point(found, "advisories").evidence == "none for the latest release"


def test_many_advisories_stay_short() -> None:
    many = project(*(Vulnerability(f"GHSA-{number}") for number in range(50)), OPEN, Vulnerability())
    assert point(judge(BEST, project=many), "advisories").evidence == (
        "GHSA-0, GHSA-1, GHSA-2 and 49 more: at most 40"
    )
    nameless = judge(BEST, project=project(Vulnerability()))
    assert point(nameless, "advisories").evidence == "without a number: at most 40"


@pytest.mark.parametrize(
    "unknown", [{"project": None}, {"project": replace(project(), vulnerabilities=None)}]
)
def test_unknown_advisories_cost_confidence_only(unknown: dict[str, Any]) -> None:
    found = judge(BEST, **unknown)
    assert (found.score, found.confidence) == (100, judge(BEST).confidence - 7)
    assert found.axes["security"].confidence == 0
    assert point(found, "advisories").evidence == "PyPI's advisories are not known"


@pytest.mark.parametrize("status", [None, "", "some marker of the future"])
def test_a_marker_that_is_not_understood_costs_confidence_only(status: str | None) -> None:
    found = judge(BEST, status=status)
    assert (found.score, found.confidence) == (100, judge(BEST).confidence - 7)
    assert found.breakdown["caps"] == []


def test_an_archived_repository_that_is_only_claimed_is_somebody_elses() -> None:
    found = judge(BEST, repository=repository(archived=True), proof="claimed")
    assert (found.score, found.breakdown["caps"]) == (100, [])


def test_what_lifts_a_limit_comes_first() -> None:
    """While it holds, nothing else helps: to say so would send people to do work for nothing."""
    found = judge(BEST, project=project(OPEN), releases=(release(GOOD, days_ago(400)),))
    assert (found.score, [(one.gain, one.rules) for one in found.remedies]) == (40, [(40, ("advisories",))])
    both = judge(BEST, project=project(OPEN), status="archived")
    assert [(one.gain, one.rules) for one in both.remedies] == [(20, ("archived",))]
    gone = judge(BEST, removed=True)
    assert gone.remedies == ()


def test_unarchiving_brings_the_repository_back() -> None:
    """The gain is that of the one step, with all that it changes."""
    packaged = release(EMPTY, days_ago(1))
    found = judge(WORST, releases=(packaged,), **ARCHIVED)
    (remedy,) = [one for one in found.remedies if one.remedy == "unarchive the repository"]
    assert remedy.rules == ("stars", "activity", "archived")  # of issues nothing is known
    back = {"repository": replace(ARCHIVED["repository"], archived=False), "proof": "named"}
    assert judge(WORST, releases=(packaged,), **back).score - found.score == remedy.gain == 40
    twice = judge(WORST, releases=(packaged,), status="archived", **ARCHIVED)
    assert "set the project on PyPI back to active and unarchive the repository" in {
        one.remedy for one in twice.remedies
    }


def test_a_yanked_latest_release_is_not_recent() -> None:
    """W12: a yanked package scored 100."""
    found = judge(BEST, releases=(release(GOOD, days_ago(1), yanked=True),))
    assert found.score == 60
    assert found.breakdown["recency"]["problems"] == ["latest release is yanked"]
    assert point(found, "recency").remedy == "release a version that is not yanked"
