"""A first crawl in which nothing matches: fetch, unpack, look at the classifiers, store name and serial."""

from __future__ import annotations

import json

from benchmarks.case import Case, Claim, Place, Rounds, discard
from benchmarks.figures import Figures, ratio, require
from benchmarks.processes import Ended, serving
from benchmarks.world import WorldOptions

BASELINE, OURS, RAW = "baseline", "scrapy crawl pypi", "raw client"


class Sweep(Case):
    """Documents per CPU second of the whole process, start and index included."""

    name = "sweep"
    title = "Sweep: nothing matches"
    contenders = (BASELINE, OURS, RAW)
    shown = (
        *("documents", "cpu_s", "wall_s", "documents_per_cpu_s", "documents_per_s", "peak_mb"),
        *("server_cpu_s", "server_answers_per_cpu_s"),
    )
    documents = 50_000
    members = 0
    """Projects that match, each with one release."""

    def setup(self) -> None:
        world = WorldOptions(self.size, {"plone": self.members} if self.members else {}, releases=1)
        self.server = self.stack.enter_context(serving(world))

    def run(self, contender: str) -> Figures:
        self.server.control("reset")
        if contender == OURS:
            ended = self._ours()
        elif contender == BASELINE:
            ended = self.bench.baseline(self.server)
            self._check(ended, json.loads(ended.output))
        else:
            ended = self.bench.raw_client(self.server)
            self._check(ended, json.loads(ended.output))
        answered = self.server.control("statistics")
        require("project documents that were asked for", answered.get("project", 0), self.size)
        return {
            **ended.figures(self.size),
            "requests": sum(
                count for kind, count in answered.items() if kind not in ("bytes", "cpu", "serial")
            ),
            "server_cpu_s": answered["cpu"],
            "server_answers_per_cpu_s": self.size / answered["cpu"],
        }

    def _check(self, ended: Ended, told: dict[str, int]) -> None:
        require("projects read", told["projects"], self.size)
        require("projects that match", told["matching"], self.members)
        require("requests that failed", told["failed"], 0)

    def _ours(self) -> Ended:
        place = self.bench.place(self.server)
        ended = place.crawl("pypi", "-p", "plone")
        check_store(place, self.size, self.members)
        discard(place.folder)
        return ended

    def claims(self, rounds: Rounds) -> list[Claim]:
        def per_cpu(of: str, to: str) -> float:
            return ratio(rounds, "documents_per_cpu_s", of, to)

        return [
            Claim("ours : baseline, documents per CPU second", per_cpu(OURS, BASELINE), 3.0),
            Claim("baseline : raw client, documents per CPU second", per_cpu(BASELINE, RAW), 1 / 20),
            Claim("ours : raw client, documents per CPU second", per_cpu(OURS, RAW)),
        ]


def check_store(place: Place, projects: int, members: int) -> None:
    """Raises BenchmarkError unless the store knows all projects and has the facts of all members."""
    with place.store() as store:
        require("projects in the store", sum(1 for _ in store.iter_serials()), projects)
        require("packages in the store", len(list(store.package_names())), members)
        require("failures", len(store.failures()), 0)
