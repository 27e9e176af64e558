"""Keys that say "done". One that is set wrongly hides a release; one that is lost costs a fetch."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.queue.dedup import Dedup, RedisDedup, StoreDedup, open_dedup, ttls
from pyf_scrapy.store import Store
from tests.queue.valkey import Valkey

NEW = "pyf:dedup:new:kelp"
UPDATE = "pyf:dedup:update:kelp:1.0"


@pytest.fixture(params=["store", "redis"])
def dedup(request: pytest.FixtureRequest, store: Store) -> Iterator[Dedup]:
    settings = {"REDIS_URL": request.getfixturevalue("valkey").url} if request.param == "redis" else {}
    dedup = open_dedup(settings, store)
    yield dedup
    dedup.close()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (fulfilled := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return fulfilled


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


class TestBoth:
    """What holds wherever the keys are kept."""

    def test_seen_is_what_was_marked(self, dedup: Dedup) -> None:
        assert dedup.seen([NEW, UPDATE]) == set()
        dedup.mark({NEW: 100, UPDATE: 100})
        assert dedup.seen([NEW, UPDATE, "pyf:dedup:update:kelp:1.1", "pyf:dedup:new:moor"]) == {NEW, UPDATE}
        assert dedup.seen({UPDATE: 1}.keys()) == {UPDATE}

    def test_a_time_of_0_marks_nothing(self, dedup: Dedup) -> None:
        dedup.mark({NEW: 0, UPDATE: 100, "negative": -1})
        assert dedup.seen([NEW, UPDATE, "negative"]) == {UPDATE}

    def test_nothing_to_do_is_done(self, dedup: Dedup) -> None:
        dedup.mark({})
        assert dedup.seen([]) == set()

    def test_a_key_expires_and_is_prolonged_by_marking_it_again(self, dedup: Dedup) -> None:
        dedup.mark({NEW: 1, UPDATE: 1})
        dedup.mark({UPDATE: 100})
        assert eventually(lambda: dedup.seen([NEW, UPDATE]) == {UPDATE})

    def test_any_time_and_any_version_will_do(self, dedup: Dedup) -> None:
        odd = [
            f"pyf:dedup:update:kelp:{version}" for version in ("1.0+a b", "1!2", "é", "*", "'", '"', "\u202e")
        ]
        dedup.mark(dict.fromkeys(odd, 10**15))
        assert dedup.seen(odd) == set(odd)

    def test_a_whole_window_at_once_and_from_many_threads(self, dedup: Dedup) -> None:
        keys = [f"pyf:dedup:update:kelp:{number}" for number in range(1_000)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: dedup.mark({key: 100}), keys[:200]))
        dedup.mark(dict.fromkeys(keys[200:], 100))
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(dedup.seen, [keys] * 8))
        assert answers == [set(keys)] * 8


class TestStore:
    def test_the_keys_outlive_the_process(self, store: Store) -> None:
        StoreDedup(store).mark({NEW: 100})
        assert StoreDedup(store).seen([NEW]) == {NEW}

    def test_a_key_counts_to_the_last_second(self, store: Store) -> None:
        now = 1_795_341_598.9
        dedup = StoreDedup(store, clock=lambda: now)
        dedup.mark({NEW: 60})
        now += 59
        assert dedup.seen([NEW]) == {NEW}
        now += 1
        assert dedup.seen([NEW]) == set()

    def test_a_broken_store_is_one_warning_and_nothing_is_done(
        self, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        dedup = StoreDedup(store, pause=0)
        dedup.mark({NEW: 100})
        with closing(sqlite3.connect(tmp_path / "store.sqlite")) as other:
            (table,) = other.execute("SELECT sql FROM sqlite_master WHERE name = 'dedup'").fetchone()
            other.execute("DROP TABLE dedup")
            for _ in range(2):
                assert dedup.seen([NEW]) == set()
                dedup.mark({NEW: 100})
            (warning,) = logged(caplog, logging.WARNING)
            assert "the store cannot be used" in warning
            assert "\n" not in warning
            other.execute(table)
        assert dedup.seen([NEW]) == set()
        dedup.mark({NEW: 100})
        assert dedup.seen([NEW]) == {NEW}
        assert len(logged(caplog, logging.WARNING)) == 1
        assert logged(caplog, logging.INFO)[-1].startswith("the store can be used again")


class TestRedis:
    def test_the_keys_are_those_of_pyf_aggregator(self, valkey: Valkey) -> None:
        """Both may run side by side on one server for a while."""
        dedup = RedisDedup(valkey.url)
        with closing(dedup), valkey.client() as client:
            dedup.mark({NEW: 100})
            assert client.get(NEW) == "1"
            assert client.ttl(NEW) in range(1, 101)
            client.set(UPDATE, 1, ex=100)
            assert dedup.seen([UPDATE]) == {UPDATE}

    def test_a_server_that_dies_is_one_warning_and_it_heals(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        with closing(RedisDedup(valkey.url, pause=0)) as dedup:
            dedup.mark({NEW: 100})
            for outage in (1, 2):
                valkey.kill()
                for _ in range(3):
                    assert dedup.seen([NEW]) == set()
                    dedup.mark({NEW: 100})
                assert len(logged(caplog, logging.WARNING)) == outage
                valkey.start()
                assert dedup.seen([NEW]) == set()  # the server forgot it
                dedup.mark({NEW: 100})
                assert dedup.seen([NEW]) == {NEW}
                assert len(logged(caplog, logging.INFO)) == outage
            warning = logged(caplog, logging.WARNING)[0]
            assert warning.startswith(f"Redis at unix://{valkey.socket} cannot be used")

    def test_a_server_that_is_not_there_at_the_start_is_found_later(
        self, valkey: Valkey, store: Store
    ) -> None:
        valkey.kill()
        with closing(RedisDedup(valkey.url, pause=0)) as dedup:
            assert dedup.seen([NEW]) == set()
            valkey.start()
            dedup.mark({NEW: 100})
            assert dedup.seen([NEW]) == {NEW}

    def test_a_restart_between_two_polls_goes_unnoticed(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(RedisDedup(valkey.url)) as dedup:
            dedup.mark({NEW: 100})
            valkey.kill()
            valkey.start()
            dedup.mark({UPDATE: 100})
            assert dedup.seen([NEW, UPDATE]) == {UPDATE}
        assert not logged(caplog, logging.WARNING)

    def test_a_dead_server_is_not_asked_for_each_package(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A host that swallows packets costs seconds a call; the threads are needed by the store."""
        with closing(RedisDedup(valkey.url, pause=3600)) as dedup:
            valkey.kill()
            assert dedup.seen([NEW]) == set()
            valkey.start()
            dedup.mark({NEW: 100})
            with valkey.client() as client:
                client.set(UPDATE, 1)
                assert not client.exists(NEW)
            assert dedup.seen([UPDATE]) == set()
        assert len(logged(caplog, logging.WARNING)) == 1

    def test_a_server_that_hangs_does_not_hang_the_crawl(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(RedisDedup(f"{valkey.url}&socket_timeout=0.1", pause=0)) as dedup:
            dedup.mark({NEW: 100})
            with valkey.client() as client:  # on a slow machine that was too late already
                client.set(NEW, 1)
            valkey.freeze()
            assert dedup.seen([NEW]) == set()
            dedup.mark({NEW: 100})
            valkey.thaw()
            assert eventually(lambda: dedup.seen([NEW]) == {NEW})
        assert "Timeout" in logged(caplog, logging.WARNING)[0]

    def test_a_server_that_is_full_is_read_but_not_written_and_warns_once(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(RedisDedup(valkey.url, pause=0)) as dedup, valkey.client() as client:
            dedup.mark({NEW: 100})
            client.config_set("maxmemory", 1)
            for _ in range(3):
                dedup.mark({UPDATE: 100})
                assert dedup.seen([NEW, UPDATE]) == {NEW}
            assert len(logged(caplog, logging.WARNING)) == 1
            client.config_set("maxmemory", 0)
            dedup.mark({UPDATE: 100})
            assert dedup.seen([NEW, UPDATE]) == {NEW, UPDATE}

    def test_the_password_is_used_and_never_logged(
        self, socket_folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server = Valkey(socket_folder, password="5ecret@:/é")
        try:
            server.start()
            with closing(RedisDedup(server.url)) as dedup:
                dedup.mark({NEW: 100})
                assert dedup.seen([NEW]) == {NEW}
            assert not logged(caplog, logging.WARNING)
            for url in (
                f"unix://:n0t5ecret@{server.socket}",
                f"unix://{server.socket}?password=n0t5ecret",
                f"unix://{server.socket}",
                "redis://me:5ecret@127.0.0.1:1/0",
                f"redis://me:5ecret@{'a' * 70}/0",  # cannot be looked up
            ):
                with closing(RedisDedup(url)) as dedup:
                    assert dedup.seen([NEW]) == set()
                    dedup.mark({NEW: 100})
        finally:
            server.kill()
        warnings = logged(caplog, logging.WARNING)
        assert len(warnings) == 5
        assert all("cannot be used" in warning and "\n" not in warning for warning in warnings)
        assert "ecret" not in caplog.text


class TestOpening:
    def test_redis_is_used_when_it_is_set_else_the_store(self, valkey: Valkey, store: Store) -> None:
        for settings, kind in (
            ({"REDIS_URL": valkey.url, "REDIS_HOST": None}, RedisDedup),
            ({"REDIS_URL": None, "REDIS_HOST": "localhost:6379"}, RedisDedup),
            ({"REDIS_URL": None, "REDIS_HOST": None}, StoreDedup),
        ):
            with closing(open_dedup(settings, store)) as dedup:
                assert type(dedup) is kind

    def test_a_bad_setting_is_bad_input(self, store: Store) -> None:
        for settings in ({"REDIS_HOST": "localhost:"}, {"REDIS_URL": "redis://localhost?nope=1"}):
            with pytest.raises(UsageProblem):
                open_dedup(settings, store)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (86_400, 86_400)),
        ({"RSS_DEDUP_TTL": 60}, (60, 60)),
        ({"RSS_DEDUP_TTL": 60, "RSS_DEDUP_TTL_NEW": None, "RSS_DEDUP_TTL_UPDATE": 0}, (60, 0)),
        ({"RSS_DEDUP_TTL": 0, "RSS_DEDUP_TTL_NEW": 7}, (7, 0)),
        ({"RSS_DEDUP_TTL": "60", "RSS_DEDUP_TTL_UPDATE": ""}, (60, 60)),  # -s RSS_DEDUP_TTL=60
    ],
)
def test_times_fall_back_to_the_one_for_both(settings: dict[str, object], expected: tuple[int, int]) -> None:
    assert ttls(settings) == expected


@pytest.mark.parametrize("value", ["a day", "1.5", -1, [1]])
def test_a_time_that_is_none_is_bad_input(value: object) -> None:
    with pytest.raises(UsageProblem, match=r"^RSS_DEDUP_TTL_NEW=.* must be a whole number of at least 0$"):
        ttls({"RSS_DEDUP_TTL_NEW": value})
