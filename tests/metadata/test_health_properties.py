"""What holds of every health score. If these fail, an explanation does not add up, or doing right costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import RULES, VERSION, HealthFacts, health
from pyf_scrapy.metadata.health.facts import DAYS_AHEAD
from pyf_scrapy.metadata.health.rules import AXES, PARTS, TOTAL
from pyf_scrapy.parsers.records import (
    DownloadCounts,
    Metadata,
    ProjectRecord,
    RepositoryRecord,
    Role,
    Vulnerability,
)

from .health_cases import NOW, days_ago, judge, project, release

SHAPE = {"points", "max_points", "problems", "bonuses"}
GITHUB_KEYS = {"github_stars_bonus", "github_activity_bonus", "github_issue_bonus", "github_bonus_total"}
OWN_KEYS = {"caps", "version", "confidence", "axes", "points", "remedies"}
IMAGE = '<img src="https://example.org/screenshot.png" width="800">'

texts = st.one_of(st.none(), st.sampled_from(["UNKNOWN", "", "Ada", "MIT"]), st.text(max_size=8))
urls = st.one_of(texts.filter(bool), st.sampled_from(["https://a.example", "https://github.com/a/b"]))
labels = st.sampled_from(["Homepage", "Documentation", "Source", "docs", "x"])
prose = st.sampled_from(["", "word", "word " * 200, "word " * 600])
moments = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2500).map(days_ago))
#: Below and above every threshold, and what nobody has.
counts = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 3, 9, 10, 49, 50, 99, 100, 499, 500, 999, 1000]),
    st.integers(0, 10**9),
)
flags = st.sampled_from([None, False, True])

metadata = st.builds(
    Metadata,
    name=st.just("demo"),
    version=st.just("1.0"),
    author=texts,
    author_email=texts,
    license=texts,
    license_expression=texts,
    classifiers=st.lists(st.sampled_from(["A", "B", "License :: X", "D"])).map(tuple),
    project_urls=st.one_of(st.none(), st.dictionaries(labels, urls)),
    home_page=texts,
    docs_url=texts,
    description=prose,
)
advisories = st.builds(
    Vulnerability,
    id=st.sampled_from(["", "GHSA-1", "PYSEC-2"]),
    withdrawn=st.sampled_from([None, "2026-01-01"]),
)
projects = st.builds(
    ProjectRecord,
    name=st.just("demo"),
    normalized_name=st.just("demo"),
    version=st.just("1.0"),
    serial=st.just(1),
    metadata=st.just(Metadata("demo", "1.0")),
    vulnerabilities=st.one_of(st.none(), st.lists(advisories, max_size=3).map(tuple)),
    organization=texts,
    roles=st.one_of(st.none(), st.just((Role("Owner", "ada"),))),
)
repositories = st.builds(
    RepositoryRecord,
    node_id=st.just("R_1"),
    owner=st.just("demo-org"),
    name=st.just("demo"),
    archived=flags,
    disabled=flags,
    fork=flags,
    pushed_at=moments,
    stars=counts,
    open_issues=counts,
    open_issues_and_pulls=counts,
)


@st.composite
def facts(draw: st.DrawFn) -> HealthFacts:
    said = draw(metadata)
    uploads = draw(
        st.lists(
            st.tuples(st.sampled_from(["1.0", "1.1", "2.0a1", "x"]), moments, st.booleans()),
            min_size=1,
            max_size=4,
            unique_by=lambda upload: upload[0],
        )
    )
    partial = draw(st.sampled_from([False, False, False, True]))
    return HealthFacts(
        tuple(
            release(said, time, version=version, yanked=yanked, partial=partial)
            for version, time, yanked in uploads
        ),
        draw(st.one_of(st.none(), st.builds(Description, html=st.text(), title=prose, main_content=prose))),
        project=draw(st.one_of(st.none(), projects)),
        status=draw(st.sampled_from([None, "active", "archived", "deprecated", "quarantined", "?"])),
        removed=draw(st.sampled_from([False, False, True])),
        repository=draw(st.one_of(st.none(), repositories)),
        repository_url=draw(st.sampled_from([None, "https://github.com/demo-org/demo"])),
        proof=draw(st.sampled_from([None, "claimed", "named", "attested", "?"])),
        repository_at=draw(st.sampled_from([None, days_ago(2)])),
        downloads=draw(st.one_of(st.none(), st.just(DownloadCounts("pypistats", days_ago(1), 1, 7, 30)))),
    )


every = settings(max_examples=100)


@every
@given(facts())
def test_the_points_are_the_score(known: HealthFacts) -> None:
    found = judge(known)
    assert 0 <= found.score <= 100
    assert 0 <= found.confidence <= 100
    assert found.score == sum(point.points for point in found.points)
    rules = {rule.id: rule for rule in RULES}
    assert [point.rule for point in found.points] == [id_ for id_ in rules if id_ in _rules(found.points)]
    for point in found.points:
        rule = rules[point.rule]
        assert (point.axis, point.maximum, point.source) == (rule.axis, rule.maximum, rule.source)
        assert point.points <= 0 if rule.limits else 0 <= point.points <= point.maximum
        assert point.evidence
        assert point.evidence.isprintable()
        assert len(point.evidence) <= 200
        assert not point.remedy or rule.limits or point.points < point.maximum
    assert {rule.id for rule in RULES if rule.maximum} <= _rules(found.points)


def _rules(points: Any) -> set[str]:
    return {point.rule for point in points}


@every
@given(facts())
def test_the_breakdown_sums_to_the_score(known: HealthFacts) -> None:
    """In the shape that pyf.aggregator's front ends read, and as plain JSON."""
    found = judge(known)
    made = found.breakdown
    parts = [made[name] for name in PARTS]
    caps = sum(cap["points"] for cap in made["caps"])
    assert sum(part["points"] for part in parts) + made.get("github_bonus_total", 0) + caps == found.score
    assert sum(part["max_points"] for part in parts) == 100
    assert {*PARTS, *OWN_KEYS} <= set(made) <= {*PARTS, *OWN_KEYS, *GITHUB_KEYS}
    for part in parts:
        assert set(part) == SHAPE
        assert type(part["points"]) is int
        bonuses = sum(bonus["points"] for bonus in part["bonuses"] if isinstance(bonus, dict))
        assert bonuses <= part["points"] <= part["max_points"]
        assert all(isinstance(problem, str) for problem in part["problems"])
    bonus = [made[key] for key in sorted(GITHUB_KEYS - {"github_bonus_total"}) if key in made]
    assert all(points > 0 for points in bonus)
    assert sum(bonus) == made.get("github_bonus_total", 0)
    assert sum(point["points"] for point in made["points"]) == found.score
    assert (made["version"], made["confidence"]) == (VERSION, found.confidence)
    assert json.loads(json.dumps(made)) == made


