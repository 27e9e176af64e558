"""GitHub's part of the health score. If these fail, a package is praised for what is not its own."""

from __future__ import annotations

from typing import Any

import pytest

from pyf_scrapy.metadata.health import Health
from pyf_scrapy.metadata.health.facts import DAYS_AHEAD
from pyf_scrapy.metadata.health.repository import PROVE
from pyf_scrapy.parsers.records import DownloadCounts

from .health_cases import BEST, WORST, days_ago, judge, point, project, repository

OLD = "no GitHub activity in 1+ year"
LIMITED = "limited GitHub activity (6+ months)"
FETCHED = days_ago(3)


def judged(proof: str | None = "named", **known: Any) -> Health:
    """A package of which nothing speaks but its repository."""
    return judge(WORST, repository=repository(**known), proof=proof, repository_at=FETCHED)


@pytest.mark.parametrize(
    ("stars", "points"),
    [
        (0, 0),
        (9, 0),
        (10, 1),
        (49, 1),
        (50, 3),
        (99, 3),
        (100, 5),
        (499, 5),
        (500, 7),
        (999, 7),
        (1000, 10),
        (10**9, 10),
    ],
)
def test_stars(stars: int, points: int) -> None:
    found = judged(stars=stars)
    made = point(found, "stars")
    assert (made.points, made.maximum, made.when, made.remedy) == (points, 10, FETCHED, "")
    assert made.evidence == f"{stars:,} stars"
    assert found.breakdown.get("github_stars_bonus", 0) == found.score == points


@pytest.mark.parametrize(
    ("days", "points", "problems"),
    [
        (-DAYS_AHEAD, 10, []),  # pushed while a long crawl ran
        (0, 10, []),
        (29, 10, []),
        (30, 7, []),
        (89, 7, []),
        (90, 5, []),
        (179, 5, []),
        (180, 3, [LIMITED]),
        (364, 3, [LIMITED]),
        (365, 0, [OLD]),
        (5000, 0, [OLD]),
    ],
)
@pytest.mark.parametrize("hour", [0, 23])
def test_activity_by_whole_days(days: int, points: int, problems: list[str], hour: int) -> None:
    found = judged(pushed_at=days_ago(days, hour))
    assert (point(found, "activity").points, found.score) == (points, points)
    assert found.breakdown.get("github_activity_bonus", 0) == points
    assert found.breakdown["recency"]["problems"] == ["no release timestamp", *problems]


@pytest.mark.parametrize("pushed_at", [None, 0, -5, 10**18, days_ago(-DAYS_AHEAD - 1)])
def test_unknown_push_is_no_problem(pushed_at: int | None) -> None:
    found = judged(pushed_at=pushed_at)
    assert point(found, "activity").evidence == "GitHub does not tell the last push"
    assert found.breakdown["recency"]["problems"] == ["no release timestamp"]


def test_a_star_is_no_work() -> None:
    """W12: `updated_at` moves with each star."""
    assert judged(pushed_at=days_ago(400), updated_at=days_ago(0)).score == 0
    assert judged(pushed_at=days_ago(0), updated_at=days_ago(400)).score == 10


@pytest.mark.parametrize(
    ("stars", "issues", "points"),
    [
        (10, 0, 11),
        (1000, 99, 20),
        (1000, 100, 17),
        (1000, 299, 17),
        (1000, 300, 15),
        (1000, 499, 15),
        (1000, 500, 13),
        (1000, 999, 13),
        (1000, 1000, 10),
        (1001, 100, 20),  # 9.99 %
        (999, 100, 14),  # 10.01 %
        (1000, 10**9, 10),
    ],
)
def test_issues_by_stars(stars: int, issues: int, points: int) -> None:
    found = judged(stars=stars, open_issues=issues, open_pull_requests=10**6)
    made = point(found, "issues")
    assert made.points + point(found, "stars").points == found.score == points
    assert made.evidence == f"{issues:,} open; {stars:,} stars"
    bonuses = found.breakdown["metadata"]["bonuses"]
    assert bonuses == (["good issue management"] if made.points >= 5 else [])
    assert found.breakdown.get("github_issue_bonus", 0) == made.points
    assert found.breakdown["github_bonus_total"] == points


