"""What is promised for thousands of repositories: few requests, few points, and a run that remembers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from pyf_scrapy.parsers.records import Metadata, ProjectRecord
from pyf_scrapy.replica import Options, ServiceOptions, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.store.records import PackageFacts
from tests.crawling import Place
from tests.github import enrich

REPOSITORIES, REQUESTS, POINTS = 20_000, 250, 1_000


def package(number: int) -> PackageFacts:
    """A package whose metadata name the replica's repository of that number, which names the package."""
    name = f"repo-{number}"
    metadata = Metadata(
        name=name,
        version="1.0",
        classifiers=("Framework :: Plone",),
        project_urls={"Source": f"https://github.com/load-{number}/repo-{number}"},
    )
    record = ProjectRecord(name, str(canonicalize_name(name)), "1.0", number, metadata, files={"1.0": ()})
    return PackageFacts(record, number, {}, at=int(time.time()))


@pytest.mark.soak
async def test_20000_repositories_by_graphql(tmp_path: Path, empty_index: Server) -> None:
    """Else a profile of that size takes days, or GitHub blocks the token."""
    services = ServiceOptions(extra_repositories=REPOSITORIES)
    with running_replica(Options(projects=10), services=services) as replica:
        # Contributors are a lane of their own: none of REST's budget is left for them here.
        place = Place(tmp_path / "data", replica.url, empty_index)
        replica.services(extra_repositories=REPOSITORIES, github_rest_limit=0)
        with place.store() as store:
            for start in range(1, REPOSITORIES + 1, 500):
                store.save_packages([package(number) for number in range(start, start + 500)])
        began = time.monotonic()
        crawled = await enrich(place, profile="plone")
        took = time.monotonic() - began
        asked = replica.statistics()["services"]["github-graphql"]
        with place.store() as store:
            keys = [f"github.com/load-{number}/repo-{number}" for number in range(1, REPOSITORIES + 1)]
            states = [age.state for age in store.repository_ages(keys).values()]
            dirty = store.status("plone").dirty
    print(
        f"soak: {REPOSITORIES:,} repositories by GraphQL: {asked['requests']} requests, "
        f"{asked['points']} points, {asked['limited']} limiting answers; "
        f"{crawled.figures['packages_indexed']:,} packages indexed, all in {took:.0f} s"
    )
    assert states == ["ok"] * REPOSITORIES
    assert asked["requests"] <= REQUESTS
    assert asked["points"] <= POINTS
    assert asked["after_limit"] == 0
    assert dirty == 0
