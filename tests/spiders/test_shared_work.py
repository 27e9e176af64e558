"""One crawl shared by several workers over a real Valkey: nothing is lost, little is fetched twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from scrapy.crawler import AsyncCrawlerRunner

from pyf_scrapy.queue.messages import Covers, Message, decode, encode, encode_covers
from pyf_scrapy.queue.sharing import Crawl, SharedQueue
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.collections import iter_documents
from pyf_scrapy.search.documents import CALCULATED
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import queue_reader, shared_work
from pyf_scrapy.spiders.project import ProjectSpider
from pyf_scrapy.spiders.pypi import PypiSpider
from pyf_scrapy.sync.work_list import WorkList
from tests.crawling import Place, true_documents
from tests.queue.conftest import socket_folder, valkey  # noqa: F401  (fixtures)
from tests.queue.valkey import Valkey

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=150, members={"plone": 40, "django": 20}, most_releases=6, missing=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def shared(place: Place, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Place:  # noqa: F811
    # Each test's Redis is new, and nobody was there before.
    monkeypatch.setattr(shared_work, "_SETTLED", 0)
    place.extra["REDIS_URL"] = valkey.url
    return place


def fetched(replica: Handle) -> dict[str, int]:
    """How often the JSON of each project was asked for."""
    paths = replica.statistics(paths=True)["paths"]
    return {
        path: count for path, count in paths.items() if path.count("/") == 3 and path.startswith("/pypi/")
    }


def crawl(client: Redis) -> str:
    """The name of the only crawl that was shared."""
    (scope,) = map(str, client.zrange("pypi:scopes", 0, -1))  # it decodes
    return f"pypi:{scope}"


async def test_crawls_of_other_stores_and_profiles_do_not_share(
    shared: Place,
    replica: Handle,
    tmp_path: Path,
) -> None:
    """What one has fetched for another is missing in the store and the index of the first, which is told that
    all is done."""
    other = Place(tmp_path / "other", replica.url, shared.server, dict(shared.extra))
    crawls = (
        shared.crawl("pypi", profile="plone"),
        other.crawl("pypi", profile="plone", collection="copy"),
        shared.crawl("pypi", profile="django"),
    )
    done = await asyncio.gather(*crawls)
    assert [one.outcome.exit_code for one in done] == [0, 0, 0]
    assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)
    assert set(other.documents("copy")) == true_documents(replica.replica, PLONE)
    assert set(shared.documents("django")) == true_documents(replica.replica, "Framework :: Django")


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


async def test_an_index_that_cannot_be_read_again_does_not_end_the_leader(
    shared: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor all who would lead after it, one by one: the last index is work enough."""
    report = PypiSpider.report

    def no_more(spider: PypiSpider, work: WorkList) -> None:
        report(spider, work)
        replica.faults([{"match": "/simple/", "fault": "status-500"}])

    monkeypatch.setattr(PypiSpider, "report", no_more)
    settings = {"INDEX_REFRESH": 0.05, "PYPI_MAX_RETRIES": 0}
    done = await shared.crawl("pypi", profile="plone", settings=settings)
    assert done.outcome.exit_code == 0, done.outcome
    assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)


async def test_what_nobody_understands_is_set_aside_and_the_rest_is_fetched(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """Anybody may write to the list; a worker that dies of it would take good names with it."""
    await shared.crawl("pypi", profile="plone", limit="1")
    with valkey.client() as client:
        name = crawl(client)
        client.delete(f"{name}:start_urls")
        client.rpush(
            f"{name}:start_urls", "[]", '{"name": "../etc/passwd"}', '{"name": 7}', "\x00", '"x" * 9'
        )
        done = await shared.crawl("pypi", profile="plone")
        assert done.outcome.exit_code == 0
        assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)
        assert client.llen(f"{name}:errors") == 5
        assert client.llen(f"{name}:start_urls") == 0


