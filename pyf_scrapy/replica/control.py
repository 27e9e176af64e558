"""The control endpoints under `/_replica/`, for tests, demo and benchmarks."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.events import parse_events
from pyf_scrapy.replica.faults import Plan, parse_plan
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.statistics import Statistics

PREFIX = "/_replica/"


class Control:
    """Reads and changes a running replica. Everything it refuses is a 400 with `{"error": one line}`."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.statistics = Statistics()
        self.plan = Plan()

    def routes(self) -> list[web.RouteDef]:
        """What aiohttp has to register."""
        return [
            web.get(f"{PREFIX}statistics", self._read_statistics),
            web.post(f"{PREFIX}reset", self._reset),
            web.get(f"{PREFIX}faults", self._read_faults),
            web.put(f"{PREFIX}faults", self._change_faults),
            web.get(f"{PREFIX}clock", self._read_clock),
            web.put(f"{PREFIX}clock", self._change_clock),
            web.get(f"{PREFIX}events", self._read_events),
            web.post(f"{PREFIX}events", self._add_events),
        ]

    async def _read_statistics(self, request: web.Request) -> web.Response:
        return web.json_response(self.statistics.report(paths="paths" in request.query))

    async def _reset(self, _request: web.Request) -> web.Response:
        """Sets the counters to zero, those of the fault plan too; what happened stays."""
        running = self.statistics.running
        self.statistics = Statistics()
        self.statistics.running = running
        self.plan = Plan(self.plan.rules)
        return web.json_response({})

    async def _read_faults(self, _request: web.Request) -> web.Response:
        rules = [asdict(rule) for rule in self.plan.rules]
        return web.json_response({"rules": rules, "applied": dict(self.plan.applied)})

    async def _change_faults(self, request: web.Request) -> web.Response:
        """Replaces the plan by the one in the body (YAML or JSON)."""
        try:
            self.plan = Plan(parse_plan((await request.read()).decode(errors="replace"), "plan"))
        except ReplicaError as error:
            return _refused(error)
        return await self._read_faults(request)

    async def _read_clock(self, _request: web.Request) -> web.Response:
        return web.json_response({"now": self._replica.now.isoformat(), "serial": self._replica.serial})

    async def _change_clock(self, request: web.Request) -> web.Response:
        """Sets the time of the next event: `{"now": "2026-11-02T08:00:00Z"}`."""
        try:
            self._replica.now = msgspec.json.decode(await request.read(), type=_Clock).moment()
        except (ReplicaError, msgspec.MsgspecError) as error:
            return _refused(error)
        return await self._read_clock(request)

    async def _read_events(self, request: web.Request) -> web.Response:
        """The journal; `?since=SERIAL` leaves out what is not newer."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return _refused(ReplicaError(f"events: since={since!r} is not a serial"))
        return web.json_response(_journal(self._replica, int(since)))

    async def _add_events(self, request: web.Request) -> web.Response:
        """Lets events happen and answers with their serials."""
        before = self._replica.serial
        try:
            self._replica.happen(parse_events(await request.read()))
        except ReplicaError as error:
            return _refused(error)
        return web.json_response(_journal(self._replica, before))


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    now: datetime

    def moment(self) -> datetime:
        if self.now.tzinfo is None:
            raise ReplicaError(f"clock: {self.now.isoformat()} needs a time zone")
        return self.now


def _journal(replica: Replica, since: int) -> list[dict[str, Any]]:
    return [entry._asdict() for entry in replica.journal if entry.serial > since]


def _refused(error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)
