"""One crawl shared by several workers over a real Valkey: nothing is lost, little is fetched twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import Place, true_documents
from tests.queue.conftest import socket_folder, valkey  # noqa: F401  (fixtures)
from tests.queue.valkey import Valkey

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=150, members={"plone": 40}, most_releases=6, missing=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def shared(place: Place, valkey: Valkey) -> Place:  # noqa: F811
    place.extra["REDIS_URL"] = valkey.url
    return place


def fetched(replica: Handle) -> dict[str, int]:
    """How often the JSON of each project was asked for."""
    paths = replica.statistics(paths=True)["paths"]
    return {
        path: count for path, count in paths.items() if path.count("/") == 3 and path.startswith("/pypi/")
    }


async def test_one_worker_does_it_alone(shared: Place, replica: Handle) -> None:
    done = await shared.crawl("pypi", profile="plone")
    assert done.outcome.exit_code == 0, done.outcome
    assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)
    assert set(fetched(replica).values()) == {1}
    again = await shared.crawl("pypi", profile="plone")
    assert (again.outcome.exit_code, again.figures["fetched"]) == (0, 0)


async def test_workers_share_the_work_and_each_project_is_fetched_once(
    shared: Place, replica: Handle
) -> None:
    workers = await asyncio.gather(*(shared.crawl("pypi", profile="plone") for _ in range(3)))
    assert [worker.outcome.exit_code for worker in workers] == [0, 0, 0]
    assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)
    assert set(fetched(replica).values()) == {1}
    assert all(worker.figures["fetched"] > 10 for worker in workers), [w.figures for w in workers]
