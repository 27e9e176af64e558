"""A crawled replica that the tests of the application share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle
from tests.crawling import Crawled, Place
from tests.github import TOKEN

OPTIONS = Options(
    projects=140,
    members={"plone": 60, "django": 30},
    only_members=True,
    missing=0,
    empty=0,
    most_releases=20,
    now=datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
)


async def filled(place: Place, replica: Handle) -> Crawled:
    """Crawl PyPI, GitHub and pypistats for two profiles."""
    settings: dict[str, Any] = {
        "GITHUB_API_URL": f"{place.pypi_url}/github",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REQUEST_DELAY": 0,
        "PYPISTATS_URL": replica.pypistats_url,
        "PYPISTATS_RATE_LIMIT_DELAY": 0,
        "CLICKPY_URL": replica.clickpy_url,
    }
    replica.services(pypistats_limits=False)
    crawled = await place.crawl("pypi", profile="plone,django")
    for spider in ("github", "pypistats"):
        await place.crawl(spider, profile="plone,django", settings=settings)
    return crawled
