"""What waits in Redis: the keys of scrapy-redis for our spiders, and the feeds' keys that say "done".

Workers that share their requests over Redis use scrapy-redis' names of keys (its `defaults.py`, 0.9.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from pyf_scrapy.exceptions import QueueError
from pyf_scrapy.queue.connection import connect, shown
from pyf_scrapy.queue.keys import ALIVE, crawl_name, held_key, of_member, scopes_key, workers_key

#: Keys of a spider by what is in them; a request that is purged must not stay "seen" in the dupefilter.
_KINDS: Final = ("requests", "start_urls", "items", "dupefilter", "errors")
_PURGED: Final = ("requests", "start_urls", "dupefilter")
_REQUESTS: Final = (":requests", ":start_urls")

_DEDUP: Final = "pyf:dedup:*"
_SCAN: Final = 5_000  # keys looked at in one call, so that the server answers others in between
_MOST_CALLS: Final = 400
_SHOWN: Final = 5  # names of a worker

# Type of a key -> the command that counts what is in it.
_LENGTHS: Final = {"list": "LLEN", "set": "SCARD", "zset": "ZCARD"}


@dataclass(frozen=True)
class Worker:
    """A living worker: how many requests it has at a time, how many names it works on, some of them."""

    spider: str
    worker: str
    concurrency: int
    names: int
    some: list[str]


@dataclass(frozen=True)
class RedisState:
    """What is in Redis. `keys`: those of our spiders that exist -> how much is in each. `seen` counts the
    entries of feeds that are done, `seen_is_least` when the server has too many keys to count them all."""

    server: str
    keys: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    seen_is_least: bool = False
    workers: list[Worker] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests wait for workers."""
        return sum(length for key, length in self.keys.items() if key.endswith(_REQUESTS))


class RedisQueue:
    """The keys of `spiders` (names) in the Redis at `url`. All methods raise QueueError, one line."""

    def __init__(self, url: str, spiders: Sequence[str]) -> None:
        """Nothing is sent yet. Raises UsageProblem when the URL cannot be used."""
        self._client = connect(url)
        self._shown = shown(url)
        self._spiders = spiders

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def state(self) -> RedisState:
        """Count what is there; of the feeds' keys, so many that it takes no more than seconds."""
        with self._errors():
            keys = {key: length for key, length in self._lengths(_KINDS) if length}
            seen, calls = 0, 0
            for names in self._scan():
                seen, calls = seen + len(names), calls + 1
                if calls == _MOST_CALLS:
                    break
            workers = list(self._workers())
            return RedisState(self._shown, keys, seen, seen_is_least=calls == _MOST_CALLS, workers=workers)

    def purge(self) -> int:
        """Delete the requests that wait for workers, and what says that they were seen; returns how many
        there were. Results that nobody took (`items`) stay."""
        with self._errors():
            waiting = dict(self._lengths(_PURGED))
            if waiting:
                self._client.unlink(*waiting)
            return sum(length for key, length in waiting.items() if key.endswith(_REQUESTS))

    def forget_seen(self) -> int:
        """Delete the feeds' keys; returns how many there were."""
        with self._errors():
            return sum(int(self._client.unlink(*names)) for names in self._scan() if names)

    def _lengths(self, kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
        keys = [f"{name}:{kind}" for _, name in self._crawls() for kind in kinds]
        types = [_text(answer) for answer in self._pipeline([("TYPE", key) for key in keys])]
        known = [(key, _LENGTHS[kind]) for key, kind in zip(keys, types, strict=True) if kind in _LENGTHS]
        lengths = self._pipeline([(command, key) for key, command in known])
        yield from ((key, int(length)) for (key, _), length in zip(known, lengths, strict=True))

    def _crawls(self) -> Iterator[tuple[str, str]]:
        """Each spider with its own name, and with those of its crawls that were shared in the last day."""
        for spider in self._spiders:
            yield spider, spider
            scopes: Any = self._client.zrange(scopes_key(spider), 0, -1)
            for scope in scopes:
                yield spider, crawl_name(spider, _text(scope))

    def _workers(self) -> Iterator[Worker]:
        """Who works on what, in every spider whose workers share their names."""
        now: Any = self._client.time()
        for spider, name in self._crawls():
            rows: Any = self._client.zrangebyscore(workers_key(name), now[0] - ALIVE, "+inf")
            for worker, concurrency in map(of_member, rows):
                key = held_key(name, worker)
                number: Any = self._client.scard(key)
                some: Any = self._client.srandmember(key, _SHOWN)
                yield Worker(spider, worker, concurrency, number, sorted(map(_text, some)))

    def _pipeline(self, commands: Sequence[tuple[str, str]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no type
            return list(pipeline.execute())

    def _scan(self) -> Iterator[list[Any]]:
        """The feeds' keys, some at a time; one may come twice."""
        cursor = 0
        while True:
            answer: Any = self._client.scan(cursor, match=_DEDUP, count=_SCAN)
            cursor, names = answer
            yield names
            if not cursor:
                return

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from redis.exceptions import RedisError  # with connect(): see there

        try:
            yield
        except (RedisError, OSError, ValueError) as error:  # the last: a host that cannot be encoded
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise QueueError(f"Redis at {self._shown} cannot be used ({reason}); see REDIS_URL") from None


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
