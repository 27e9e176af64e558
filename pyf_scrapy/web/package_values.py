"""What the page of a package says, from what is known of it: words, order, figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pyf_scrapy.metadata.health.explanation import advice, explained
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.cleaning import url
from pyf_scrapy.web.drawing import Bar, bars
from pyf_scrapy.web.packages import Document, Known, by_extra
from pyf_scrapy.web.readme import shown
from pyf_scrapy.web.templating import duration

_FIGURES = (
    ("github_stars", "stars"),
    ("github_watchers", "watchers"),
    ("github_forks", "forks"),
    ("github_open_issues", "open issues"),
    ("github_open_pull_requests", "open pull requests"),
)
_PROOFS = {
    "attested": "PyPI attests that releases are published from it.",
    "named": "The repository names this package.",
    "claimed": "Only the package says that it is its own.",
}
#: (field, what it is called, days that it is of)
_PERIODS = (
    ("download_last_day", "last day", 1),
    ("download_last_week", "last week", 7),
    ("download_last_month", "last month", 30),
)


def package_values(
    found: Known, releases: Sequence[Document], profile: Profile, now: datetime
) -> dict[str, Any]:
    """The values of the template package.html."""
    latest = found.latest
    breakdown = latest.get("health_score_breakdown") or {}
    age = None if found.repository_at is None else max(int(now.timestamp()) - found.repository_at, 0)
    return {
        "p": found,
        "all_releases": releases,
        "dependencies": by_extra(found.dependencies),
        "licence": latest.get("license_expression") or latest["license"],
        "marks": list(_marks(latest)),
        "breakdown": breakdown if breakdown.get("points") and breakdown.get("axes") else None,
        "explained": list(explained(breakdown, latest["health_score"])) if breakdown else [],
        "advice": advice(breakdown),
        "readme": shown(latest["description"]),
        "addresses": list(_addresses(latest)),
        "repository_figures": _FIGURES,
        "repository_age": f"{duration(age)} ago" if age is not None else "",
        "proof": _PROOFS.get(latest.get("github_proof", ""), ""),
        "downloads": _downloads(latest),
        "badge": f"/p/{profile.collection}/packages/{latest['name_normalized']}/badge.svg",
    }


def _marks(latest: Document) -> Iterator[str]:
    if latest["yanked"]:
        reason = latest.get("yanked_reason")
        yield f"yanked: {reason}" if reason else "yanked"
    if latest["is_prerelease"]:
        yield "pre-release"
    if latest.get("project_status"):
        yield str(latest["project_status"])


def _addresses(latest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each address once, http and https only, with the label that its authors gave it first."""
    labels = latest.get("project_urls") or {}
    labelled = [
        *labels.items(),
        ("Home page", latest.get("home_page")),
        ("Documentation", latest.get("docs_url")),
        ("Bug tracker", latest.get("bugtrack_url")),
        ("Download", latest.get("download_url")),
        ("PyPI", latest.get("package_url")),
    ]
    seen = {""}
    for label, value in labelled:
        address = url(value)
        if address not in seen:
            seen.add(address)
            yield label, address


def _downloads(latest: Document) -> list[Bar]:
    """Downloads a day in the periods that the source counts, so that they can be compared."""
    return bars([(title, latest[field] / days) for field, title, days in _PERIODS if field in latest])
