"""The health score of a package, 0 to 100, by what PyPI knows: recency, documentation, metadata.

The points and the wording of problems are those of pyf.aggregator, whose front ends show them; where it
misjudged, this follows the standards: licences by PEP 639, authors by PEP 621, links by PEP 753, and lengths
counted on plain text. The score is the sum of the points of its three parts, whose maxima sum to 100.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from pyf_scrapy.metadata import documentation
from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.parsers.project_json import Metadata

# Age in whole days from which a release counts so many points less, and what is said of it.
_AGES = (
    (1825, 0, "last release over 5 years ago"),
    (1095, 5, "last release over 3 years ago"),
    (730, 10, "last release over 2 years ago"),
    (365, 20, "last release over 1 year ago"),
    (180, 30, "last release over 6 months ago"),
)
_RECENCY, _DOCUMENTATION, _METADATA = 40, 30, 30
_DESCRIPTION, _DOCUMENTATION_LINK, _PROJECT_URL, _SCREENSHOT = 18, 4, 3, 5
_PERSON, _LICENSE, _CLASSIFIERS = 10, 10, 10

MIN_DESCRIPTION = 150  # characters
MIN_WORDS = 500
MIN_CLASSIFIERS = 3
# A run keeps the date of its start for days; uploads made meanwhile are not from the future.
DAYS_AHEAD = 7

_EPOCH = date(1970, 1, 1)
_SECONDS_A_DAY = 86_400
_WORD = re.compile(r"[^\W_]+")
_NOTHING = {"unknown", "none", "null", "na", "n", "a", "todo", "tbd"}


class Health(Struct, frozen=True):
    """A score from 0 to 100 and where it comes from.

    `breakdown` has a dictionary each for "recency", "documentation" and "metadata": `points` (they sum to the
    score), `max_points`, `problems` (strings) and `bonuses` (dictionaries with `reason` and `points`).
    """

    score: int
    breakdown: dict[str, Any]


def health(releases: Sequence[Release], description: Description | None, now: date) -> Health:
    """Score a package by its known releases, the description of the latest one, and the date of today.

    `description` is None when it could not be rendered. Raises ValueError when there is no release.
    """
    latest = max(releases, key=lambda release: release.sortable)
    breakdown = {
        "recency": _recency(latest, releases, now),
        "documentation": _documentation(latest.metadata, description),
        "metadata": _metadata(latest.metadata),
    }
    return Health(sum(part["points"] for part in breakdown.values()), breakdown)


def _recency(latest: Release, releases: Iterable[Release], now: date) -> dict[str, Any]:
    """Judge the newest upload that is not yanked, of whichever version: a maintenance release is one too."""
    if latest.yanked:  # there is nothing else to install
        return _part(0, _RECENCY, ["latest release is yanked"])
    today = (now - _EPOCH).days
    ages = [
        today - release.upload_time // _SECONDS_A_DAY
        for release in releases
        if release.upload_time is not None and release.upload_time > 0 and not release.yanked
    ]
    past = [age for age in ages if age >= -DAYS_AHEAD]
    if not past:
        problem = "release timestamp is in the future" if ages else "no release timestamp"
        return _part(0, _RECENCY, [problem])
    for days, points, problem in _AGES:
        if min(past) >= days:
            return _part(points, _RECENCY, [problem])
    return _part(_RECENCY, _RECENCY, [])


def _documentation(metadata: Metadata, description: Description | None) -> dict[str, Any]:
    points = 0
    problems = []
    bonuses = []
    characters, words = documentation.text_size(metadata, description)
    if characters >= MIN_DESCRIPTION:
        points += _DESCRIPTION
    else:
        problems.append(f"description too short (<{MIN_DESCRIPTION} chars)")
    has_link = documentation.has_documentation_link(metadata)
    has_url = has_link or documentation.has_homepage(metadata)
    if words < MIN_WORDS and not has_url:
        problems.append(
            f"not enough documentation (extend README to {MIN_WORDS}+ words or add documentation link)"
        )
    for earned, reason, bonus in (
        (has_link, "has dedicated docs URL", _DOCUMENTATION_LINK),
        (has_url, "has documentation project URL", _PROJECT_URL),
        (
            description is not None and documentation.has_screenshot(description.html),
            "has meaningful screenshots",
            _SCREENSHOT,
        ),
    ):
        if earned:
            bonuses.append({"reason": reason, "points": bonus})
    return _part(points, _DOCUMENTATION, problems, bonuses)


def _metadata(metadata: Metadata) -> dict[str, Any]:
    points = 0
    problems = []
    people = (metadata.maintainer, metadata.author, metadata.maintainer_email, metadata.author_email)
    if any(map(_says_something, people)):
        points += _PERSON
    else:
        problems += ["no maintainer info", "no author info"]
    licences = (metadata.license_expression, metadata.license)
    if any(map(_says_something, licences)) or any(
        classifier.startswith("License ::") for classifier in metadata.classifiers
    ):
        points += _LICENSE
    else:
        problems.append("no license")
    if len(set(metadata.classifiers)) >= MIN_CLASSIFIERS:
        points += _CLASSIFIERS
    else:
        problems.append(f"fewer than {MIN_CLASSIFIERS} classifiers")
    return _part(points, _METADATA, problems)


def _part(
    points: int, max_points: int, problems: list[str], bonuses: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return a part of the breakdown; bonuses are part of its points."""
    return {
        "points": points + sum(bonus["points"] for bonus in bonuses),
        "max_points": max_points,
        "problems": problems,
        "bonuses": list(bonuses),
    }


def _says_something(text: str | None) -> bool:
    """Tell whether a text has a word besides placeholders ("UNKNOWN", "n/a", "None <none>")."""
    return any(word.lower() not in _NOTHING for word in _WORD.findall((text or "")[:1000]))
