"""What PyPI tells of a package's health: its newest upload, its texts and links, its metadata.

The points and the wording of problems are those of pyf.aggregator, whose front ends show them; where it
misjudged, this follows the standards: licences by PEP 639, authors by PEP 621, links by PEP 753, and lengths
counted on plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps

from pyf_scrapy.dates import day
from pyf_scrapy.metadata import documentation
from pyf_scrapy.metadata.health.facts import DAYS_AHEAD, Case
from pyf_scrapy.metadata.health.finding import Finding, counted, not_known, quoted

# Age in whole days from which a release counts so many points less, and what is said of it.
AGES = (
    (1825, 0, "last release over 5 years ago"),
    (1095, 5, "last release over 3 years ago"),
    (730, 10, "last release over 2 years ago"),
    (365, 20, "last release over 1 year ago"),
    (180, 30, "last release over 6 months ago"),
)
RECENCY = 40
DESCRIPTION, DOCUMENTATION_LINK, PROJECT_URL, SCREENSHOT = 18, 4, 3, 5
PERSON, LICENSE, CLASSIFIERS = 10, 10, 10

MIN_DESCRIPTION = 150  # characters
MIN_WORDS = 500
MIN_CLASSIFIERS = 3

_RELEASE = "release a new version"
_LINK = 'link the documentation as "Documentation" in project.urls'
_WORD = re.compile(r"[^\W_]+")
_NOTHING = {"unknown", "none", "null", "na", "n", "a", "todo", "tbd"}

Judge = Callable[[Case], Finding]


def recency(case: Case) -> Finding:
    """Judge the newest upload that is not yanked, of whichever version: a maintenance release is one too."""
    if case.latest.yanked:  # there is nothing else to install
        problem = "latest release is yanked"
        return Finding(0, problem, "release a version that is not yanked", problems=(problem,))
    uploads = [
        release.upload_time
        for release in case.facts.releases
        if release.upload_time is not None and release.upload_time > 0 and not release.yanked
    ]
    past = [moment for moment in uploads if case.age(moment) >= -DAYS_AHEAD]
    if not past:
        problem = "release timestamp is in the future" if uploads else "no release timestamp"
        return Finding(0, problem, _RELEASE, known=False, problems=(problem,))
    newest = max(past)
    evidence = f"newest upload {day(newest)}"
    for days, points, problem in AGES:
        if case.age(newest) >= days:
            return Finding(points, evidence, _RELEASE, problems=(problem,), when=newest)
    return Finding(RECENCY, evidence, when=newest)


def _of_metadata(judge: Judge) -> Judge:
    """A rule that judges the metadata of the latest release, which PyPI may not have (`partial`)."""

    @wraps(judge)
    def judged(case: Case) -> Finding:
        if case.latest.partial:
            return not_known("PyPI has no metadata of the latest release")
        return judge(case)

    return judged


@_of_metadata
def description(case: Case) -> Finding:
    """Judge the length of the README as plain text."""
    characters, _ = case.text_size
    evidence = counted(characters, "character")
    if characters >= MIN_DESCRIPTION:
        return Finding(DESCRIPTION, evidence)
    return Finding(
        0,
        evidence,
        f"write a README of {MIN_DESCRIPTION} characters or more",
        problems=(f"description too short (<{MIN_DESCRIPTION} chars)",),
    )


@_of_metadata
def documentation_link(case: Case) -> Finding:
    """Judge whether documentation is linked; where it is not, the README has to be long."""
    link = documentation.documentation_link(case.metadata)
    if link:
        return Finding(DOCUMENTATION_LINK, quoted(link))
    _, words = case.text_size
    few = words < MIN_WORDS and not documentation.homepage(case.metadata)
    problem = f"not enough documentation (extend README to {MIN_WORDS}+ words or add documentation link)"
    return Finding(0, f"none; {counted(words, 'word')} of README", _LINK, problems=(problem,) if few else ())


@_of_metadata
def project_url(case: Case) -> Finding:
    """Judge whether there is any site beside PyPI and the repository: documentation or a home page."""
    site = documentation.documentation_link(case.metadata) or documentation.homepage(case.metadata)
    return Finding(PROJECT_URL, quoted(site)) if site else Finding(0, "none", _LINK)


@_of_metadata
def screenshot(case: Case) -> Finding:
    """Judge whether the README shows an image that is more than decoration."""
    rendered = case.facts.description
    source = documentation.screenshot(rendered.html) if rendered is not None else ""
    if source:
        return Finding(SCREENSHOT, quoted(source))
    return Finding(0, "none", "show a screenshot in the README, by its https address")


@_of_metadata
def person(case: Case) -> Finding:
    """Judge whether anybody is named; by PEP 621 names may stand in the addresses only."""
    said = case.metadata
    for text in (said.author, said.author_email, said.maintainer, said.maintainer_email):
        if text and _says_something(text):
            return Finding(PERSON, quoted(text))
    return Finding(
        0,
        "nobody named",
        "name an author or maintainer in project.authors",
        problems=("no maintainer info", "no author info"),
    )


@_of_metadata
def licence(case: Case) -> Finding:
    """Judge whether a licence is given, by PEP 639's expression, the old field or a classifier."""
    said = case.metadata
    named = (name for name in said.classifiers if name.startswith("License ::"))
    for text in (said.license_expression, said.license):
        if text and _says_something(text):
            return Finding(LICENSE, quoted(text))
    classifier = next(named, None)
    if classifier is not None:
        return Finding(LICENSE, quoted(classifier))
    return Finding(
        0, "none", "give the licence as an SPDX expression in project.license", problems=("no license",)
    )


@_of_metadata
def classifiers(case: Case) -> Finding:
    """Judge how many different classifiers there are."""
    number = len(set(case.metadata.classifiers))
    if number >= MIN_CLASSIFIERS:
        return Finding(CLASSIFIERS, str(number))
    return Finding(
        0,
        str(number),
        f"give {MIN_CLASSIFIERS} classifiers or more",
        problems=(f"fewer than {MIN_CLASSIFIERS} classifiers",),
    )


def owners(case: Case) -> Finding | None:
    """Say who may release it. None when PyPI does not tell."""
    project = case.facts.project
    if project is None or (project.roles is None and project.organization is None):
        return None
    people = len({role.user for role in project.roles or ()})
    said = [f"{people:,} people may release it" if people != 1 else "1 person may release it"]
    if project.organization is not None:
        said.append(f"owned by {quoted(project.organization)}")
    return Finding(0, ", ".join(said[project.roles is None :]))


def _says_something(text: str) -> bool:
    """Tell whether a text has a word besides placeholders ("UNKNOWN", "n/a", "None <none>")."""
    return any(word.lower() not in _NOTHING for word in _WORD.findall(text[:1000]))
