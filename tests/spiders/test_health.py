"""`scrapy crawl health` end to end: packages grow older without any news, and the documents have to tell.

If these fail, a package that nobody touched for years keeps the score of the day it was indexed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.search.collections import iter_documents
from pyf_scrapy.search.documents import CALCULATED
from pyf_scrapy.spiders import store_spider
from tests.crawling import Place

OPTIONS = Options(
    projects=60, members={"plone": 30, "django": 6}, only_members=True, most_releases=4, empty=0, missing=0
)
PLONE = "Framework :: Plone"
YEARS = 12


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def travel(patched: pytest.MonkeyPatch, years: int) -> date:
    """Let crawls believe that it is so many years later; their date."""
    moment = datetime.now(UTC) + timedelta(days=366 * years)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment

    patched.setattr(store_spider, "datetime", Later)
    return moment.date()


def scores(place: Place, alias: str = "plone") -> dict[str, int]:
    return {id_: d["health_score"] for id_, d in place.documents(alias).items() if "health_score" in d}


def recency(place: Place, alias: str = "plone") -> dict[str, int]:
    documents = place.documents(alias).items()
    return {
        id_: d["health_score_breakdown"]["recency"]["points"] for id_, d in documents if "health_score" in d
    }


async def test_old_packages_lose_points_without_a_request(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone,django")
    others, before, points = scores(place, "django"), scores(place), recency(place)
    assert max(points.values()) > 0
    replica.reset()
    travel(monkeypatch, YEARS)
    crawled = await place.crawl("health", profile="plone")
    assert (crawled.outcome.exit_code, crawled.outcome.headline) == (0, "Done.")
    assert replica.statistics()["total"] == 0
    after = scores(place)
    assert after.keys() == before.keys()
    assert all(after[id_] <= before[id_] for id_ in before)
    assert set(recency(place).values()) == {0}
    lost = {id_ for id_ in before if after[id_] < before[id_]}
    assert lost >= {id_ for id_, had in points.items() if had}
    assert crawled.figures["documents_sent"] >= len(lost)
    assert scores(place, "django") == others, "only what was asked for"


async def test_nothing_is_sent_when_nothing_changed(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    for years in (0, YEARS, YEARS):
        travel(monkeypatch, years)
        crawled = await place.crawl("health", profile="plone")
    assert crawled.figures["passed_on"] == len(replica.replica.members(PLONE))
    assert (crawled.figures["documents_sent"], crawled.figures["documents_deleted"]) == (0, 0)


async def test_what_is_sent_is_dated_and_back_in_time_all_is_as_it_was(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score is a function of facts and the date: it depends on no run before."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    day = travel(monkeypatch, YEARS)
    await place.crawl("health", profile="plone")
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    with place.connection() as connection:
        dated = [d.get(CALCULATED) for d in iter_documents(connection.client, "plone-1")]
    assert midnight in dated
    monkeypatch.undo()
    await place.crawl("health", profile="plone")
    assert place.documents("plone") == before


async def test_one_package_and_a_collection_by_its_name(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", classifier=PLONE, collection="mine")
    before, points = scores(place, "mine"), recency(place, "mine")
    name = max(points, key=lambda id_: points[id_]).partition("==")[0]
    travel(monkeypatch, YEARS)
    assert (await place.crawl("health", collection="mine", name=name)).figures["passed_on"] == 1
    changed = {id_ for id_, score in scores(place, "mine").items() if score != before[id_]}
    assert changed
    assert {id_.partition("==")[0] for id_ in changed} == {name}
    await place.crawl("health", collection="mine")
    assert set(recency(place, "mine").values()) == {0}
