"""When each process may ask a host whose ceiling and pauses hold for all of them, kept in Redis.

A host has a schedule of starts, one every so many seconds, of which each process takes a few at a time; a
pause, which ends by itself; and, after a pause, the right to come back, which one process has at a time.
Nothing is kept for longer than it is needed, and all times are the server's.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pyf_scrapy.queue.connection import connect_async, redis_url, shown

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds for which an answer is waited for; meanwhile nothing starts.
_PATIENCE: Final = 2.0
_MICROSECONDS: Final = 1_000_000

# KEYS: schedule, pause, right to come back, users. ARGV: microseconds between two starts, how many of them,
# how many microseconds from now at the earliest, for whom, and whether that one comes back after a pause.
# A schedule that is further ahead than its users can have booked it is that of a clock which was set back.
# Times are written as text: Lua would round them.
_ASK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, count, earliest = tonumber(ARGV[1]), tonumber(ARGV[2]), now + tonumber(ARGV[3])
local me = ARGV[4]
local function be_user_until(last)
    redis.call('ZADD', KEYS[4], string.format('%.0f', last + 60000000), me)
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', now))
be_user_until(now)
redis.call('PEXPIRE', KEYS[4], 86400000)
local users = redis.call('ZCARD', KEYS[4])
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then
    return {now, now, 0, pause, tonumber(redis.call('GET', KEYS[2])), users}
end
if ARGV[5] == '1' and not redis.call('SET', KEYS[3], me, 'NX', 'PX', 10000)
        and redis.call('GET', KEYS[3]) ~= me then
    return {now, now, 0, 100, 0, users}
end
local first = tonumber(redis.call('GET', KEYS[1]) or 0)
if first < earliest or first > now + 2 * users * math.max(interval, 1000000) then
    first = earliest
end
local after = first + count * interval
if count > 0 and after > now then
    be_user_until(after)
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
end
return {now, first, count, 0, 0, users}
"""

# KEYS: pause, right to come back. ARGV: milliseconds, refusals in a row.
_PAUSE: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
redis.call('DEL', KEYS[2])
"""


class Wish(NamedTuple):
    """What a process would like to do; times in seconds."""

    starts: int
    """Requests; 0: it only listens."""
    interval: float
    """Between two starts of all processes together; 0: as many as they like."""
    lead: float
    """What it needs to be told before the first of them."""
    returning: bool
    """Whether the request would be its first one after a pause: one process may send such at a time."""


class Grant(NamedTuple):
    """What a process was told about a host; times in seconds by the server's clock."""

    now: float
    first: float
    """The first of the starts that are its own; the others follow at the interval of its wish."""
    starts: int
    """How many they are; none during a pause, or while another process comes back."""
    pause: float
    """Seconds for which it must not start anything, and then ask again."""
    refusals: int
    """In a row, of the process that was told to pause; 0 when another one just comes back."""
    users: int
    """Processes that asked, or took a start, within the last minute, this one included."""


class SharedRates:
    """The ceilings and pauses of hosts; of one process, on one event loop. Close it.

    Nothing raises: what cannot be asked is None, and if it is to `warn` the log says so once per outage. But
    to make one raises UsageProblem.
    """

    def __init__(self, url: str, *, warn: bool = True) -> None:
        self._client = connect_async(url, _PATIENCE)
        from redis.exceptions import RedisError  # with connect_async(): see there

        # A name that cannot be encoded is a ValueError; what others wrote to our keys may be anything.
        self._errors = (RedisError, OSError, ValueError, TypeError)
        self._name = f"Redis at {shown(url)}"
        self._me = uuid.uuid4().hex
        self._asking = self._client.register_script(_ASK)
        self._pausing = self._client.register_script(_PAUSE)
        self._warn = warn
        self._is_lost = False

    async def ask(self, host: str, wish: Wish) -> Grant | None:
        """Take starts, each for nobody else."""
        return await self._attempt(self._ask(host, wish))

    async def pause(self, host: str, seconds: float, refusals: int = 1) -> None:
        """Let nobody ask the host for so long, or until a pause ends that is longer."""
        keys = [_key("pause", host), _key("return", host)]
        await self._attempt(self._pausing(keys, [math.ceil(seconds * 1000), refusals]))

    async def paused(self, host: str) -> float | None:
        """Seconds of the host's pause that are left, 0 when it has none."""
        left = await self._attempt(self._client.pttl(_key("pause", host)))
        return None if left is None else max(int(left), 0) / 1000

    async def returned(self, host: str) -> None:
        """The first request after a pause was answered: the next process may come back."""
        await self._attempt(self._client.delete(_key("return", host)))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _ask(self, host: str, wish: Wish) -> Grant:
        keys = [_key(kind, host) for kind in ("rate", "pause", "return", "users")]
        interval, lead = (math.ceil(seconds * _MICROSECONDS) for seconds in (wish.interval, wish.lead))
        answer = await self._asking(keys, [interval, wish.starts, lead, self._me, int(wish.returning)])
        now, first, starts, pause, refusals, users = map(int, answer)
        return Grant(now / _MICROSECONDS, first / _MICROSECONDS, starts, pause / 1000, refusals, users)

    async def _attempt(self, call: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                result = await call
        except self._errors as error:
            if self._warn and not self._is_lost:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                logger.warning(
                    "%s cannot be used to share the ceilings of hosts with other workers (%s): until it can, "
                    "hosts with a ceiling are asked less often, and pauses hold for this worker alone",
                    self._name,
                    reason,
                )
            self._is_lost = True
            return None
        if self._warn and self._is_lost:
            logger.info("%s can be used again to share the ceilings of hosts", self._name)
        self._is_lost = False
        return result


class SharedPause:
    """The pause of a budget that several workers spend, told by one and heard by all; without a Redis, none.

    `name` says whose budget it is: that of a host (`host_name`), or of an account there. It is for one event
    loop. Close it. The download handler says when Redis is gone.
    """

    def __init__(self, settings: Mapping[str, Any], name: str) -> None:
        url = redis_url(settings)
        self._rates = None if url is None else SharedRates(url, warn=False)
        self._pause_of = name

    async def left(self) -> float:
        """Seconds of the pause that are left, as far as known."""
        if self._rates is None:
            return 0.0
        return await self._rates.paused(self._pause_of) or 0.0

    async def begin(self, seconds: float) -> None:
        """Tell all workers to pause."""
        if self._rates is not None and seconds > 0:
            await self._rates.pause(self._pause_of, seconds)

    async def close(self) -> None:
        """Close its connection."""
        if self._rates is not None:
            await self._rates.close()


def host_name(url: str) -> str:
    """Host and port of a URL, as written; never the user and password that may stand before them."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _key(kind: str, host: str) -> str:
    """In a cluster, keys with the same braces are on the same server."""
    return f"pyf:{kind}:{{{host}}}"
