"""The rules of the health score: one table, of which that of docs/health.md is a copy.

A change of a rule, a threshold or a maximum raises VERSION, so that scores of different rules are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pyf_scrapy.metadata.health import limits, pypi, repository
from pyf_scrapy.metadata.health.facts import Case
from pyf_scrapy.metadata.health.finding import Finding

VERSION: Final = 1

AXES: Final = ("maintenance", "adoption", "documentation", "metadata", "security")
#: In place of an axis, for the end of the scale.
TOTAL: Final = "total"

#: Parts of pyf.aggregator's breakdown; their maxima make 100, what GitHub gives comes on top.
RECENCY, DOCUMENTATION, METADATA, GITHUB = "recency", "documentation", "metadata", "github"
PARTS: Final = (RECENCY, DOCUMENTATION, METADATA)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: what it asks and what it gives.

    `title` names it for people, `earns` says what it is about in docs/health.md. `part` is the part of
    pyf.aggregator's breakdown that its points and problems stand in, "" for none. `weight` is its share in
    the confidence. `bonus` is pyf.aggregator's word for points that it calls a bonus. `limits` = it gives
    nothing but bounds the whole.
    """

    id: str
    title: str
    axis: str
    part: str = ""
    maximum: int = 0
    weight: int
    earns: str
    source: str
    judge: Callable[[Case], Finding | None]
    bonus: str = ""
    limits: bool = False


