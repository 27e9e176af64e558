"""The services beside PyPI, each below a path of its own: GitHub, pypistats, ClickPy."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pyf_scrapy.replica import graphql
from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.clickpy import ClickPy
from pyf_scrapy.replica.downloads import Downloads, PyPIStats
from pyf_scrapy.replica.github import Asked, GitHubRest
from pyf_scrapy.replica.github_limits import ANONYMOUS, DOCS, JSON, GitHubLimits
from pyf_scrapy.replica.limits import Clock, Watch
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.service_options import ServiceOptions

GITHUB = "/github"
PYPISTATS = "/pypistats"
CLICKPY = "/clickpy"

REST = "github-rest"
GRAPHQL = "github-graphql"
KINDS = (REST, GRAPHQL, "pypistats", "clickpy")
"""What requests are counted as."""

_TOKEN = re.compile(r"^(?:bearer|token) +(\S+)$", re.IGNORECASE)


def service(path: str) -> str | None:
    """Which of KINDS a path belongs to; None: to PyPI."""
    if path == f"{GITHUB}/graphql":
        return GRAPHQL
    for prefix, kind in ((GITHUB, REST), (PYPISTATS, "pypistats"), (CLICKPY, "clickpy")):
        if path == prefix or path.startswith(f"{prefix}/"):
            return kind
    return None


class Services:
    """Answers, limits and counts. Other options begin with full budgets and a new clock."""

    def __init__(self, replica: Replica, options: ServiceOptions | None = None) -> None:
        self._replica = replica
        self._watches: dict[str, Watch] = {}
        self.switch(options or ServiceOptions())

    def switch(self, options: ServiceOptions) -> None:
        """Puts other options in force; the counters go on."""
        self.options = options
        self.clock = Clock(options.speed)
        before = self._watches
        self._watches = {kind: Watch(self.clock) for kind in KINDS}
        for kind, watch in before.items():
            self._watches[kind].continue_from(watch)
        self._limits = GitHubLimits(options, self.clock)
        repositories = self._replica.repositories
        repositories.extra = options.extra_repositories
        self._rest = GitHubRest(repositories, self._limits, self._watches[REST])
        downloads = Downloads(self._replica)
        stats = self._watches["pypistats"]
        self._pypistats = PyPIStats(downloads, self.clock, stats, limits=options.pypistats_limits)
        self._clickpy = ClickPy(downloads, options.clickpy_query_size, options.clickpy_most_rows)

    def begin(self, kind: str, request: web.Request) -> None:
        """Counts a request that came in."""
        self._watches[kind].begin(_client(request), self.options.grace)

    def end(self, kind: str, status: int) -> None:
        """Counts its answer."""
        self._watches[kind].end(status)

    def spoiled(self, kind: str, request: web.Request, answer: Answer) -> None:
        """Takes note of an answer of the fault plan."""
        self._watches[kind].hear(_client(request), answer.status, answer.headers)

    async def answer(self, kind: str, path: str, request: web.Request) -> Answer:
        """The answer of a service to a request for one of its paths, without percent-encoding."""
        if kind == "clickpy":
            return await asyncio.to_thread(self._clickpy.answer, request.query_string, await request.read())
        if kind == "pypistats":
            return self._pypistats.answer(path[len(PYPISTATS) :], request.query_string, _client(request))
        client = _client(request)
        if client == self.options.bad_token:
            return _message(401, "Bad credentials", f"{DOCS}/rest")
        if kind == GRAPHQL:
            return self._graphql(client, await request.read())
        asked = Asked(
            path[len(GITHUB) :],
            request.query_string,
            f"{request.scheme}://{request.host}{GITHUB}",
            client,
            request.headers.get("If-None-Match", ""),
        )
        if request.method != "GET":
            return _message(404, "Not Found", f"{DOCS}/rest")
        return self._rest.answer(asked)

    def report(self) -> dict[str, Any]:
        """The counters of each service."""
        return {kind: watch.report() for kind, watch in self._watches.items()}

    def reset(self) -> None:
        """Sets the counters to zero."""
        for watch in self._watches.values():
            watch.reset()

    def _graphql(self, client: str, body: bytes) -> Answer:
        if client == ANONYMOUS:
            documentation = f"{DOCS}/graphql/guides/forming-calls-with-graphql#authenticating-with-graphql"
            return _message(401, "This endpoint requires you to be authenticated.", documentation)
        watch = self._watches[GRAPHQL]
        refusal = self._limits.refusal("graphql", client, watch)
        if refusal:
            return refusal
        status = 200
        try:
            query = graphql.prepare(body)
        except graphql.RefusedQueryError as refused:
            self._limits.spend("graphql", client, 1, watch)
            return self._answered(client, 200, {"errors": refused.errors})
        except (ValueError, RecursionError):
            return _message(400, "Problems parsing JSON", f"{DOCS}/graphql")
        self._limits.spend("graphql", client, query.cost, watch)
        most = self.options.graphql_most_aliases
        if query.repositories > most and self.options.graphql_overload == "502":
            status, document = 502, graphql.timed_out()
        else:
            state = self._limits.state("graphql", client)
            reset = datetime.fromtimestamp(state["reset"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            run = graphql.Run(query, self._replica.repositories, {**state, "resetAt": reset}, most)
            document = {"data": run.data, **({"errors": run.errors} if run.errors else {})}
        return self._answered(client, status, document)

    def _answered(self, client: str, status: int, document: dict[str, Any]) -> Answer:
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return Answer(body, JSON, status, headers=self._limits.headers("graphql", client))


def _client(request: web.Request) -> str:
    """The token, or everybody without one: all come from one address."""
    match = _TOKEN.match(request.headers.get("Authorization", "").strip())
    return match[1] if match else ANONYMOUS


def _message(status: int, message: str, documentation: str) -> Answer:
    document = {"message": message, "documentation_url": documentation, "status": str(status)}
    return Answer(json.dumps(document).encode(), JSON, status)
