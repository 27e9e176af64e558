"""A judgement as `health_score_breakdown`: the shape that pyf.aggregator promises, and the explanation.

Only plain JSON types, and nothing that changes while the facts stay: documents are compared by their hash.
Therefore the moment of a fetch is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pyf_scrapy.metadata.health.finding import Finding
from pyf_scrapy.metadata.health.repository import GOOD_ISSUES
from pyf_scrapy.metadata.health.result import Axis, Point, Remedy
from pyf_scrapy.metadata.health.rules import GITHUB, METADATA, PARTS, RECENCY, RULES, Rule

#: Rule -> pyf.aggregator's key for what it gives.
_BONUSES = {
    "stars": "github_stars_bonus",
    "activity": "github_activity_bonus",
    "issues": "github_issue_bonus",
}


def breakdown(
    judged: Sequence[tuple[Rule, Finding]],
    points: Sequence[Point],
    confidence: int,
    axes: Mapping[str, Axis],
    remedies: Sequence[Remedy],
    version: int,
) -> dict[str, Any]:
    """The points of `recency`, `documentation` and `metadata`, `github_bonus_total` (where it is there) and
    the points of `caps` sum to the score, and so do those of `points`.

    `caps` are the limits in force: `rule`, `limit` and what it took as `points`. The names of pyf.aggregator
    come first; of its GitHub keys only those above 0 are there, as with it.
    """
    given = {point.rule: point.points for point in points}
    made: dict[str, Any] = {name: _part(judged, name) for name in PARTS}
    bonuses = {key: given[rule] for rule, key in _BONUSES.items() if given.get(rule)}
    made |= bonuses
    if bonuses:
        made["github_bonus_total"] = sum(bonuses.values())
    made["caps"] = [
        {"rule": rule.id, "limit": finding.limit, "points": given[rule.id]}
        for rule, finding in judged
        if finding.limit is not None and rule.id in given
    ]
    made["version"] = version
    made["confidence"] = confidence
    made["axes"] = msgspec.to_builtins(axes)
    moments = {rule.id: finding.when for rule, finding in judged}
    made["points"] = [
        msgspec.to_builtins(msgspec.structs.replace(point, when=moments[point.rule])) for point in points
    ]
    made["remedies"] = [{**msgspec.to_builtins(remedy), "rules": list(remedy.rules)} for remedy in remedies]
    return made


def _part(judged: Sequence[tuple[Rule, Finding]], name: str) -> dict[str, Any]:
    """A part with its bonuses, whose points are among its own."""
    own = [(rule, finding) for rule, finding in judged if rule.part == name]
    problems = [problem for _, finding in own for problem in finding.problems]
    bonuses: list[Any] = [
        {"reason": rule.bonus, "points": finding.points}
        for rule, finding in own
        if rule.bonus and finding.points
    ]
    # pyf.aggregator puts GitHub's remarks here, and this one as a bare text.
    if name == RECENCY:
        problems += [
            problem for rule, finding in judged if rule.part == GITHUB for problem in finding.problems
        ]
    if name == METADATA and any(
        rule.id == "issues" and finding.points >= GOOD_ISSUES for rule, finding in judged
    ):
        bonuses.append("good issue management")
    return {
        "points": sum(finding.points for _, finding in own),
        "max_points": sum(rule.maximum for rule in RULES if rule.part == name),
        "problems": problems,
        "bonuses": bonuses,
    }