async def test_a_worker_that_follows_asks_about_what_it_is_told(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    members = replica.replica.members(PLONE)
    with shared.popen("crawl", "project", "-a", "follow=1", "-p", "plone", "-L", "WARNING") as follower:
        try:
            with valkey.client() as client:
                await until(lambda: client.zcard("project:workers"))
                client.rpush("project:start_urls", "no JSON", encode(Message(members[0])))
                told = await asyncio.to_thread(shared.run, "queue", "add", members[1], "no-such-name-at-all")
                assert told.returncode == 0, told.stderr
                assert "Workers that follow have them now: 1." in told.stdout
                await until(lambda: names(shared) == {members[0], members[1]})
                await until(lambda: not queued(shared))
                assert client.llen("project:errors") == 1
        finally:
            follower.terminate()
            output = follower.communicate(timeout=30)
    assert follower.returncode in (0, 3), output


async def test_the_feeds_hand_names_to_workers_and_keep_them_when_there_is_none(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """News that is handed to nobody waits for the next `pypi`; handed twice it is fetched twice."""
    await shared.crawl("rss", profile="plone")
    first, second = replica.replica.members(PLONE)[:2]
    replica.event({"event": "release", "project": first})
    with valkey.client() as client:
        alone = await shared.crawl("rss", profile="plone", push="1")
        assert alone.figures["fetched"] > 0
        with shared.store() as store:
            store_id = store.store_id()
        client.zadd("project:workers", {"other 16": client.time()[0]})
        for foreign in (
            Covers("another store", frozenset({"plone"})),
            Covers(store_id, frozenset({"django"})),
        ):
            client.hset("project:covers", "other", encode_covers(foreign).decode())
            replica.event({"event": "release", "project": first})
            alone = await shared.crawl("rss", profile="plone", push="1")
            assert alone.figures["fetched"] > 0, "such a worker would do nothing with it"
        client.hset("project:covers", "other", encode_covers(Covers(store_id, frozenset({"plone"}))).decode())
        replica.event({"event": "release", "project": second})
        handed = await shared.crawl("rss", profile="plone", push="1")
        assert handed.figures["fetched"] == 0
        assert "Nothing to do" not in handed.outcome.headline
        messages = [decode(data.encode()) for data in client.lrange("project:start_urls", 0, -1)]
        assert [message.name for message in messages] == [second]
        assert messages[0].version is not None, "or an old answer would do"
        again = await shared.crawl("rss", profile="plone", push="1")
        assert again.figures["fetched"] == 0
        assert client.llen("project:start_urls") == 1
    assert queued(shared) == [second], "Redis may forget it"


async def test_what_a_feed_announces_before_it_is_there_is_asked_about_again(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """The feed is ahead of PyPI's caches: a worker must not take their 404 for the truth."""
    shared.extra["STALE_PATIENCE"] = 20
    await shared.crawl("rss", profile="plone")
    follower = asyncio.ensure_future(shared.crawl("project", profile="plone", follow="1", limit="1"))
    with valkey.client() as client:
        await until(lambda: client.zcard("project:workers"))
    new: dict[str, Any] = {
        "event": "create",
        "project": "plone-brand-new",
        "version": "1.0",
        "classifiers": [PLONE],
    }
    replica.event(new)
    addresses = ("/pypi/plone-brand-new/json", "/simple/plone-brand-new/")
    replica.faults([{"match": address, "fault": "status-404", "times": 1} for address in addresses])
    handed = await shared.crawl("rss", profile="plone", push="1")
    assert handed.figures["fetched"] == 0
    await until(lambda: "plone-brand-new" in names(shared))
    with valkey.client() as client:
        client.rpush("project:start_urls", encode(Message("zope")))  # beyond its limit: it ends
    done = await asyncio.wait_for(follower, 30)
    assert done.outcome.exit_code == 0, done.outcome
    assert queued(shared) == ["zope"], "what it noted and left is asked about by the next run"


async def test_a_worker_that_follows_for_weeks_judges_packages_as_of_today(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it indexes would be as young as it was when the worker began."""
    setup, began = ProjectSpider.setup, datetime(2020, 1, 1, tzinfo=UTC)

    def begun_long_ago(spider: ProjectSpider, given: Mapping[str, str], targets: list[Target]) -> None:
        setup(spider, given, targets)
        spider.session.now = began.date()

    monkeypatch.setattr(ProjectSpider, "setup", begun_long_ago)
    with valkey.client() as client:  # the second is beyond its limit: it ends
        client.rpush("project:start_urls", *map(encode, map(Message, replica.replica.members(PLONE)[:2])))
    done = await shared.crawl("project", profile="plone", follow="1", limit="1")
    assert done.outcome.exit_code == 0, done.outcome
    with shared.connection() as connection:
        found = iter_documents(connection.client, "plone")
        judged = [document[CALCULATED] for document in found if CALCULATED in document]
    assert judged
    assert min(judged) > began.timestamp()


async def test_a_worker_that_is_killed_has_noted_all_that_it_had_taken(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """Redis does not have it any more, and who wrote the message may have kept nothing."""
    shared.extra["PYPI_CONCURRENCY"] = 2  # four are taken, of which at most three are begun
    taken = sorted(replica.replica.names())[:4]
    replica.faults([{"match": "/pypi/*", "fault": "slow", "delay": 60}])
    with valkey.client() as client:
        client.rpush("project:start_urls", *(encode(Message(name)) for name in taken))
        with shared.popen("crawl", "project", "-a", "follow=1", "-p", "plone") as follower:
            try:
                await until(lambda: fetched(replica))
            finally:
                follower.kill()
        assert client.llen("project:start_urls") == 0
    assert sorted(queued(shared)) == taken


async def test_a_worker_that_is_stopped_while_it_takes_names_puts_them_back(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis has given them away already, and nobody waits for the answer any more."""
    hold = SharedQueue.hold

    def stopped(queue: SharedQueue, held: Iterable[str]) -> None:
        asyncio.run_coroutine_threadsafe(crawler.stop_async(), loop)
        assert isinstance(crawler.spider, ProjectSpider)
        while not crawler.spider.stopping:
            time.sleep(0.01)
        hold(queue, held)

    monkeypatch.setattr(SharedQueue, "hold", stopped)
    loop = asyncio.get_running_loop()
    runner = AsyncCrawlerRunner(shared.settings())
    crawler = runner.create_crawler("project")
    messages = [encode(Message(name)) for name in sorted(replica.replica.names())[:8]]
    with valkey.client() as client:
        client.rpush("project:start_urls", *messages)
        await runner.crawl(crawler, profile="plone", follow="1")
        assert client.lrange("project:start_urls", 0, -1) == [*map(bytes.decode, messages)]


def names(place: Place) -> set[str]:
    return {id_.partition("==")[0] for id_ in place.documents("plone")}


def queued(place: Place) -> list[str]:
    with place.store() as store:
        return [row.normalized_name for row in store.queued()]


async def until(true: Callable[[], object]) -> None:
    for _ in range(300):
        if await asyncio.to_thread(true):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never became true")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-a", "follow=1", "-p", "plone"), "set REDIS_URL"),
        (("-a", "follow=1", "-a", "names=x", "-p", "plone"), "give no names="),
    ],
)
def test_waiting_for_names_that_cannot_come_is_refused(
    place: Place, arguments: tuple[str, ...], reason: str
) -> None:
    done = place.run("crawl", "project", *arguments)
    assert done.returncode == 2
    assert reason in done.stderr


