"""`scrapy crawl pypi` end to end: replica, store and Typesense are real.

If these fail, a gallery misses packages or shows ones that are not there.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.scheduler import AHEAD
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.pypi import PypiSpider
from tests.crawling import Place, true_documents
from tests.middlewares.site import serving

PLONE, DJANGO, FLASK = "Framework :: Plone", "Framework :: Django", "Framework :: Flask"
SMALL = Options(
    projects=120, members={"plone": 12, "django": 8, "flask": 4}, only_members=True, most_releases=12
)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


async def test_one_crawl_fills_every_profile_and_fetches_each_project_once(
    place: Place, replica: Handle
) -> None:
    crawled = await place.crawl("pypi", profile="plone,django,flask")
    assert crawled.outcome.exit_code == 0
    for alias, classifier in (("plone", PLONE), ("django", DJANGO), ("flask", FLASK)):
        assert set(place.documents(alias)) == true_documents(replica.replica, classifier)
    asked = replica.statistics(paths=True)["paths"]
    assert {path: count for path, count in asked.items() if count > 1} == {}
    assert crawled.figures["fetched"] == 120

    replica.reset()
    again = await place.crawl("pypi", profile="plone,django,flask")
    assert list(replica.statistics(paths=True)["paths"]) == ["/simple/"]
    assert again.outcome.headline.startswith("Nothing to do")
    assert again.outcome.exit_code == 0


async def test_members_are_searchable_long_before_the_rest_is_checked(
    tmp_path: Path, empty_index: Server
) -> None:
    options = Options(
        projects=2000, members={"plone": 20}, only_members=True, unhinted=0, decoys=0.1, most_releases=3
    )
    with running_replica(options) as replica:
        place = Place(tmp_path, replica.url, empty_index)
        crawled = await place.crawl("pypi", profile="plone", limit="23")
        assert crawled.figures["fetched"] == 23
        assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_a_crawl_at_less_than_three_requests_a_second_does_not_stand_still(
    place: Place, replica: Handle
) -> None:
    """One request on its way is enough there: the first that is supplied must not wait for itself."""
    slow = {"127.0.0.1": {"concurrency": 16, "delay": AHEAD, "jitter": 0}}
    crawled = await asyncio.wait_for(
        place.crawl("pypi", profile="plone", releases="latest", limit="2", settings={"DOWNLOAD_SLOTS": slow}),
        30,
    )
    assert crawled.figures["fetched"] == 2


async def test_only_what_changed_is_fetched_and_the_index_follows(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone,flask")
    truth = replica.replica
    one, two, three, four, *_ = [
        name
        for name in truth.members(PLONE)
        if len(truth.project(name).releases) > 1  # type: ignore[union-attr]
    ]
    oldest = truth.project(two).releases[0].version  # type: ignore[union-attr]
    newest = truth.project(three).releases[-1].version  # type: ignore[union-attr]
    replica.event({"event": "release", "project": one, "version": "987.1"})
    replica.event({"event": "delete-release", "project": two, "version": oldest})
    replica.event({"event": "yank", "project": three, "version": newest})
    replica.event({"event": "reclassify", "project": four, "classifiers": ["Framework :: Flask"]})
    replica.reset()

    crawled = await place.crawl("pypi", profile="plone,flask")
    assert crawled.outcome.exit_code == 0
    assert crawled.figures["fetched"] == 4
    plone, flask = place.documents("plone"), place.documents("flask")
    assert set(plone) == true_documents(truth, PLONE)
    assert set(flask) == true_documents(truth, FLASK)
    assert plone[f"{one}==987.1"]["is_latest"]
    assert f"{two}=={oldest}" not in plone
    assert plone[f"{three}=={newest}"]["yanked"]
    assert not any(id_.startswith(f"{four}==") for id_ in plone)
    assert any(id_.startswith(f"{four}==") for id_ in flask)


async def test_a_profile_added_later_costs_only_its_members(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    replica.reset()
    crawled = await place.crawl("pypi", profile="django")
    assert crawled.figures["fetched"] == len(replica.replica.members(DJANGO))
    assert set(place.documents("django")) == true_documents(replica.replica, DJANGO)


async def test_more_releases_are_fetched_when_they_are_wanted(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone", releases="latest")
    names = replica.replica.members(PLONE)
    assert {id_.split("==")[0] for id_ in place.documents("plone")} == set(names)
    assert len(place.documents("plone")) == len(names)
    kept = await place.crawl("pypi", profile="plone")
    assert kept.figures["fetched"] == 0, "the collection keeps what it was made with"
    await place.crawl("pypi", profile="plone", releases="all")
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_faults_cost_their_packages_only_and_the_next_run_heals(place: Place, replica: Handle) -> None:
    faults = ["status-404", "status-500", "cut", "garbage", "html", "disconnect", "stale"]
    names = replica.replica.members(PLONE)
    replica.faults([{"match": name, "fault": fault} for name, fault in zip(names, faults, strict=False)])
    crawled = await place.crawl("pypi", profile="plone", settings={"PYPI_MAX_RETRIES": 1})
    assert crawled.outcome.exit_code == 3
    assert crawled.figures["failed"] + crawled.figures["gone"] == len(faults)
    with place.store() as store:
        failed = {failure.normalized_name: failure.reason for failure in store.failures()}
    assert set(names[: len(faults) - 1]) <= set(failed), failed
    healthy = set(names[len(faults) :])
    assert healthy <= {id_.split("==")[0] for id_ in place.documents("plone")}

    replica.faults([])
    healed = await place.crawl("pypi", profile="plone")
    assert healed.outcome.exit_code == 0
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    with place.store() as store:
        assert store.failures() == []


async def test_a_release_without_files_is_seen_to_be_yanked(place: Place, replica: Handle) -> None:
    """The project's JSON lists its files, and with them what is yanked; of none it says nothing."""
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name, "version": "0.0.1a1", "kinds": []})
    await place.crawl("pypi", profile="plone")
    assert place.documents("plone")[f"{name}==0.0.1a1"]["yanked"] is False
    replica.event({"event": "yank", "project": name, "version": "0.0.1a1", "reason": "empty"})
    await place.crawl("pypi", profile="plone")
    assert place.documents("plone")[f"{name}==0.0.1a1"]["yanked_reason"] == "empty"


