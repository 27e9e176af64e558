"""Runs a replica in a thread of its own, for tests that are synchronous or start other processes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.busy import busy
from pyf_scrapy.replica.cdn import CdnOptions
from pyf_scrapy.replica.control import PREFIX
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.faults import Rule
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.server import serve
from pyf_scrapy.replica.service_options import ServiceOptions
from pyf_scrapy.replica.services import CLICKPY, GITHUB, PYPISTATS


class Handle:
    """A running replica: its address, its truth and its control endpoints."""

    def __init__(self, url: str, replica: Replica) -> None:
        self.url = url
        self.replica = replica

    def statistics(self, *, paths: bool = False) -> dict[str, Any]:
        """The counters (see Statistics); `paths` adds the requests of each path."""
        return dict(self._call("GET", f"statistics{'?paths=1' if paths else ''}"))

    def reset(self) -> None:
        """Sets all counters to zero."""
        self._call("POST", "reset")

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replaces the fault plan; `[]` ends all faults. Raises ReplicaError when a rule is wrong."""
        self._call("PUT", "faults", list(rules))

    def event(self, *events: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Lets events happen; gives the journal's lines with their serials. Raises ReplicaError."""
        return list(self._call("POST", "events", list(events)))

    def busy(
        self, dice: Dice, count: int = 1, *, classifier: str | None = None, kinds: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        """Lets random events happen (see busy.py); gives the journal's lines. Raises ReplicaError."""
        entries = []
        for _ in range(count):
            event = busy(self.replica, dice, classifier, kinds)
            entries += self.event(msgspec.to_builtins(event))
        return entries

    def clock(self, now: str) -> None:
        """Sets the time (ISO 8601 with zone) of the next event."""
        self._call("PUT", "clock", {"now": now})

    def advance(self, seconds: float) -> None:
        """Lets time pass, for the next event, the CDN and the services."""
        self._call("POST", "advance", {"seconds": seconds})

    def cdn(self, options: Mapping[str, Any] | None) -> None:
        """Puts an empty CDN in front (the values of CdnOptions), None takes it away. Raises ReplicaError."""
        self._call("PUT", "cdn", options)

    def services(self, **options: Any) -> None:
        """Puts options of the services in force (ServiceOptions); those left out get their defaults.

        All budgets are full again. Raises ReplicaError.
        """
        self._call("PUT", "services", options)

    @property
    def github_url(self) -> str:
        """The address of GitHub's API."""
        return self.url + GITHUB

    @property
    def pypistats_url(self) -> str:
        """The address of pypistats, which `/api/packages/NAME/recent` stands below."""
        return self.url + PYPISTATS

    @property
    def clickpy_url(self) -> str:
        """The address of ClickPy."""
        return self.url + CLICKPY

    def _call(self, method: str, endpoint: str, body: object = None) -> Any:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, PREFIX + endpoint, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ReplicaError(answer["error"])
        return answer


@contextmanager
def running_replica(
    options: Options | None = None,
    *,
    latency: float = 0.0,
    rules: Sequence[Rule] = (),
    cdn: CdnOptions | None = None,
    services: ServiceOptions | None = None,
) -> Iterator[Handle]:
    """A replica at an address of its own until the block ends. Raises ReplicaError, OSError."""
    replica = Replica(options)
    started: list[tuple[str, asyncio.AbstractEventLoop]] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        async with serve(replica, latency=latency, rules=rules, cdn=cdn, services=services) as url:
            started.append((url, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            # It awaits the answers under way: one destroyed with the loop would be logged later.
            asyncio.run(run())
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="replica", daemon=True)
    thread.start()
    ready.wait()
    try:
        if not started:
            raise ReplicaError("the replica could not be started")
        yield Handle(started[0][0], replica)
    finally:
        for _, loop in started:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
