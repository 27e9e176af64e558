"""`scrapy crawl github` end to end: replica, store and Typesense are real.

If these fail, figures of the wrong repository are shown, or GitHub blocks whoever runs this.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.replica import Handle, Options, ServiceOptions, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place

PLONE = "Framework :: Plone"
OPTIONS = Options(
    projects=60, members={"plone": 30, "django": 6}, only_members=True, most_releases=4, empty=0, missing=0
)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def github(place: Place, replica: Handle, token: str | None = "one", **more: Any) -> dict[str, Any]:
    return {"GITHUB_API_URL": replica.github_url, "GITHUB_TOKEN": token, "GITHUB_REQUEST_DELAY": 0, **more}


def latest(place: Place, alias: str = "plone") -> dict[str, dict[str, Any]]:
    return {d["name_normalized"]: d for d in place.documents(alias).values() if d["is_latest"]}


async def test_facts_of_repositories_reach_the_documents(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone,django")
    replica.reset()
    crawled = await place.crawl("github", profile="plone,django", settings=github(place, replica))
    assert crawled.outcome.exit_code == 0
    services = replica.statistics()["services"]
    assert services["github-graphql"]["requests"] <= 3, "one request for many"
    truth = replica.replica.repositories
    shown = 0
    for name, document in {**latest(place), **latest(place, "django")}.items():
        repository = truth.of_project(name)
        if "github_url" not in document:
            continue
        shown += 1
        assert repository is not None
        assert document["github_url"].lower() == f"https://github.com/{repository.full_name}".lower()
        assert document["github_stars"] == repository.stars
        assert document["github_proof"] in ("attested", "named", "claimed")
    assert shown > 20
    again = await place.crawl("github", profile="plone,django", settings=github(place, replica))
    assert again.figures["documents_sent"] == 0
    assert replica.statistics()["services"]["github-graphql"]["requests"] == services["github-graphql"]["requests"]
