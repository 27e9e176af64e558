"""Facts to judge, made short."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import Health, HealthFacts, Point, health
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.versions import sortable
from pyf_scrapy.parsers.records import Metadata, ProjectRecord, RepositoryRecord, Vulnerability

NOW = date(2026, 9, 1)
EMPTY = Metadata("demo", "1.0")
#: All that PyPI can tell in favour of a package.
GOOD = replace(
    EMPTY,
    author_email="Ada Example <ada@example.org>",
    license_expression="MIT",
    classifiers=("Framework :: Plone", "Framework :: Plone :: 6.0", "Topic :: Internet"),
    project_urls={"Documentation": "https://docs.example.org/demo"},
)
GOOD_DESCRIPTION = Description(
    html='<img src="https://example.org/screenshot.png" width="800">', main_content="word " * 500
)


def days_ago(days: int, hour: int = 23) -> int:
    """A moment of the day so many before NOW, in epoch seconds."""
    moment = datetime(NOW.year, NOW.month, NOW.day, hour, 59, 59, tzinfo=UTC) - timedelta(days=days)
    return int(moment.timestamp())


def release(
    metadata: Metadata = EMPTY,
    upload_time: int | None = None,
    *,
    version: str = "1.0",
    yanked: bool = False,
    partial: bool = False,
) -> Release:
    return Release(
        version=version,
        metadata=metadata,
        files=(),
        partial=partial,
        yanked=yanked,
        yanked_reason=None,
        upload_time=upload_time,
        sortable=sortable(version, yanked=yanked),
    )


def project(*vulnerabilities: Vulnerability, **known: Any) -> ProjectRecord:
    return ProjectRecord("demo", "demo", "1.0", 1, EMPTY, vulnerabilities=vulnerabilities, **known)


def repository(**known: Any) -> RepositoryRecord:
    return RepositoryRecord("R_1", "demo-org", "demo", **known)


#: A package with 100 points by PyPI, and one with 0.
BEST = HealthFacts((release(GOOD, days_ago(1)),), GOOD_DESCRIPTION, project=project(), status="active")
WORST = HealthFacts((release(),), Description())


def judge(facts: HealthFacts, **changed: Any) -> Health:
    """The health on NOW of facts with some of them changed."""
    return health(replace(facts, **changed), NOW)


def point(found: Health, rule: str) -> Point:
    """The one point of a rule."""
    (only,) = [one for one in found.points if one.rule == rule]
    return only