async def test_a_server_that_asks_to_wait_is_obeyed_and_nothing_is_lost(
    place: Place, replica: Handle
) -> None:
    replica.faults([{"match": "/pypi/*", "fault": "status-429", "retry_after": 1, "times": 3, "per": "rule"}])
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 0
    assert crawled.stats["backoff/count"] == 3
    assert crawled.stats["elapsed_time_seconds"] > 1
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_an_index_of_something_else_is_refused(place: Place, replica: Handle) -> None:
    replica.faults([{"match": "/simple/", "fault": "html"}])
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["fetched"]) == (1, 0)


@pytest.mark.parametrize("damage", ["cut off", "checksum", "another encoding"])
async def test_a_damaged_index_is_one_event(damage: str, tmp_path: Path, empty_index: Server) -> None:
    """It is unpacked as it is read: what is bad shows up late, and nothing may have been kept by then."""
    body = gzip.compress(b'{"meta": {"_last-serial": 5}, "projects": [{"name": "kelp", "_last-serial": 5}]}')
    encoding = "br" if damage == "another encoding" else "gzip"
    body = {"cut off": body[:-9], "checksum": body[:-6] + b"??" + body[-4:]}.get(damage, body)

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    async with serving(answer) as site:
        place = Place(tmp_path, site.url, empty_index)
        crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.outcome.reason) == (1, "failed")
    assert site.arrivals[0].path == site.arrivals[-1].path == "/simple/"
    assert not (tmp_path / "index").exists()


async def test_an_index_that_came_damaged_once_is_asked_for_again(
    tmp_path: Path, empty_index: Server
) -> None:
    """One bad object in a cache must not cost a run of cron's."""
    body = gzip.compress(b'{"meta": {"_last-serial": 5}, "projects": [{"name": "kelp", "_last-serial": 5}]}')

    async def answer(request: web.Request, number: int) -> web.Response:
        if request.path != "/simple/":
            return web.Response(status=404)
        return web.Response(body=body[:-9] if number == 1 else body, headers={"Content-Encoding": "gzip"})

    async with serving(answer) as site:
        crawled = await Place(tmp_path, site.url, empty_index).crawl("pypi", profile="plone")
    assert crawled.figures["listed"] == 1
    assert [arrival.path for arrival in site.arrivals][:2] == ["/simple/"] * 2


async def test_a_lost_index_is_filled_again_without_a_request_to_pypi(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    with place.connection() as connection:
        connection.client.api_call.delete("/collections/plone-1", dict)
    replica.reset()
    crawled = await place.crawl("pypi", profile="plone")
    assert place.documents("plone") == before
    assert crawled.figures["passed_on"] == len(replica.replica.members(PLONE))
    assert list(replica.statistics(paths=True)["paths"]) == ["/simple/"]


async def test_the_index_is_read_again_during_a_long_crawl(place: Place, replica: Handle) -> None:
    crawled = await place.crawl(
        "pypi", profile="plone", settings={"INDEX_REFRESH": 0.05, "DOWNLOAD_DELAY": 0.005}
    )
    assert crawled.stats["pyf/index/read"] > 1
    assert crawled.figures["fetched"] == 120, "nothing is asked for twice"
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_of_what_was_asked_only_what_has_no_answer_is_remembered(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million names, each with what was asked, would be as large as all the rest of the crawler."""
    spiders: list[PypiSpider] = []
    monkeypatch.setattr(PypiSpider, "report", lambda spider, work: spiders.append(spider))
    broken = replica.replica.members(PLONE)[0]
    replica.faults([{"match": broken, "fault": "status-500"}])
    await place.crawl("pypi", profile="plone", settings={"PYPI_MAX_RETRIES": 0})
    assert [set(spider._asked_for) for spider in spiders] == [{broken}]


async def test_names_are_asked_for_in_normal_form(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    assert replica.statistics()["unnormalized"] == 0
