"""What workers share about a host, on a real server.

If it hands out a start twice, PyPI is asked too often; if a pause does not end, nothing is crawled any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.queue import rates as module
from pyf_scrapy.queue.rates import Grant, SharedPause, SharedRates, Wish, host_name
from tests.queue.valkey import Valkey

HOST = "pypi.example:8080"
SCHEDULE = f"pyf:rate:{{{HOST}}}"


@pytest.fixture
async def workers(valkey: Valkey) -> AsyncIterator[list[SharedRates]]:
    """Three processes that share a server."""
    workers = [SharedRates(valkey.url) for _ in range(3)]
    yield workers
    for worker in workers:
        await worker.close()


@pytest.fixture
def client(valkey: Valkey) -> Redis:
    return valkey.client()


def wish(starts: int = 1, interval: float = 0.01, lead: float = 0.0, *, returning: bool = False) -> Wish:
    return Wish(starts, interval, lead, returning)


async def granted(worker: SharedRates, wished: Wish) -> Grant:
    grant = await worker.ask(HOST, wished)
    assert grant is not None
    return grant


class TestSchedule:
    async def test_each_start_is_given_to_one_process_only(self, workers: list[SharedRates]) -> None:
        async def take(worker: SharedRates) -> list[float]:
            starts = []
            for count in [1, 7, 2, 16, 3] * 8:
                grant = await granted(worker, wish(count, 0.005))
                assert grant.starts == count
                assert grant.first >= grant.now
                starts += [grant.first + number * 0.005 for number in range(count)]
            return starts

        starts = sorted(itertools.chain(*await asyncio.gather(*map(take, workers))))
        assert len(starts) == 3 * 8 * 29
        assert min(after - before for before, after in itertools.pairwise(starts)) >= 0.005 - 1e-5

    async def test_what_nobody_took_is_not_saved_up(self, workers: list[SharedRates]) -> None:
        """After a quiet hour there would be a storm."""
        before = await granted(workers[0], wish())
        await asyncio.sleep(0.05)
        after = await granted(workers[1], wish(3))
        assert after.first == after.now >= before.first + 0.05

    async def test_who_needs_time_gets_later_starts(self, workers: list[SharedRates]) -> None:
        await granted(workers[1], wish(0))  # it is connected
        grant = await granted(workers[0], wish(lead=1))
        exactly = math.ulp(grant.now)  # a second since 1970 is a float of quarters of a microsecond
        assert grant.first - grant.now == pytest.approx(1, rel=0, abs=exactly)
        following = await granted(workers[1], wish())
        assert following.first - grant.first == pytest.approx(0.01, rel=0, abs=exactly)

    async def test_who_only_listens_takes_nothing(self, workers: list[SharedRates], client: Redis) -> None:
        grant = await granted(workers[0], wish(0, lead=5))
        assert (grant.starts, grant.pause, grant.users) == (0, 0, 1)
        assert not client.exists(SCHEDULE)

    async def test_no_ceiling_means_at_once(self, workers: list[SharedRates]) -> None:
        for worker in workers:
            grant = await granted(worker, wish(1, interval=0))
            assert grant.first == grant.now

    async def test_a_clock_that_was_set_back_holds_up_nobody(
        self, workers: list[SharedRates], client: Redis
    ) -> None:
        """Else all workers stand still for as long as it was set back."""
        client.set(SCHEDULE, int((time.time() + 3600) * 1e6))
        grant = await granted(workers[0], wish())
        assert grant.first == grant.now

    async def test_hosts_have_nothing_to_do_with_each_other(self, workers: list[SharedRates]) -> None:
        await granted(workers[0], wish(1000))
        other = await workers[0].ask("other.example", wish())
        assert other is not None
        assert other.first == other.now

    async def test_everybody_is_counted_once_and_nothing_stays_for_ever(
        self, workers: list[SharedRates], client: Redis
    ) -> None:
        await workers[0].pause(HOST, 0.01)
        await asyncio.sleep(0.02)
        counts = [(await granted(worker, wish(interval=60, returning=True))).users for worker in workers * 2]
        assert counts == [1, 2, 3, 3, 3, 3]
        keys = client.keys("*")
        assert len(keys) == 3
        assert all(0 < client.pttl(key) <= 86_400_000 for key in keys)

    async def test_who_waits_long_for_a_start_is_one_of_them(self, workers: list[SharedRates]) -> None:
        """For minutes, where one request a minute is allowed: that is no clock that was set back."""
        firsts = [(await granted(worker, wish(1, interval=60))).first for worker in workers * 2]
        assert [round(first - firsts[0]) for first in firsts] == [0, 60, 120, 180, 240, 300]

    async def test_who_is_gone_counts_no_more(self, workers: list[SharedRates], client: Redis) -> None:
        """Else those who go on would be too slow without Redis, each restart a little more."""
        await granted(workers[0], wish())
        client.zadd(f"pyf:users:{{{HOST}}}", {"killed": (time.time() - 1) * 1e6})
        assert (await granted(workers[0], wish())).users == 1


class TestPause:
    async def test_holds_for_all_until_it_ends(self, workers: list[SharedRates], client: Redis) -> None:
        await workers[0].pause(HOST, 60, refusals=3)
        for worker in workers:
            grant = await granted(worker, wish(5))
            assert (grant.starts, grant.refusals) == (0, 3)
            assert 50 < grant.pause <= 60
        client.pexpire(f"pyf:pause:{{{HOST}}}", 20)
        await asyncio.sleep(0.05)
        assert (await granted(workers[1], wish(5))).starts == 5

    async def test_the_longest_one_counts(self, workers: list[SharedRates]) -> None:
        for seconds in (50, 100, 10):
            await workers[0].pause(HOST, seconds)
        assert 99 < (await granted(workers[1], wish())).pause <= 100
        left = await workers[2].paused(HOST)
        assert left is not None
        assert 99 < left <= 100
        assert await workers[2].paused("other.example") == 0

    async def test_afterwards_one_process_comes_back_at_a_time(self, workers: list[SharedRates]) -> None:
        """Else a server that just recovered gets the first requests of all of them at once."""
        first, second, third = workers
        assert (await granted(first, wish(returning=True))).starts == 1
        assert (await granted(first, wish(returning=True))).starts == 1, "its request may have failed"
        waits = await granted(second, wish(returning=True))
        assert waits.starts == 0
        assert 0 < waits.pause <= 1
        await first.returned(HOST)
        assert (await granted(second, wish(returning=True))).starts == 1
        assert (await granted(third, wish(returning=True))).starts == 0
        assert (await granted(first, wish())).starts == 1, "it is back already"

    async def test_who_is_refused_when_it_comes_back_leaves_the_right_to_all(
        self, workers: list[SharedRates]
    ) -> None:
        await granted(workers[0], wish(returning=True))
        await workers[0].pause(HOST, 0.02)
        await asyncio.sleep(0.03)
        assert (await granted(workers[1], wish(returning=True))).starts == 1


class TestOutage:
    async def test_is_no_error_and_told_once_without_the_password(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        valkey.kill()
        valkey.password = "hush"
        worker = SharedRates(valkey.url)
        for _ in range(2):
            assert await worker.ask(HOST, wish()) is None
            assert await worker.paused(HOST) is None
            await worker.pause(HOST, 1)
            await worker.returned(HOST)
        (warning,) = caplog.messages
        assert f"Redis at unix://{valkey.socket} cannot be used" in warning
        valkey.start()
        assert await worker.ask(HOST, wish()) is not None, "it comes back by itself"
        assert caplog.messages[1].endswith("can be used again to share the ceilings of hosts")
        assert len(caplog.messages) == 2
        assert "hush" not in caplog.text
        await worker.close()

    async def test_a_server_that_hangs_is_gone(
        self, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = SharedRates(valkey.url)
        assert await worker.ask(HOST, wish()) is not None
        valkey.freeze()
        with monkeypatch.context() as impatient:
            impatient.setattr(module, "_PATIENCE", 0.2)
            assert await worker.ask(HOST, wish()) is None
        valkey.thaw()
        assert await worker.ask(HOST, wish()) is not None
        # Not what is below: which level is logged depends on the crawls of other tests.
        assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["WARNING"]
        await worker.close()

    @pytest.mark.parametrize("kind", ["rate", "pause", "users"])
    async def test_what_others_wrote_to_the_keys_is_no_error(
        self, workers: list[SharedRates], client: Redis, kind: str
    ) -> None:
        client.set(f"pyf:{kind}:{{{HOST}}}", "nonsense", px=100_000)
        assert await workers[0].ask(HOST, wish()) is None

    async def test_a_restarted_server_begins_anew(self, valkey: Valkey) -> None:
        worker = SharedRates(valkey.url)
        await granted(worker, wish(1000))
        valkey.kill()
        valkey.start()
        assert await worker.ask(HOST, wish()) is not None
        await worker.close()


class TestSharedPause:
    """Of an account: GitHub's hour for a token."""

    async def test_is_heard_by_others(self, valkey: Valkey) -> None:
        one, other = (SharedPause({"REDIS_HOST": valkey.url}, "api.github.com/ab12") for _ in range(2))
        stranger = SharedPause({"REDIS_URL": valkey.url}, "api.github.com/ffff")
        assert await other.left() == 0
        await one.begin(-5)
        assert await other.left() == 0
        await one.begin(3600)
        assert 3599 < await other.left() <= 3600
        assert await stranger.left() == 0
        for pause in (one, other, stranger):
            await pause.close()

    async def test_nothing_is_shared_without_a_server(self) -> None:
        pause = SharedPause({}, "api.github.com")
        await pause.begin(3600)
        assert await pause.left() == 0
        await pause.close()

    async def test_a_server_that_is_gone_has_none_and_says_nothing(
        self, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The download handler has said it."""
        valkey.kill()
        pause = SharedPause({"REDIS_URL": valkey.url}, "api.github.com")
        await pause.begin(3600)
        assert await pause.left() == 0
        await pause.close()
        assert caplog.messages == []


def test_a_host_has_one_name_and_no_password() -> None:
    assert host_name("https://me:hush@mirror.example:8443/pypi/") == "mirror.example:8443"


async def test_a_wrong_option_of_the_url_is_told() -> None:
    with pytest.raises(UsageProblem, match="an option that is not known"):
        SharedRates("redis://:hush@127.0.0.1/0?colour=red")
