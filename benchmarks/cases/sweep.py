"""First crawls: nothing matches, or one project in a hundred."""

from __future__ import annotations

import json
from typing import ClassVar

from benchmarks.case import Case, Claim, Place, Rounds, asked, discard
from benchmarks.figures import Figures, ratio, require
from benchmarks.processes import Ended, serving
from benchmarks.world import WorldOptions

BASELINE, OURS, RAW = "baseline", "scrapy crawl pypi", "raw client"
RELEASES = 5


class Sweep(Case):
    """Fetch, unpack, look at the classifiers, store name and serial: documents per CPU second of the whole
    process, its start and the index included."""

    name = "sweep"
    title = "Sweep: nothing matches"
    contenders = (BASELINE, OURS, RAW)
    shown = (
        *("documents", "cpu_s", "wall_s", "documents_per_cpu_s", "documents_per_s", "peak_mb"),
        *("server_cpu_s", "server_answers_per_cpu_s"),
    )
    documents = 50_000
    one_member_in: ClassVar[int | None] = None
    """So many projects are one that matches."""

    @property
    def members(self) -> int:
        """How many projects match."""
        return self.size // self.one_member_in if self.one_member_in else 0

    def setup(self) -> None:
        world = WorldOptions(self.size, {"plone": self.members} if self.members else {}, releases=RELEASES)
        self.server = self.stack.enter_context(serving(world))

    def run(self, contender: str) -> Figures:
        self.server.control("reset")
        if contender == OURS:
            ended = self._ours()
        elif contender == BASELINE:
            ended = self._baseline()
        else:
            ended = self.bench.raw_client(self.server)
            self._check(json.loads(ended.output))
        answered = self.server.control("statistics")
        require("project documents that were asked for", answered.get("project", 0), self.size)
        return {
            **ended.figures(self.size),
            "requests": asked(answered),
            "server_cpu_s": answered["cpu"],
            "server_answers_per_cpu_s": asked(answered) / answered["cpu"],
        }

    def _baseline(self) -> Ended:
        self.bench.empty_index()
        ended = self.bench.baseline(self.server, "baseline" if self.members else None)
        told = json.loads(ended.output)
        self._check(told)
        require("releases indexed", told["indexed"], self.members * RELEASES)
        return ended

    def _check(self, told: dict[str, int]) -> None:
        require("projects read", told["projects"], self.size)
        require("projects that match", told["matching"], self.members)
        require("requests that failed", told["failed"], 0)

    def _ours(self) -> Ended:
        place = self.bench.place(self.server)
        ended = place.crawl("pypi", "-p", "plone")
        check_store(place, self.size, self.members)
        require("documents in the index", self.bench.indexed("plone"), self.members * RELEASES)
        discard(place.folder)
        return ended

    def claims(self, rounds: Rounds) -> list[Claim]:
        def per_cpu(of: str, to: str) -> float:
            return ratio(rounds, "documents_per_cpu_s", of, to)

        # What is asked for is asked of the sweep in which nothing matches.
        least, baseline_least = (None, None) if self.one_member_in else (3.0, 1 / 20)
        return [
            Claim("ours : baseline, documents per CPU second", per_cpu(OURS, BASELINE), least),
            Claim("baseline : raw client, documents per CPU second", per_cpu(BASELINE, RAW), baseline_least),
            Claim("ours : raw client, documents per CPU second", per_cpu(OURS, RAW)),
            Claim("ours : baseline, documents per second", ratio(rounds, "documents_per_s", OURS, BASELINE)),
        ]


class OnePercent(Sweep):
    """The same with members, whose releases are fetched and indexed; the raw client leaves these out."""

    name = "one-percent"
    title = "1 % of the projects match, 5 releases each"
    documents = 10_000
    one_member_in = 100


def check_store(place: Place, projects: int, members: int) -> None:
    """Raises BenchmarkError unless the store knows all projects and has the facts of all members."""
    with place.store() as store:
        require("projects in the store", sum(1 for _ in store.iter_serials()), projects)
        require("packages in the store", len(list(store.package_names())), members)
        require("failures", len(store.failures()), 0)