@every
@given(facts())
def test_axes_are_the_same_points_by_another_order(known: HealthFacts) -> None:
    found = judge(known)
    ends = sum(point.points for point in found.points if point.axis == TOTAL)
    assert tuple(found.axes) == AXES
    assert sum(axis.points + axis.cut for axis in found.axes.values()) + ends == found.score
    assert sum(axis.maximum for axis in found.axes.values()) == 130
    for axis in found.axes.values():
        assert 0 <= axis.points <= axis.maximum
        assert axis.cut <= 0
        assert 0 <= axis.confidence <= 100


@every
@given(facts())
def test_remedies_promise_what_the_scale_has_room_for(known: HealthFacts) -> None:
    found = judge(known)
    gains = [remedy.gain for remedy in found.remedies]
    assert gains == sorted(gains, key=lambda gain: -(gain or 0))
    for remedy in found.remedies:
        assert remedy.gain is None or 0 < remedy.gain <= 100 - found.score
        assert remedy.rules
        assert all(point.remedy == remedy.remedy for point in found.points if point.rule in remedy.rules)


@every
@given(facts())
def test_equal_facts_make_equal_scores(known: HealthFacts) -> None:
    """Also after a round trip through a store, and in whatever order the releases come."""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=HealthFacts)
    assert judge(again) == judge(known) == judge(known, releases=known.releases[::-1])


@every
@given(facts())
def test_what_is_unknown_to_the_rules_changes_nothing(known: HealthFacts) -> None:
    """PyPI and GitHub add keys as they like."""
    before = judge(known)
    plain = msgspec.to_builtins(known)
    plain["invented"] = {"stars": 5000}
    for place in (plain["releases"][0]["metadata"], plain["project"] or {}, plain["repository"] or {}):
        place["invented"] = True
    assert health(msgspec.convert(plain, HealthFacts), NOW) == before
    labelled = [
        replace(
            one, metadata=replace(one.metadata, project_urls={**(one.metadata.project_urls or {}), "Y": "y"})
        )
        for one in known.releases
    ]
    assert judge(known, releases=tuple(labelled)) == before


@every
@given(facts())
def test_what_is_not_known_is_neither_good_nor_bad(known: HealthFacts) -> None:
    """Who has no repository, advisories or downloads fetched yet must not be told apart by the score."""
    nothing = judge(known, repository=None, proof=None, repository_url=None, downloads=None)
    unproven = judge(known, proof="claimed", downloads=None)
    assert nothing.score == unproven.score
    assert nothing.confidence == unproven.confidence <= judge(known).confidence
    assert judge(known, downloads=None).score == judge(known).score


Change = Callable[[HealthFacts], HealthFacts]


def _told(**said: Any) -> Change:
    """All releases say this, too."""

    def changed(known: HealthFacts) -> HealthFacts:
        return replace(
            known,
            releases=tuple(replace(one, metadata=replace(one.metadata, **said)) for one in known.releases),
        )

    return changed


def _linked(known: HealthFacts) -> HealthFacts:
    urls_ = dict(known.releases[0].metadata.project_urls or {})
    return _told(project_urls=urls_ | {"Documentation": "https://docs.example.org"})(known)


def _classified(known: HealthFacts) -> HealthFacts:
    own = known.releases[0].metadata.classifiers
    return _told(classifiers=(*own, "License :: OSI Approved :: MIT License", "B", "C"))(known)