def _at_least(steps: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{points} from {least:,}" for least, points in steps)


def _below(steps: Sequence[tuple[int, int]], unit: str) -> str:
    return ", ".join(f"{points} below {bound:,}{unit}" for bound, points in steps)


# (less than so many days old, points): from the other end, a release's age is what it has lost by.
_AGES = tuple(
    zip(
        (days for days, *_ in reversed(pypi.AGES)),
        (pypi.RECENCY, *(points for _, points, _ in reversed(pypi.AGES[1:]))),
        strict=True,
    )
)

#: In the order in which they are explained; limits come last, the lowest at the end, and each takes what is
#: above it.
RULES: Final = (
    Rule(
        id="recency",
        title="latest upload",
        axis="maintenance",
        part=RECENCY,
        maximum=pypi.RECENCY,
        weight=pypi.RECENCY,
        earns=f"age of the newest upload that is not yanked: {_below(_AGES, ' days')}; "
        "none when the latest release is yanked",
        source="PyPI",
        judge=pypi.recency,
    ),
    Rule(
        id="description",
        title="README",
        axis="documentation",
        part=DOCUMENTATION,
        maximum=pypi.DESCRIPTION,
        weight=pypi.DESCRIPTION,
        earns=f"{pypi.MIN_DESCRIPTION} characters of plain text",
        source="PyPI",
        judge=pypi.description,
    ),
    Rule(
        id="documentation-link",
        title="link to documentation",
        axis="documentation",
        part=DOCUMENTATION,
        maximum=pypi.DOCUMENTATION_LINK,
        weight=pypi.DOCUMENTATION_LINK,
        earns="a link with such a label (PEP 753) that leads further than the repository's front page",
        source="PyPI",
        judge=pypi.documentation_link,
        bonus="has dedicated docs URL",
    ),
    Rule(
        id="project-url",
        title="web site",
        axis="documentation",
        part=DOCUMENTATION,
        maximum=pypi.PROJECT_URL,
        weight=pypi.PROJECT_URL,
        earns="the same, or a home page of its own",
        source="PyPI",
        judge=pypi.project_url,
        bonus="has documentation project URL",
    ),
    Rule(
        id="screenshot",
        title="screenshot",
        axis="documentation",
        part=DOCUMENTATION,
        maximum=pypi.SCREENSHOT,
        weight=pypi.SCREENSHOT,
        earns="an image in the README that is no badge or logo; judged by its HTML, never fetched",
        source="PyPI",
        judge=pypi.screenshot,
        bonus="has meaningful screenshots",
    ),
    Rule(
        id="person",
        title="author or maintainer",
        axis="metadata",
        part=METADATA,
        maximum=pypi.PERSON,
        weight=pypi.PERSON,
        earns="somebody is named, also in an address (PEP 621); UNKNOWN is nobody",
        source="PyPI",
        judge=pypi.person,
    ),
    Rule(
        id="license",
        title="licence",
        axis="metadata",
        part=METADATA,
        maximum=pypi.LICENSE,
        weight=pypi.LICENSE,
        earns="an expression (PEP 639), a text or a classifier; UNKNOWN is none",
        source="PyPI",
        judge=pypi.licence,
    ),
    Rule(
        id="classifiers",
        title="classifiers",
        axis="metadata",
        part=METADATA,
        maximum=pypi.CLASSIFIERS,
        weight=pypi.CLASSIFIERS,
        earns=f"{pypi.MIN_CLASSIFIERS} different ones",
        source="PyPI",
        judge=pypi.classifiers,
    ),
    Rule(
        id="stars",
        title="stars",
        axis="adoption",
        part=GITHUB,
        maximum=repository.STARS,
        weight=repository.STARS,
        earns=f"of the proven repository: {_at_least(repository.STAR_STEPS)}",
        source="GitHub",
        judge=repository.stars,
    ),
    Rule(
        id="activity",
        title="last push",
        axis="maintenance",
        part=GITHUB,
        maximum=repository.ACTIVITY,
        weight=repository.ACTIVITY,
        earns=f"to the proven repository: {_below(repository.PUSH_STEPS, ' days')}",
        source="GitHub",
        judge=repository.activity,
    ),
    Rule(
        id="issues",
        title="open issues",
        axis="maintenance",
        part=GITHUB,
        maximum=repository.ISSUES,
        weight=repository.ISSUES,
        earns=f"of the proven repository, from {repository.MIN_STARS} stars on, in per cent of the stars: "
        f"{_below(repository.ISSUE_STEPS, ' %')}",
        source="GitHub",
        judge=repository.issues,
    ),
    Rule(
        id="repository",
        title="repository",
        axis="security",
        weight=0,
        earns="only said: which one, and by what proof",
        source="PyPI, GitHub",
        judge=repository.link,
    ),
    Rule(
        id="downloads",
        title="downloads",
        axis="adoption",
        weight=0,
        earns="only said: robots download, too",
        source="pypistats, clickpy",
        judge=repository.downloads,
    ),
    Rule(
        id="owners",
        title="owners",
        axis="maintenance",
        weight=0,
        earns="only said: how many people may release it, which organization owns it",
        source="PyPI",
        judge=pypi.owners,
    ),
    Rule(
        id="ceiling",
        title="end of the scale",
        axis=TOTAL,
        weight=0,
        earns=f"at most {limits.MOST} in all",
        source="these rules",
        judge=limits.ceiling,
        limits=True,
    ),
    Rule(
        id="advisories",
        title="known vulnerabilities",
        axis="security",
        part=METADATA,
        weight=10,
        earns=f"at most {limits.MOST_WITH_ADVISORY} in all with an advisory, not withdrawn, on the "
        "latest release",
        source="PyPI",
        judge=limits.advisories,
        limits=True,
    ),
    Rule(
        id="archived",
        title="archived",
        axis="maintenance",
        part=RECENCY,
        weight=10,
        earns=f"at most {limits.MOST_ARCHIVED} in all when PyPI marks it as archived or deprecated, or its "
        "proven repository is archived",
        source="PyPI, GitHub",
        judge=limits.archived,
        limits=True,
    ),
    Rule(
        id="quarantined",
        title="quarantined",
        axis="security",
        part=METADATA,
        weight=0,
        earns=f"at most {limits.MOST_QUARANTINED} in all",
        source="PyPI",
        judge=limits.quarantined,
        limits=True,
    ),
    Rule(
        id="removed",
        title="gone from PyPI",
        axis="maintenance",
        part=RECENCY,
        weight=0,
        earns=f"at most {limits.MOST_REMOVED} in all",
        source="PyPI",
        judge=limits.removed,
        limits=True,
    ),
)
TITLES: Final = {rule.id: rule.title for rule in RULES}
