"""One crawl shared by any number of workers: names in a list of Redis, and who works on what.

Nothing here needs to be kept: what Redis forgets, a worker drops or a kill loses is still in the difference
between PyPI's index and the store, which the leader computes again. The keys are scrapy-redis' where it has
them: `NAME:start_urls` is the list that its `pop_list_queue` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis import Redis
from redis.exceptions import RedisError
from scrapy_redis.spiders import RedisMixin

from pyf_scrapy.exceptions import QueueError
from pyf_scrapy.queue.connection import connect, shown
from pyf_scrapy.queue.keys import (
    ALIVE,
    covers_key,
    crawl_name,
    errors_key,
    held_key,
    member,
    new_worker,
    of_member,
    scopes_key,
    workers_key,
)
from pyf_scrapy.queue.messages import Covers, decode_covers, encode_covers

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a leader counts as leader after its last word.
LEADING: Final = 10
_LEAST_WAITING: Final = 500
_WAITING_FOR_EACH: Final = 32  # of the requests that workers have at a time
_KEPT: Final = 86_400  # seconds that the keys of a crawl outlive its last word
_ASIDE: Final = 10_000  # messages that could not be understood

# Takes or renews the lead: only who leads may renew it, whoever finds nobody takes it.
_LEAD: Final = """
local leader = redis.call('GET', KEYS[1])
if leader == false or leader == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1
end
return 0
"""
_RESIGN: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# How long the data are there: a Redis that has lost them begins anew.
_AGE: Final = """
local now = redis.call('TIME')
redis.call('SET', KEYS[1], now[1], 'NX')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return now[1] - redis.call('GET', KEYS[1])
"""


class Crawl(msgspec.Struct, frozen=True):
    """The crawl that is shared: `began` is epoch seconds; `done`: the leader found nothing left to do."""

    id: str
    began: int
    done: bool = False


class SharedQueue(RedisMixin):  # type: ignore[misc]  # scrapy-redis has no types
    """The keys of one spider's shared crawl, for the worker `worker`.

    Only workers with the same `scope` share their work: others have another store, or look for others.
    All methods block (use threads) and raise QueueError while Redis cannot be reached.
    """

    def __init__(
        self,
        url: str,
        spider: str,
        scope: str = "",
        *,
        covers: Covers | None = None,
        worker: str | None = None,
    ) -> None:
        self.server: Redis = connect(url)
        self.shown = shown(url)
        name = crawl_name(spider, scope)
        self.redis_key = f"{name}:start_urls"
        self.worker = worker or new_worker()
        self._leader = f"{name}:leader"
        self._crawl = f"{name}:crawl"
        self._name = name
        self._scope = scope
        self._covers = covers
        self._covers_key = covers_key(name)
        self._scopes = scopes_key(spider)
        self._workers = workers_key(name)
        self._errors = errors_key(name)
        self._lead = self.server.register_script(_LEAD)
        self._resign = self.server.register_script(_RESIGN)
        self._began = f"{name}:began"
        self._age = self.server.register_script(_AGE)

    def close(self) -> None:
        """Close all connections."""
        self.server.close()

    # -- names ------------------------------------------------------------------------------------

    def push(self, messages: Sequence[bytes]) -> int:
        """Append messages; return how many wait now."""
        return int(
            self._do(lambda: self.server.rpush(self.redis_key, *messages)) if messages else self.length()
        )

    def takers(self, wanted: Covers) -> int:
        """How many workers are alive; 0 when one of them would do nothing with what is wanted there."""
        alive = list(self.alive())
        rows = self._do(lambda: self.server.hmget(self._covers_key, alive)) if alive else ()
        return (
            len(alive)
            if all(row is not None and decode_covers(row).are_enough_for(wanted) for row in rows)
            else 0
        )

    def give_back(self, messages: Sequence[bytes]) -> None:
        """Put messages that were popped and not used where they were."""
        if messages:
            self._do(lambda: self.server.lpush(self.redis_key, *reversed(messages)))

    def pop(self, most: int) -> list[bytes]:
        """Take messages, the oldest first. With the names of what was taken call `hold` at once."""
        return list(self._do(lambda: self.pop_list_queue(self.redis_key, most)))

    def length(self) -> int:
        """How many messages wait."""
        return int(self._do(lambda: self.server.llen(self.redis_key)))

    def waiting(self) -> list[bytes]:
        """The messages that wait; few, because the leader writes no more than workers need soon."""
        return list(self._do(lambda: self.server.lrange(self.redis_key, 0, -1)))

    def set_aside(self, message: bytes) -> None:
        """Keep a message that nobody understands where a person can find it."""

        def keep() -> None:
            self.server.lpush(self._errors, message[:10_000])
            self.server.ltrim(self._errors, 0, _ASIDE - 1)

        self._do(keep)

    # -- workers ----------------------------------------------------------------------------------

    def hold(self, names: Iterable[str]) -> None:
        """Say that this worker works on these, too."""
        if names := list(names):
            self._do(lambda: self._hold(names, fresh=False))

    def report(self, names: Iterable[str], concurrency: int) -> None:
        """Say that this worker is alive, what all it works on, and how many requests it has at a time."""

        def tell() -> None:
            now = self._now()
            self.server.zadd(self._workers, {member(self.worker, concurrency): now})
            self.server.zremrangebyscore(self._workers, "-inf", now - _KEPT)
            if self._covers is not None:
                self.server.hset(self._covers_key, self.worker, encode_covers(self._covers))
                self.server.expire(self._covers_key, _KEPT)
            if self._scope:
                self.server.zadd(self._scopes, {self._scope: now})
                self.server.zremrangebyscore(self._scopes, "-inf", now - _KEPT)
            self._hold(list(names), fresh=True)

        self._do(tell)

    def retire(self, concurrency: int) -> None:
        """Say that this worker ends: what it held is free, and so is the lead."""

        def end() -> None:
            self.server.zrem(self._workers, member(self.worker, concurrency))
            self.server.delete(held_key(self._name, self.worker))
            self.server.hdel(self._covers_key, self.worker)
            self._resign(keys=[self._leader], args=[self.worker])

        self._do(end)

    def alive(self) -> dict[str, int]:
        """The workers that are alive, with how many requests each has at a time."""
        rows = self._do(lambda: self.server.zrangebyscore(self._workers, self._now() - ALIVE, "+inf"))
        return dict(map(of_member, rows))

    def held(self) -> set[str]:
        """What living workers work on."""
        keys = [held_key(self._name, worker) for worker in self.alive()]
        names = self._do(lambda: self.server.sunion(keys)) if keys else ()
        return {_text(name) for name in names}

    def age(self) -> int:
        """Seconds since Redis began to know of workers: when it has just lost all, most have yet to tell."""
        return int(self._do(lambda: self._age(keys=[self._began], args=[_KEPT])))

    # -- the lead ---------------------------------------------------------------------------------

    def lead(self) -> bool:
        """Take or keep the lead; whether this worker leads now."""
        return bool(self._do(lambda: self._lead(keys=[self._leader], args=[self.worker, LEADING])))

    def crawl(self) -> Crawl | None:
        """The crawl that is shared, None when there is none (or Redis has lost it)."""
        data = self._do(lambda: self.server.get(self._crawl))
        try:
            return None if data is None else msgspec.json.decode(data, type=Crawl)
        except msgspec.MsgspecError:
            return None

    def save_crawl(self, crawl: Crawl) -> bool:
        """Tell all workers of it; whether that was done."""
        return bool(self._do(lambda: self.server.set(self._crawl, msgspec.json.encode(crawl), ex=_KEPT)))

    # ---------------------------------------------------------------------------------------------

    def _hold(self, names: Sequence[str], *, fresh: bool) -> None:
        key = held_key(self._name, self.worker)
        with self.server.pipeline() as pipe:
            if fresh:
                pipe.delete(key)
            if names:
                pipe.sadd(key, *names)
                pipe.expire(key, _KEPT)
            pipe.execute()

    def _now(self) -> float:
        """The server's clock, the only one that all workers share."""
        seconds, micros = self.server.time()
        return float(seconds) + float(micros) / 1e6

    def _do(self, operation: Callable[[], Any]) -> Any:
        try:
            return operation()
        except (RedisError, OSError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise QueueError(f"Redis at {self.shown} cannot be used ({reason}); see REDIS_URL") from None


def low_water(workers: Mapping[str, int]) -> int:
    """So many names wait at least, or the leader writes more: seconds' work where there is no ceiling, two
    minutes' at PyPI's."""
    return max(_LEAST_WAITING, _WAITING_FOR_EACH * sum(workers.values()))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
