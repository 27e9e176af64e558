"""What waits in Redis: who looks sees what is there, and a purge takes nothing that is somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from pyf_scrapy.exceptions import PyfError, QueueError
from pyf_scrapy.queue.waiting import RedisQueue, RedisState
from tests.queue.valkey import Valkey

SPIDERS = ["pypi", "project"]
OTHERS = {"other:requests", "pypi:settings", "celery"}


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    """A server with requests of ours and keys of others."""
    with valkey.client() as client:
        client.zadd("pypi:requests", {"a": 1, "b": 2})
        client.sadd("pypi:dupefilter", "a", "b", "c")
        client.rpush("project:start_urls", "x")
        client.rpush("project:items", "y", "z")
        client.set("pypi:settings", "text of somebody else")
        client.rpush("other:requests", "o")
        client.set("celery", "text")
        for number in range(20):
            client.set(f"pyf:dedup:new:name-{number}", 1)
        yield client


@pytest.fixture
def queue(valkey: Valkey) -> Iterator[RedisQueue]:
    with RedisQueue(valkey.url, SPIDERS) as queue:
        yield queue


def test_what_waits_is_counted(client: Redis, queue: RedisQueue, valkey: Valkey) -> None:
    state = queue.state()
    keys = {"pypi:requests": 2, "pypi:dupefilter": 3, "project:start_urls": 1, "project:items": 2}
    assert state == RedisState(f"unix://{valkey.socket}", keys, seen=20)
    assert state.requests == 3


def test_an_empty_server_has_nothing(queue: RedisQueue) -> None:
    state = queue.state()
    assert (state.keys, state.seen, state.requests) == ({}, 0, 0)
    assert (queue.purge(), queue.forget_seen()) == (0, 0)


def test_a_purge_takes_the_requests_and_that_they_were_seen(client: Redis, queue: RedisQueue) -> None:
    """A request that stays "seen" would never be made again."""
    assert queue.purge() == 3
    left = {key for key in client.scan_iter() if not key.startswith("pyf:dedup:")}
    assert left == OTHERS | {"project:items"}
    assert queue.state().seen == 20


def test_only_the_feeds_keys_are_forgotten(client: Redis, queue: RedisQueue) -> None:
    assert queue.forget_seen() == 20
    assert queue.state().seen == 0
    assert set(client.scan_iter()) >= OTHERS


def test_very_many_keys_are_not_all_counted(
    client: Redis, queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyf_scrapy.queue.waiting._SCAN", 1)
    monkeypatch.setattr("pyf_scrapy.queue.waiting._MOST_CALLS", 2)
    state = queue.state()
    assert state.seen < 20
    assert state.seen_is_least


def test_a_server_that_is_gone_is_one_line_without_its_password(valkey: Valkey) -> None:
    valkey.kill()
    for url in (f"unix://:secret@{valkey.socket}", "redis://:secret@127.0.0.1:1/0"):
        with RedisQueue(url, SPIDERS) as queue:
            for call in (queue.state, queue.purge, queue.forget_seen):
                with pytest.raises(QueueError) as error:
                    call()
                message = str(error.value)
                assert message.startswith("Redis at ")
                assert "REDIS_URL" in message
                assert "\n" not in message
                assert "secret" not in message
    assert issubclass(QueueError, PyfError)
