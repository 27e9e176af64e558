"""Serves a replica over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote

from aiohttp import web

from pyf_scrapy.replica.answers import Answer, send
from pyf_scrapy.replica.cdn import CdnOptions
from pyf_scrapy.replica.control import Control
from pyf_scrapy.replica.failing import failure
from pyf_scrapy.replica.faults import Plan, Rule
from pyf_scrapy.replica.pypi import PyPI, Question, understand
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.service_options import ServiceOptions
from pyf_scrapy.replica.services import CLICKPY, GITHUB, KINDS, service

_NO_PAGE = Answer(b"404 Not Found", "text/plain; charset=UTF-8", 404)


class Server:
    """One replica behind HTTP: counts, delays and spoils requests, and lets others answer the rest."""

    def __init__(
        self,
        replica: Replica,
        *,
        latency: float = 0.0,
        rules: Sequence[Rule] = (),
        cdn: CdnOptions | None = None,
        services: ServiceOptions | None = None,
    ) -> None:
        self.control = Control(replica, services)
        self.control.plan = Plan(list(rules))
        self.control.switch_cdn(cdn)
        self._pypi = PyPI(replica)
        self._latency = latency

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=64 * 2**20)
        application.add_routes(self.control.routes())
        for prefix in (GITHUB, CLICKPY):
            application.router.add_post(f"{prefix}{{path:(?:/.*)?}}", self._handle)
        application.router.add_get("/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.raw_path.partition("?")[0])
        question = understand(path, request.headers.get("Accept", ""))
        kind = service(path) or (question.kind if question else "other")
        services = self.control.services if kind in KINDS else None
        statistics = self.control.statistics
        statistics.begin(path, request.headers.get("User-Agent", ""))
        if services:
            services.begin(kind, request)
        status = sent = 0
        try:
            if self._latency:
                await asyncio.sleep(self._latency)
            rule = self.control.plan.next(path, question.name if question else None)
            if rule and rule.fault == "disconnect":
                if request.transport:
                    request.transport.abort()
                return web.Response()
            response, sent = await send(
                request,
                await self._answer(kind, question, path, request, rule),
                cut=rule is not None and rule.fault == "cut",
            )
            status = response.status
            return response
        finally:
            statistics.end(kind, status, sent)
            if services:
                services.end(kind, status)

    async def _answer(
        self, kind: str, question: Question | None, path: str, request: web.Request, rule: Rule | None
    ) -> Answer:
        lag = None
        if rule:
            if spoiled := failure(rule, kind):
                if kind in KINDS:
                    self.control.services.spoiled(kind, request, spoiled)
                return spoiled
            if rule.fault == "slow":
                await asyncio.sleep(rule.delay)
            lag = rule.serial_lag if rule.fault == "stale" else None
        if kind in KINDS:
            return await self.control.services.answer(kind, path, request)
        if question is None:
            return _NO_PAGE
        cdn = self.control.cdn
        if cdn is None or lag is not None or path != question.path:
            return await self._pypi.answer(question, path, lag)
        return await cdn.answer(question, self._pypi)


@asynccontextmanager
async def serve(
    replica: Replica,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    latency: float = 0.0,
    rules: Sequence[Rule] = (),
    cdn: CdnOptions | None = None,
    services: ServiceOptions | None = None,
) -> AsyncIterator[str]:
    """Serves in the running loop and gives the address (`http://127.0.0.1:PORT`).

    Port 0 lets the system choose; `latency` in seconds is added to every answer; `cdn` puts a CDN in front;
    `services` are the options of GitHub, pypistats and ClickPy, below `/github`, `/pypistats` and `/clickpy`.
    Raises OSError when the address is taken.
    """
    server = Server(replica, latency=latency, rules=rules, cdn=cdn, services=services)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