@pytest.mark.parametrize(("stars", "points"), [(0, 0), (1, 0), (9, 0), (10, 10)])
def test_one_star_and_no_issue_say_nothing(stars: int, points: int) -> None:
    """W12: 1 star and 0 issues gave 10 points."""
    assert point(judged(stars=stars, open_issues=0), "issues").points == points


def test_issues_of_rest_do_not_flatter() -> None:
    """It counts pull requests as well, so that they are at most so many."""
    made = point(judged(stars=100, open_issues_and_pulls=20), "issues")
    assert (made.points, made.evidence) == (7, "20 open, pull requests included; 100 stars")
    assert point(judged(stars=100, open_issues=3, open_issues_and_pulls=20), "issues").points == 10


def test_how_many_issues_to_close_is_said() -> None:
    made = point(judged(stars=105, open_issues=50), "issues")
    assert made.remedy == "close issues until at most 10 are open"
    assert point(judged(stars=105, open_issues=10), "issues").points == 10
    assert point(judged(stars=105, open_issues=11), "issues").points == 7
    assert point(judged(stars=10, open_issues=5), "issues").remedy == "close issues until at most 0 are open"


FULL: dict[str, Any] = {"stars": 5000, "pushed_at": days_ago(1), "open_issues": 5}


@pytest.mark.parametrize("proof", ["attested", "named"])
def test_all_of_it_counts_with_proof(proof: str) -> None:
    found = judged(proof, **FULL)
    assert found.score == 30
    assert {key: value for key, value in found.breakdown.items() if key.startswith("github")} == {
        "github_stars_bonus": 10,
        "github_activity_bonus": 10,
        "github_issue_bonus": 10,
        "github_bonus_total": 30,
    }
    assert found.axes["adoption"].points == 10
    assert found.axes["maintenance"].points == 20


@pytest.mark.parametrize("proof", ["claimed", None, "", "sworn"])
def test_nothing_of_it_counts_without_proof(proof: str | None) -> None:
    """W12: anybody can link to a repository with many stars."""
    found = judged(proof, **FULL)
    assert found.score == 0
    assert not [key for key in found.breakdown if key.startswith("github")]
    assert found.breakdown["metadata"]["bonuses"] == []
    assert point(found, "repository").evidence == "demo-org/demo: not proven, so nothing of it counts"
    (remedy,) = [one for one in found.remedies if one.remedy == PROVE]
    assert (remedy.gain, remedy.rules) == (30, ("stars", "activity", "issues"))
    assert found.confidence == judge(WORST).confidence
    assert found.breakdown["recency"]["problems"] == ["no release timestamp"]


def test_the_gain_of_proof_is_what_the_repository_is_worth() -> None:
    found = judged("claimed", stars=60, pushed_at=days_ago(100))
    assert [one.gain for one in found.remedies if one.remedy == PROVE] == [8]
    assert judged("named", stars=60, pushed_at=days_ago(100)).score == 8
    worthless = judged("claimed", stars=1, pushed_at=days_ago(4000))
    assert not [one for one in worthless.remedies if one.remedy == PROVE]


def test_how_much_an_unseen_repository_would_bring_is_not_known() -> None:
    found = judge(WORST, repository_url="https://github.com/demo-org/demo", proof="claimed")
    (remedy,) = [one for one in found.remedies if one.remedy == PROVE]
    assert remedy.gain is None
    assert found.remedies[-1] == remedy
    assert point(found, "repository").evidence.startswith("https://github.com/demo-org/demo: not proven")
    proven = judge(WORST, repository_url="https://github.com/demo-org/demo", proof="named")
    assert not [one for one in proven.remedies if one.remedy == PROVE]
    assert not [one for one in judge(WORST).points if one.rule == "repository"]


