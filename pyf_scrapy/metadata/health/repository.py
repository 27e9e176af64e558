"""What GitHub and the download counters tell. A repository counts only if it is proven to be the package's.

Anybody can link to a repository with many stars; therefore nothing of it counts by the package's word alone.
The steps are pyf.aggregator's, with two differences: work is a push (`updated_at` moves with each star), and
issues are judged from 10 stars on (1 star and no issue say nothing about how issues are looked after).
"""

from __future__ import annotations

from collections.abc import Callable

from pyf_scrapy.dates import day
from pyf_scrapy.metadata.health.facts import DAYS_AHEAD, Case
from pyf_scrapy.metadata.health.finding import (
    Finding,
    counted,
    not_known,
    quoted,
    steps_down,
    steps_up,
)
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import RepositoryRecord

STARS, ACTIVITY, ISSUES = 10, 10, 10
STAR_STEPS = ((1000, 10), (500, 7), (100, 5), (50, 3), (10, 1))  # at least so many, points
PUSH_STEPS = ((30, 10), (90, 7), (180, 5), (365, 3))  # less than so many days ago, points
ISSUE_STEPS = ((10, 10), (30, 7), (50, 5), (100, 3))  # open issues below this per cent of stars, points
MIN_STARS = 10  # for issues to be judged
GOOD_ISSUES = 5  # points from which pyf.aggregator calls it "good issue management"
LIMITED_ACTIVITY = 3  # points down to which it is a problem

#: PyPI's markers (PEP 792) that say that nobody works on it any more.
CLOSED = frozenset({"archived", "deprecated"})
PROVE = (
    "prove the repository: publish from it with attestations, name the package in its project file, or give "
    "the package's page on PyPI as its website"
)

_PROOFS: dict[str, str] = {
    Proof.ATTESTED: "uploads are attested to come from it",
    Proof.NAMED: "it names this package",
}
_NO_PROOF = "not proven, so nothing of it counts"

Worth = Callable[[RepositoryRecord, Case], Finding]


def unarchive(case: Case) -> str:
    """What to do about all that says "archived"; "" when nothing does."""
    steps = []
    if case.facts.status in CLOSED:
        steps.append("set the project on PyPI back to active")
    if is_archived(case):
        steps.append("unarchive the repository")
    return " and ".join(steps)


def is_archived(case: Case) -> bool:
    """Whether a repository that is proven to be the package's is archived."""
    return case.proven and case.facts.repository is not None and case.facts.repository.archived is True


def stars(case: Case) -> Finding:
    """Judge the stars of the proven repository."""
    return _bonus(case, _stars)


def activity(case: Case) -> Finding:
    """Judge when somebody last pushed to the proven repository."""
    return _bonus(case, _activity)


def issues(case: Case) -> Finding:
    """Judge the open issues (without pull requests) of the proven repository by its stars."""
    return _bonus(case, _issues)


def link(case: Case) -> Finding | None:
    """Say how sure it is which repository is the package's. None when no repository is known."""
    facts = case.facts
    if facts.repository is not None:
        name = quoted(f"{facts.repository.owner}/{facts.repository.name}")
    elif facts.repository_url:
        name = quoted(facts.repository_url)
    else:
        return None
    return Finding(0, f"{name}: {_PROOFS.get(facts.proof or '', _NO_PROOF)}", known=case.proven)


def downloads(case: Case) -> Finding | None:
    """Say how often it is downloaded; robots do so, too, so it earns nothing. None when it is not known."""
    counts = case.facts.downloads
    if counts is None:
        return None
    for number, span in (
        (counts.last_month, "in a month"),
        (counts.last_week, "in a week"),
        (counts.last_day, "in a day"),
        (counts.total, "in total"),
    ):
        if number is not None:
            return Finding(0, f"{number:,} {span} ({quoted(counts.source)})", fetched=counts.as_of)
    return None


def _bonus(case: Case, worth: Worth) -> Finding:
    """What a repository is worth, if it is the package's and in use."""
    repository = case.facts.repository
    if repository is None:
        linked = case.facts.repository_url is not None or case.facts.proof is not None
        return not_known("no facts of a repository", PROVE if linked and not case.proven else "")
    found = worth(repository, case)
    unused = repository.disabled is True or repository.fork is True
    if not case.proven:
        reach = 0 if unused or repository.archived else found.points
        return Finding(0, "the repository is not proven", PROVE, reach, known=False)
    if unused:
        why = "disabled" if repository.disabled else f"a fork of {quoted(repository.parent or 'another')}"
        return Finding(0, f"the repository is {why}", fetched=case.facts.repository_at)
    if repository.archived:
        return Finding(
            0, "the repository is archived", unarchive(case), found.points, fetched=case.facts.repository_at
        )
    return found


def _stars(repository: RepositoryRecord, case: Case) -> Finding:
    if repository.stars is None:
        return not_known("GitHub does not tell the stars")
    points = steps_up(STAR_STEPS, repository.stars)
    return Finding(points, counted(repository.stars, "star"), fetched=case.facts.repository_at)


def _activity(repository: RepositoryRecord, case: Case) -> Finding:
    pushed = repository.pushed_at
    if pushed is None or pushed <= 0 or case.age(pushed) < -DAYS_AHEAD:
        return not_known("GitHub does not tell the last push")
    points = steps_down(PUSH_STEPS, case.age(pushed))
    problems: tuple[str, ...] = ()
    if points == 0:
        problems = ("no GitHub activity in 1+ year",)
    elif points <= LIMITED_ACTIVITY:
        problems = ("limited GitHub activity (6+ months)",)
    return Finding(
        points, f"last push {day(pushed)}", "push work to the repository", problems=problems, when=pushed
    )


def _issues(repository: RepositoryRecord, case: Case) -> Finding:
    starred, number, noun = repository.stars, repository.open_issues, "open"
    if number is None:  # REST counts them together, and so does not flatter
        number, noun = repository.open_issues_and_pulls, "open, pull requests included"
    if starred is None or number is None:
        return not_known("GitHub does not tell the open issues")
    evidence = f"{number:,} {noun}; {counted(starred, 'star')}"
    fetched = case.facts.repository_at
    if starred < MIN_STARS:
        return Finding(0, f"{evidence}: too few stars to judge by", fetched=fetched)
    points = steps_down(ISSUE_STEPS, number * 100 // starred)
    few = (ISSUE_STEPS[0][0] * starred - 1) // 100
    return Finding(points, evidence, f"close issues until at most {few:,} are open", fetched=fetched)
