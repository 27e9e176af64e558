"""What limits the whole score, however good the rest is."""

from __future__ import annotations

from pyf_scrapy.metadata.health.facts import Case
from pyf_scrapy.metadata.health.finding import Finding, not_known, quoted
from pyf_scrapy.metadata.health.repository import CLOSED, is_archived, unarchive

MOST = 100
MOST_WITH_ADVISORY = 40
MOST_ARCHIVED = 20
MOST_QUARANTINED = 0
MOST_REMOVED = 0

#: PyPI's markers (PEP 792); others are not understood, so they are not known.
ACTIVE, QUARANTINED = "active", "quarantined"
_NAMED = 3  # advisories


def ceiling(case: Case) -> Finding:
    """The scale ends at 100, whatever GitHub adds."""
    return Finding(0, f"the scale ends at {MOST}", limit=MOST)


def advisories(case: Case) -> Finding:
    """An advisory on the latest release that is not withdrawn. PyPI does not tell how grave it is."""
    known = case.facts.project.vulnerabilities if case.facts.project is not None else None
    if known is None:
        return not_known("PyPI's advisories are not known")
    names = list(dict.fromkeys(one.id or "without a number" for one in known if not one.withdrawn))
    if not names:
        return Finding(0, "none for the latest release")
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = f"{', '.join(quoted(name) for name in names[:_NAMED])}{more}"
    return Finding(
        0,
        f"{said}: at most {MOST_WITH_ADVISORY}",
        "release a version without the known vulnerability",
        problems=("known vulnerability in the latest release",),
        limit=MOST_WITH_ADVISORY,
    )


def archived(case: Case) -> Finding:
    """PyPI's marker or the proven repository says that nobody works on it any more."""
    status = case.facts.status
    marked, closed = status in CLOSED, is_archived(case)
    if marked or closed:
        said = [f"{status} on PyPI"] * marked + ["its repository is archived"] * closed
        return Finding(
            0,
            f"{', '.join(said)}: at most {MOST_ARCHIVED}",
            unarchive(case),
            problems=("project is archived",),
            fetched=case.facts.repository_at if closed and not marked else None,
            limit=MOST_ARCHIVED,
        )
    if status not in {ACTIVE, QUARANTINED}:
        return not_known("PyPI's marker is not known")
    return Finding(0, "not known to be archived")


def quarantined(case: Case) -> Finding | None:
    """PyPI holds the project back, as it may be malicious."""
    if case.facts.status != QUARANTINED:
        return None
    return Finding(
        0,
        f"quarantined on PyPI: at most {MOST_QUARANTINED}",
        "have PyPI's administrators lift the quarantine",
        problems=("project is quarantined",),
        limit=MOST_QUARANTINED,
    )


def removed(case: Case) -> Finding | None:
    """There is nothing to install any more."""
    if not case.facts.removed:
        return None
    evidence = f"gone from PyPI: at most {MOST_REMOVED}"
    return Finding(0, evidence, problems=("project is gone from PyPI",), limit=MOST_REMOVED)
