"""A refresh of what is indexed, when nothing has changed: conditional requests, no body."""

from __future__ import annotations

import json

from benchmarks.case import Case, Claim, Rounds, asked
from benchmarks.cases.sweep import BASELINE, RELEASES
from benchmarks.figures import Figures, ratio, require
from benchmarks.processes import serving
from benchmarks.world import WorldOptions

OURS = "scrapy crawl project -a refresh=1"


class Refresh(Case):
    """The baseline has no conditional requests: it fetches and indexes all packages again."""

    name = "refresh"
    title = "Refresh: every answer is a 304"
    contenders = (BASELINE, OURS)
    shown = ("packages", "requests", "bytes", "cpu_s", "wall_s", "peak_mb")
    documents = 500  # packages

    def setup(self) -> None:
        world = WorldOptions(self.size, {"plone": self.size}, RELEASES)
        self.server = self.stack.enter_context(serving(world))
        self.place = self.bench.place(self.server)
        self.place.crawl("pypi", "-p", "plone")
        require("documents in the index", self.bench.indexed("plone"), self.size * RELEASES)
        # The first refresh asks for each package's page, too, of which nothing is stored yet.
        self.place.crawl("project", "-p", "plone", "-a", "refresh=1")

    def run(self, contender: str) -> Figures:
        self.server.control("reset")
        if contender == BASELINE:
            with self.bench.connection() as connection:
                calls = connection.client.api_call
                if any(one["name"] == "baseline" for one in calls.get("/collections", list)):
                    calls.delete("/collections/baseline", dict)
            ended = self.bench.baseline(self.server, "baseline")
            require("documents indexed", json.loads(ended.output)["indexed"], self.size * RELEASES)
        else:
            ended = self.place.crawl("project", "-p", "plone", "-a", "refresh=1")
        answered = self.server.control("statistics")
        if contender == OURS:
            require("documents sent", answered.get("project", 0) + answered.get("release", 0), 0)
            require("packages verified", answered.get("not_modified", 0) >= self.size, True)
        return {
            **ended.figures(0),
            "packages": self.size,
            "requests": asked(answered),
            "bytes": answered.get("bytes", 0),
        }

    def claims(self, rounds: Rounds) -> list[Claim]:
        return [
            Claim("baseline : ours, CPU seconds", ratio(rounds, "cpu_s", BASELINE, OURS)),
            Claim("baseline : ours, requests", ratio(rounds, "requests", BASELINE, OURS)),
            Claim("baseline : ours, seconds", ratio(rounds, "wall_s", BASELINE, OURS)),
        ]
