"""Facts and a date in, a health score out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from msgspec.structs import replace

from pyf_scrapy.metadata.health.breakdown import breakdown
from pyf_scrapy.metadata.health.facts import Case, HealthFacts
from pyf_scrapy.metadata.health.finding import UNKNOWN_REACH, Finding
from pyf_scrapy.metadata.health.result import Axis, Health, Point, Remedy
from pyf_scrapy.metadata.health.rules import AXES, RULES, VERSION, Rule

Judged = list[tuple[Rule, Finding]]


def health(facts: HealthFacts, now: date) -> Health:
    """Judge a package by what is known of it, on a date (UTC). The same input gives the same output.

    Raises ValueError when there is no release.
    """
    case = Case(facts, now)
    judged = [(rule, finding) for rule in RULES if (finding := rule.judge(case)) is not None]
    points = _points(judged)
    score = sum(point.points for point in points)
    axes = {axis: _axis(judged, points, axis) for axis in AXES}
    confidence = _confidence(judged)
    remedies = _remedies(judged)
    made = breakdown(judged, points, confidence, axes, remedies, VERSION)
    return Health(score, made, points, confidence, axes, remedies)


def _points(judged: Judged) -> tuple[Point, ...]:
    """One for each rule that has something to say; a limit takes what the ones before left above it."""
    made = []
    total = 0
    for rule, finding in judged:
        points = finding.points
        if finding.limit is not None:
            points = min(0, finding.limit - total)
            if points == 0 and rule.id == "ceiling":
                continue
        total += points
        remedy = finding.remedy if _can_be_raised(rule, finding) else ""
        made.append(
            Point(
                rule.id,
                rule.axis,
                points,
                rule.maximum,
                finding.evidence,
                rule.source,
                finding.when if finding.when is not None else finding.fetched,
                remedy,
            )
        )
    return tuple(made)


def _reach(rule: Rule, finding: Finding) -> int:
    """The most that the finding's remedy may lead to."""
    return rule.maximum if finding.reach in (None, UNKNOWN_REACH) else finding.reach or 0


def _can_be_raised(rule: Rule, finding: Finding) -> bool:
    return finding.limit is not None or _reach(rule, finding) > finding.points


def _total(findings: Iterable[Finding]) -> int:
    """The score of findings, without the way there."""
    kept = list(findings)
    limits = (finding.limit for finding in kept if finding.limit is not None)
    return min(sum(finding.points for finding in kept), *limits)


def _remedies(judged: Judged) -> tuple[Remedy, ...]:
    """What can be done, by what it gains; what gains nothing yet, because of a limit, is left out."""
    before = _total(finding for _, finding in judged)
    made = []
    for remedy in dict.fromkeys(finding.remedy for _, finding in judged if finding.remedy):
        surely, perhaps = (
            _total(_remedied(rule, finding, remedy, perhaps=perhaps) for rule, finding in judged) - before
            for perhaps in (False, True)
        )
        if perhaps:
            rules = tuple(
                rule.id
                for rule, finding in judged
                if finding.remedy == remedy and _can_be_raised(rule, finding)
            )
            made.append(Remedy(remedy, surely or None, rules))
    return tuple(sorted(made, key=lambda one: -(one.gain or 0)))


def _remedied(rule: Rule, finding: Finding, remedy: str, *, perhaps: bool) -> Finding:
    """The finding once something was done, where it is about that."""
    if finding.remedy != remedy:
        return finding
    if finding.reach == UNKNOWN_REACH and not perhaps:
        return finding
    return replace(finding, points=max(finding.points, _reach(rule, finding)), limit=None)


def _confidence(judged: Judged, axis: str | None = None) -> int:
    """Per cent of the weight, of all rules or of those of an axis, whose facts are known."""
    rules = [rule for rule in RULES if axis in (None, rule.axis)]
    unknown = sum(rule.weight for rule, finding in judged if rule in rules and not finding.known)
    whole = sum(rule.weight for rule in rules)
    return 100 * (whole - unknown) // whole


def _axis(judged: Judged, points: tuple[Point, ...], axis: str) -> Axis:
    limiting = {rule.id for rule in RULES if rule.limits}
    own = [point for point in points if point.axis == axis]
    return Axis(
        points=sum(point.points for point in own if point.rule not in limiting),
        maximum=sum(rule.maximum for rule in RULES if rule.axis == axis),
        cut=sum(point.points for point in own if point.rule in limiting),
        confidence=_confidence(judged, axis),
    )
