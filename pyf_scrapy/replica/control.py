"""The control endpoints under `/_replica/`, for tests, demo and benchmarks. All speak JSON.

| endpoint | does |
|---|---|
| `GET statistics` | the counters (statistics.py, `cdn`: cdn.py); `?paths=1`: also of each path |
| `POST reset` | all counters to zero |
| `GET faults`, `PUT faults` | the fault plan (faults.py), YAML or JSON |
| `GET clock`, `PUT clock` | time and last serial; `{"now": ...}` sets the time of the next event |
| `POST advance` | `{"seconds": 1800}` pass, for the next event, the CDN and the services |
| `GET events`, `POST events` | the journal, `?since=SERIAL`; lets some happen ([repository_]events.py) |
| `GET services`, `PUT services` | the options of GitHub, pypistats and ClickPy (service_options.py) |
| `GET cdn`, `PUT cdn` | the CDN's options; `{"nodes": 3, ...}` puts an empty one in front, `null` none |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from aiohttp import web

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.cdn import COUNTED, Cdn, CdnOptions, parse_cdn
from pyf_scrapy.replica.faults import Plan, parse_plan
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.repository_events import parse_happening
from pyf_scrapy.replica.service_options import ServiceOptions, parse_services
from pyf_scrapy.replica.services import Services
from pyf_scrapy.replica.statistics import Statistics

PREFIX = "/_replica/"


class Control:
    """Reads and changes a running replica. Everything it refuses is a 400 with `{"error": one line}`."""

    def __init__(self, replica: Replica, services: ServiceOptions | None = None) -> None:
        self._replica = replica
        self.services = Services(replica, services)
        self.statistics = Statistics()
        self.plan = Plan()
        self.cdn: Cdn | None = None

    def switch_cdn(self, options: CdnOptions | None) -> None:
        """Puts an empty CDN in front of the replica, None takes it away."""
        if self.cdn is not None:
            self.cdn.close()
        self.cdn = None if options is None else Cdn(self._replica, options)

    def routes(self) -> list[web.RouteDef]:
        """What aiohttp has to register."""
        return [
            web.get(f"{PREFIX}statistics", self._read_statistics),
            web.post(f"{PREFIX}reset", self._reset),
            web.get(f"{PREFIX}faults", self._read_faults),
            web.put(f"{PREFIX}faults", self._change_faults),
            web.get(f"{PREFIX}clock", self._read_clock),
            web.put(f"{PREFIX}clock", self._change_clock),
            web.post(f"{PREFIX}advance", self._advance),
            web.get(f"{PREFIX}cdn", self._read_cdn),
            web.put(f"{PREFIX}cdn", self._change_cdn),
            web.get(f"{PREFIX}services", self._read_services),
            web.put(f"{PREFIX}services", self._change_services),
            web.get(f"{PREFIX}events", self._read_events),
            web.post(f"{PREFIX}events", self._add_events),
        ]

    async def _read_statistics(self, request: web.Request) -> web.Response:
        report = self.statistics.report(paths="paths" in request.query)
        counts = self.cdn.counts if self.cdn else Counter[str]()
        report["cdn"] = {key: counts[key] for key in COUNTED}
        report["services"] = self.services.report()
        return web.json_response(report)

    async def _reset(self, _request: web.Request) -> web.Response:
        """Sets the counters to zero, those of fault plan and CDN too; what happened stays."""
        if self.cdn:
            self.cdn.counts.clear()
        running = self.statistics.running
        self.statistics = Statistics()
        self.statistics.running = running
        self.services.reset()
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

    async def _advance(self, request: web.Request) -> web.Response:
        try:
            seconds = msgspec.json.decode(await request.read(), type=_Advance).seconds
        except msgspec.MsgspecError as error:
            return _refused(error)
        self._replica.now += timedelta(seconds=seconds)
        if self.cdn:
            self.cdn.advance(seconds)
        self.services.clock.advance(seconds)
        return await self._read_clock(request)

    async def _read_cdn(self, _request: web.Request) -> web.Response:
        return web.json_response(msgspec.to_builtins(self.cdn.options if self.cdn else None))

    async def _change_cdn(self, request: web.Request) -> web.Response:
        try:
            self.switch_cdn(parse_cdn(await request.read()))
        except ReplicaError as error:
            return _refused(error)
        return await self._read_cdn(request)

    async def _read_services(self, _request: web.Request) -> web.Response:
        return web.json_response(msgspec.to_builtins(self.services.options))

    async def _change_services(self, request: web.Request) -> web.Response:
        """Puts options in force, those left out have their defaults; all budgets are full again."""
        try:
            self.services.switch(parse_services(await request.read()))
        except ReplicaError as error:
            return _refused(error)
        return await self._read_services(request)

    async def _read_events(self, request: web.Request) -> web.Response:
        """The journal; `?since=SERIAL` leaves out what is not newer."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return _refused(ReplicaError(f"events: since={since!r} is not a serial"))
        newer = [entry for entry in self._replica.journal if entry.serial > int(since)]
        return web.json_response([entry._asdict() for entry in newer])

    async def _add_events(self, request: web.Request) -> web.Response:
        """Lets events happen and answers with their lines of the journal."""
        try:
            entries = self._replica.happen(parse_happening(await request.read()))
        except ReplicaError as error:
            return _refused(error)
        return web.json_response([entry._asdict() for entry in entries])


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    now: datetime

    def moment(self) -> datetime:
        if self.now.tzinfo is None:
            raise ReplicaError(f"clock: {self.now.isoformat()} needs a time zone")
        return self.now


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]


def _refused(error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)
