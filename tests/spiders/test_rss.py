"""Feeds hasten a fetch and mark nothing as done: a release that they name is searchable in seconds, and one
that they do not name, or name in vain, is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.spiders.rss import RssSpider
from tests.crawling import Crawled, Place, true_documents

PLONE, DJANGO = "Framework :: Plone", "Framework :: Django"
OPTIONS = Options(projects=60, members={"plone": 8, "django": 8}, only_members=True, most_releases=4, empty=0)
FEEDS = ("/rss/updates.xml", "/rss/packages.xml")


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


async def read_feeds(place: Place, **options: object) -> Crawled:
    return await place.crawl("rss", profile="plone,django", settings=options)


def newest(replica: Handle, name: str) -> str:
    project = replica.replica.project(name)
    assert project is not None
    return f"{name}=={project.releases[-1].version}"


async def test_one_pass_over_the_feeds_serves_all_profiles(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone,django")
    await read_feeds(place)  # what the feeds show already
    plone, django = replica.replica.members(PLONE)[0], replica.replica.members(DJANGO)[0]
    for name in (plone, django):
        replica.event({"event": "release", "project": name})
    replica.event({"event": "create", "project": "plone-brand-new", "version": "1.0", "classifiers": [PLONE]})
    replica.reset()
    crawled = await read_feeds(place)
    assert crawled.outcome.exit_code == 0
    assert newest(replica, plone) in place.documents("plone")
    assert newest(replica, django) in place.documents("django")
    assert "plone-brand-new==1.0" in place.documents("plone")
    assert replica.statistics()["requests"]["project"] == 3, "what is named twice is fetched once"
    quiet = await read_feeds(place)
    assert quiet.figures["fetched"] == 0, "what is done is not fetched again"


async def test_feeds_mark_nothing_as_done(place: Place, replica: Handle) -> None:
    """A project that the feed never named is found by the index, and so is one that it named in vain."""
    await place.crawl("pypi", profile="plone,django")
    await read_feeds(place)
    name, other = replica.replica.members(PLONE)[:2]
    replica.event({"event": "release", "project": name})
    version = replica.replica.project(other).releases[0].version  # type: ignore[union-attr]
    replica.event({"event": "yank", "project": other, "version": version})  # no feed tells this
    replica.faults([{"match": name, "fault": "stale"}])
    crawled = await read_feeds(place)
    assert (crawled.outcome.exit_code, crawled.figures["feeds_given_up"]) == (0, 1)
    replica.faults([])
    await place.crawl("pypi", profile="plone,django")
    assert newest(replica, name) in place.documents("plone")
    assert place.documents("plone")[f"{other}=={version}"]["yanked"]


async def test_an_answer_without_the_release_is_stale(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone,django")
    await read_feeds(place)
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "stale", "times": 1}])
    crawled = await read_feeds(place)
    assert crawled.figures["stale"] == 1
    assert newest(replica, name) in place.documents("plone")


async def test_an_entry_is_done_only_when_its_package_is(place: Place, replica: Handle) -> None:
    """The system before noted it first: a failure after that lost the release for a day."""
    await place.crawl("pypi", profile="plone,django")
    await read_feeds(place)
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "garbage"}])
    failed = await read_feeds(place)
    assert failed.outcome.exit_code == 3
    replica.faults([])
    await read_feeds(place)
    assert newest(replica, name) in place.documents("plone")
    with place.store() as store:
        assert store.failures() == []


async def test_feeds_that_cannot_be_read_are_no_news(place: Place, replica: Handle) -> None:
    replica.faults([{"match": "/rss/*", "fault": "status-503"}])
    options = {"PYPI_MAX_RETRIES": 0, "BACKOFF_MAX_DELAY": 0.01}
    none = await read_feeds(place, **options)
    assert (none.outcome.exit_code, none.figures["feeds_read"]) == (1, 0)
    replica.faults([{"match": "/rss/packages.xml", "fault": "html"}])
    one = await read_feeds(place, **options)
    assert (one.outcome.exit_code, one.figures["feeds_read"]) == (1, 1)
    assert one.figures["fetched"] > 0, "the other feed is read all the same"


async def test_what_another_run_is_just_about_to_index_is_no_failure_of_this_one(
    place: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the first crawl of a profile, which takes days, each look at the feeds would be an alarm."""
    await place.crawl("pypi", profile="plone")
    await read_feeds(place)
    poll, member = RssSpider.poll, replica.replica.members(PLONE)[0]

    async def beside(spider: RssSpider) -> None:
        await poll(spider)
        with place.store() as store:
            store.forget_indexed("plone", [member])

    monkeypatch.setattr(RssSpider, "poll", beside)
    crawled = await read_feeds(place)
    assert (crawled.outcome.exit_code, crawled.figures["waiting"]) == (0, 1)


async def test_more_releases_than_a_feed_shows_are_not_missed(place: Place, replica: Handle) -> None:
    """150 releases between two runs, more than any window: it is said, and the next `pypi` has them all."""
    await place.crawl("pypi", profile="plone,django")
    await read_feeds(place)
    names = [*replica.replica.members(PLONE), *replica.replica.members(DJANGO)]
    replica.event(*({"event": "release", "project": names[number % len(names)]} for number in range(150)))
    crawled = await read_feeds(place)
    assert crawled.figures["feeds_overrun"] == 1
    await place.crawl("pypi", profile="plone,django")
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    assert set(place.documents("django")) == true_documents(replica.replica, DJANGO)


async def test_the_duplicate_suppression_can_be_switched_off(place: Place, replica: Handle) -> None:
    first = await read_feeds(place, RSS_DEDUP_TTL=0)
    again = await read_feeds(place, RSS_DEDUP_TTL=0)
    assert first.figures["fetched"] == again.figures["fetched"] > 0


async def test_following_finds_what_is_published_meanwhile(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone,django")
    name = replica.replica.members(PLONE)[0]
    process = place.popen("crawl", "rss", "-a", "profile=plone,django", "-a", "follow=1", "-L", "ERROR")
    try:
        async with asyncio.timeout(30):
            while replica.statistics()["requests"].get("feed", 0) < 4:
                await asyncio.sleep(0.1)
            replica.event({"event": "release", "project": name})
            while newest(replica, name) not in place.documents("plone"):
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        output, errors = await asyncio.to_thread(process.communicate)
    assert errors == ""
    assert (process.returncode, output.startswith("Done.")) == (0, True), output


async def test_a_time_limit_holds_and_keeps_the_work(place: Place, replica: Handle) -> None:
    """The limits of the system before did nothing to its threads."""
    limit = ("-s", "CLOSESPIDER_TIMEOUT=2", "-L", "WARNING")
    process = place.popen("crawl", "rss", "-a", "profile=plone,django", "-a", "follow=1", *limit)
    output, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert (process.returncode, "Stopped by a limit" in output) == (1, True), output + errors
    assert errors == ""
    with place.store() as store:
        assert store.status().members > 0