def _uploaded_later(known: HealthFacts) -> HealthFacts:
    """Each release a day later, up to what can have happened while a crawl runs."""

    def later(moment: int | None) -> int | None:
        latest = days_ago(-DAYS_AHEAD)
        return moment if moment is None or not 0 < moment <= latest else min(moment + 86_400, latest)

    return replace(
        known, releases=tuple(replace(one, upload_time=later(one.upload_time)) for one in known.releases)
    )


def _released(known: HealthFacts) -> HealthFacts:
    newest = release(known.releases[0].metadata, days_ago(0), version="9.0")
    return replace(known, releases=(newest, *known.releases)) if not known.releases[0].partial else known


def _written(known: HealthFacts) -> HealthFacts:
    text = known.description or Description(main_content=known.releases[0].metadata.description or "")
    return replace(known, description=replace(text, main_content=f"{text.main_content} word word"))


def _illustrated(known: HealthFacts) -> HealthFacts:
    text = known.description or Description(main_content=known.releases[0].metadata.description or "")
    return replace(known, description=replace(text, html=text.html + IMAGE))


def _fixed(known: HealthFacts) -> HealthFacts:
    vulnerabilities = known.project.vulnerabilities if known.project else None
    return replace(
        known, project=replace(known.project or project(), vulnerabilities=(vulnerabilities or ())[1:])
    )


def _withdrawn(known: HealthFacts) -> HealthFacts:
    if known.project is None or not known.project.vulnerabilities:
        return known
    all_ = tuple(replace(one, withdrawn="2026-08-01") for one in known.project.vulnerabilities)
    return replace(known, project=replace(known.project, vulnerabilities=all_))


def _of_repository(change: Callable[[RepositoryRecord], dict[str, Any]]) -> Change:
    def changed(known: HealthFacts) -> HealthFacts:
        if known.repository is None:
            return known
        return replace(known, repository=replace(known.repository, **change(known.repository)))

    return changed


def _proven(known: HealthFacts) -> HealthFacts:
    """One step better; that a repository turns out to be archived is bad news, not an improvement."""
    if known.repository is not None and known.repository.archived:
        return known
    better = {None: "claimed", "?": "claimed", "claimed": "named", "named": "attested"}
    return replace(known, proof=better.get(known.proof, known.proof))


IMPROVEMENTS: dict[str, Change] = {
    "a licence expression": _told(license_expression="MIT"),
    "a licence": _told(license="BSD"),
    "an author": _told(author="Ada"),
    "a maintainer's address": _told(maintainer_email="Ada <ada@example.org>"),
    "a docs URL": _told(docs_url="https://docs.example.org"),
    "a home page": _told(home_page="https://demo.example.org"),
    "a link to documentation": _linked,
    "classifiers": _classified,
    "later uploads": _uploaded_later,
    "a release": _released,
    "more words": _written,
    "a screenshot": _illustrated,
    "an advisory fixed": _fixed,
    "advisories withdrawn": _withdrawn,
    "active again": lambda known: replace(known, status="active"),
    "back on PyPI": lambda known: replace(known, removed=False),
    "unarchived": _of_repository(lambda _: {"archived": False}),
    "enabled": _of_repository(lambda _: {"disabled": False}),
    "no fork": _of_repository(lambda _: {"fork": False}),
    "one more star": _of_repository(lambda known: {"stars": (known.stars or 0) + 1}),
    "many more stars": _of_repository(lambda known: {"stars": (known.stars or 0) * 3 + 50}),
    "an issue closed": _of_repository(lambda known: {"open_issues": max((known.open_issues or 0) - 1, 0)}),
    "a push": _of_repository(lambda _: {"pushed_at": days_ago(0)}),
    "better proof": _proven,
}


@pytest.mark.parametrize("name", IMPROVEMENTS)
@settings(max_examples=40)
@given(known=facts())
def test_an_improvement_never_lowers_the_score(name: str, known: HealthFacts) -> None:
    assert judge(IMPROVEMENTS[name](known)).score >= judge(known).score


@every
@given(facts(), st.integers(1, 4000))
def test_waiting_never_raises_the_score(known: HealthFacts, days: int) -> None:
    """But for what lies in the future."""
    past = replace(
        known,
        releases=tuple(
            replace(one, upload_time=one.upload_time if (one.upload_time or 0) <= days_ago(0) else None)
            for one in known.releases
        ),
    )
    if past.repository is not None and (past.repository.pushed_at or 0) > days_ago(0):
        past = replace(past, repository=replace(past.repository, pushed_at=None))
    later = NOW.fromordinal(NOW.toordinal() + days)
    assert health(past, later).score <= judge(past).score


def test_a_package_without_releases_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="empty"):
        judge(HealthFacts((), None))


def test_the_table_is_coherent() -> None:
    assert len({rule.id for rule in RULES}) == len({rule.title for rule in RULES}) == len(RULES)
    assert sum(rule.maximum for rule in RULES if rule.part in PARTS) == 100
    for rule in RULES:
        assert rule.axis in {*AXES, TOTAL}
        assert rule.earns
        assert rule.weight == rule.maximum or rule.limits