async def test_without_redis_at_the_start_it_says_so(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistyped REDIS_URL must not look like a crawl that is at work."""
    monkeypatch.setattr(queue_reader, "_PATIENCE", 0.5)
    place.extra["REDIS_URL"] = f"unix://{tmp_path}/nothing.sock"
    done = await place.crawl("pypi", profile="plone")
    assert done.outcome.exit_code == 1
    assert "cannot be used" in caplog.text


async def test_a_worker_that_is_asked_to_stop_leaves_its_names_and_the_lead_to_others(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """Else the others wait for a worker that is gone; and `scrapy queue stats` shows who works on what."""
    replica.faults([{"match": "/pypi/*", "fault": "slow", "delay": 1}])
    with shared.popen("crawl", "pypi", "-p", "plone", "-L", "WARNING") as worker:
        try:
            await until(lambda: len(fetched(replica)) > 20)
            stats = await asyncio.to_thread(shared.run, "queue", "stats", "--json")
            (seen,) = json.loads(stats.stdout)["redis"]["workers"]
            assert (seen["spider"], seen["concurrency"]) == ("pypi", 16)
            assert 0 < len(seen["some"]) <= seen["names"]
        finally:
            worker.terminate()
            output = await asyncio.to_thread(worker.communicate, timeout=30)
    assert worker.returncode == 1, output
    with valkey.client() as client:
        name = crawl(client)
        assert not client.exists(f"{name}:leader")
        assert client.zcard(f"{name}:workers") == 0
        assert client.llen(f"{name}:start_urls") > 0
        stats = await asyncio.to_thread(shared.run, "queue", "stats", "--json")
        assert json.loads(stats.stdout)["redis"]["keys"][f"{name}:start_urls"] > 0
    replica.faults([])
    done = await shared.crawl("pypi", profile="plone")
    assert done.outcome.exit_code == 0
    assert set(shared.documents("plone")) == true_documents(replica.replica, PLONE)
    twice = [path for path, count in fetched(replica).items() if count > 1]
    assert len(twice) <= 2 * 16, "only what was under way: packages, and those whose releases were"


async def test_a_crawl_that_is_over_is_not_begun_again_by_those_who_took_part(
    shared: Place,
    replica: Handle,
    valkey: Valkey,  # noqa: F811
) -> None:
    """The leader leaves first: one after the other would take the lead, read the index, and ask once more
    about all that failed."""
    await shared.crawl("pypi", profile="plone", limit="1")
    replica.reset()
    with valkey.client() as client:
        scope = crawl(client).removeprefix("pypi:")
    leader = SharedQueue(valkey.url, "pypi", scope)
    try:
        assert leader.lead()
        assert leader.save_crawl(Crawl("this one", 0))
        worker = asyncio.ensure_future(shared.crawl("pypi", profile="plone"))
        await until(lambda: leader.lead() and fetched(replica))
        leader.save_crawl(Crawl("this one", 0, done=True))
        leader.retire(16)
        done = await asyncio.wait_for(worker, 60)
    finally:
        leader.close()
    assert done.outcome.exit_code == 0, done.outcome
    assert "/simple/" not in replica.statistics(paths=True)["paths"]


async def test_a_leader_that_fails_in_an_unforeseen_way_does_not_lead_for_ever(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers would wait for names that never come."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(PypiSpider, "compute_work", broken)
    async with asyncio.timeout(30):
        done = await shared.crawl("pypi", profile="plone")
    assert done.outcome.exit_code == 1


async def test_names_of_the_queue_are_dealt_with_by_whichever_worker_gets_them(
    shared: Place, replica: Handle
) -> None:
    """The leader's notes are not those of the others: a name would be asked about again until the leader
    itself gets it."""
    await shared.crawl("pypi", profile="plone")
    asked = replica.replica.names()[:90]
    with shared.store() as store:
        store.enqueue(asked, 1_000, "queue add")
    replica.reset()
    workers = await asyncio.gather(*(shared.crawl("pypi", profile="plone") for _ in range(3)))
    assert [worker.outcome.exit_code for worker in workers] == [0, 0, 0]
    assert queued(shared) == []
    assert sum(worker.figures["queued"] for worker in workers) == len(asked)
    assert set(fetched(replica).values()) == {1}
