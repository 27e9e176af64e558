"""Packages that all match: their releases are fetched, rendered and indexed."""

from __future__ import annotations

import json

from benchmarks.case import Case, Claim, Rounds, asked, discard
from benchmarks.cases.sweep import BASELINE, OURS, RELEASES, check_store
from benchmarks.figures import Figures, ratio, require
from benchmarks.processes import serving
from benchmarks.world import WorldOptions


class Members(Case):
    """200 packages with 5 releases each and dots in their names, from a server 50 ms away, into Typesense."""

    name = "members"
    title = "All match: 200 packages of 5 releases at 50 ms, dotted names, into Typesense"
    contenders = (BASELINE, OURS)
    shown = ("packages", "documents", "requests", "cpu_s", "wall_s", "documents_per_s", "peak_mb")
    documents = 200  # packages

    def setup(self) -> None:
        world = WorldOptions(self.size, {"plone": self.size}, RELEASES, dotted=True)
        self.server = self.stack.enter_context(serving(world, latency=0.05))

    def run(self, contender: str) -> Figures:
        self.server.control("reset")
        documents = self.size * RELEASES
        if contender == BASELINE:
            self.bench.empty_index()
            ended = self.bench.baseline(self.server, "baseline")
            told = json.loads(ended.output)
            require("requests that failed", told["failed"], 0)
            require("documents indexed", told["indexed"], documents)
            require("documents in the index", self.bench.indexed("baseline"), documents)
        else:
            place = self.bench.place(self.server)
            ended = place.crawl("pypi", "-p", "plone")
            check_store(place, self.size, self.size)
            require("documents in the index", self.bench.indexed("plone"), documents)
            discard(place.folder)
        requests = asked(self.server.control("statistics"))
        return {**ended.figures(documents), "packages": self.size, "requests": requests}

    def claims(self, rounds: Rounds) -> list[Claim]:
        return [
            Claim(
                "ours : baseline, documents per second",
                ratio(rounds, "documents_per_s", OURS, BASELINE),
                25.0,
            )
        ]