@pytest.mark.parametrize(
    ("state", "evidence"),
    [
        ({"archived": True}, "the repository is archived"),
        ({"disabled": True}, "the repository is disabled"),
        ({"fork": True, "parent": "plone/demo"}, "the repository is a fork of plone/demo"),
        ({"fork": True}, "the repository is a fork of another"),
    ],
)
@pytest.mark.parametrize("proof", ["attested", "claimed"])
def test_a_repository_out_of_use_earns_nothing(state: dict[str, Any], evidence: str, proof: str) -> None:
    """W12: an archived repository kept its bonus. A fork's stars are not for this package."""
    found = judged(proof, **FULL, **state)
    assert found.score == 0
    assert not [key for key in found.breakdown if key.startswith("github")]
    if proof == "attested":
        assert {point(found, rule).evidence for rule in ("stars", "activity", "issues")} == {evidence}
        assert OLD not in found.breakdown["recency"]["problems"]
    else:  # proof would not help
        assert not [one for one in found.remedies if one.remedy == PROVE]


def test_states_that_github_does_not_tell_are_not_held_against_it() -> None:
    assert judged(**FULL, archived=None, disabled=None, fork=None) == judged(
        **FULL, archived=False, disabled=False, fork=False
    )


def test_the_proof_is_said() -> None:
    assert point(judged("attested"), "repository").evidence.endswith("uploads are attested to come from it")
    assert point(judged("named"), "repository").evidence.endswith("it names this package")


def test_confidence_counts_what_is_known_of_the_repository() -> None:
    known = [judge(BEST, repository=repository(**FULL), proof="named"), judge(BEST)]
    assert [found.confidence for found in known] == [100, 80]
    some = judge(BEST, repository=repository(stars=5), proof="named")
    assert (some.confidence, some.axes["adoption"].confidence) == (86, 100)
    assert some.axes["maintenance"].confidence == 71  # 50 of 70


def test_the_scale_ends_at_100() -> None:
    found = judge(BEST, repository=repository(**FULL), proof="named")
    assert found.score == 100
    assert point(found, "ceiling").points == -30
    assert found.breakdown["github_bonus_total"] == 30
    assert found.breakdown["caps"] == [{"rule": "ceiling", "limit": 100, "points": -30}]


@pytest.mark.parametrize(
    ("counts", "evidence"),
    [
        ({"last_month": 1234, "last_day": 5}, "1,234 in a month (pypistats)"),
        ({"last_week": 7}, "7 in a week (pypistats)"),
        ({"last_day": 0}, "0 in a day (pypistats)"),
        ({"total": 10}, "10 in total (pypistats)"),
        ({}, None),
    ],
)
def test_downloads_are_said_and_earn_nothing(counts: dict[str, int], evidence: str | None) -> None:
    """Robots download; pyf.aggregator does not count them either."""
    found = judge(BEST, downloads=DownloadCounts("pypistats", days_ago(2), **counts))
    said = [one for one in found.points if one.rule == "downloads"]
    assert [one.evidence for one in said] == ([evidence] if evidence else [])
    assert [one.when for one in said] == ([days_ago(2)] if evidence else [])
    assert found.score == 100
    assert found.confidence == judge(BEST).confidence


def test_a_fetch_that_brings_the_same_changes_no_document() -> None:
    """Documents are compared by their hash: else each run would send all of them again."""
    facts = {"repository": repository(**FULL, archived=True), "proof": "named", "project": project()}
    first = judge(BEST, **facts, repository_at=days_ago(9))
    again = judge(BEST, **facts, repository_at=days_ago(1))
    assert first.breakdown == again.breakdown
    assert point(first, "stars").when != point(again, "stars").when
