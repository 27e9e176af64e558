"""Workers that share a crawl through Valkey: what sharing costs, and what it brings."""

from __future__ import annotations

from benchmarks.case import Case, Claim, Rounds, discard
from benchmarks.cases.sweep import check_store
from benchmarks.figures import Figures, medians, ratio, require
from benchmarks.processes import serving
from benchmarks.world import WorldOptions
from tests.queue.valkey import running_valkey

ALONE, ONE, TWO = "one, without REDIS_URL", "one worker", "two workers"


class Workers(Case):
    """A sweep by one crawl alone, by one worker with the queue, and by two of them; CPU of all workers."""

    name = "workers"
    title = "Workers that share a sweep through Valkey"
    contenders = (ALONE, ONE, TWO)
    documents = 50_000  # of 20,000 the start of a second worker is an eighth
    shown = ("documents", "cpu_s", "wall_s", "documents_per_cpu_s", "documents_per_s")

    def setup(self) -> None:
        self.server = self.stack.enter_context(serving(WorldOptions(self.size)))
        self.valkey = self.stack.enter_context(running_valkey())

    def run(self, contender: str) -> Figures:
        with self.valkey.client() as client:
            client.flushall()
        self.server.control("reset")
        extra = {} if contender == ALONE else {"REDIS_URL": self.valkey.url}
        place = self.bench.place(self.server, **extra)
        crawl = ("crawl", "pypi", "-L", "WARNING", "-p", "plone")
        workers = [place.start(*crawl) for _ in range(2 if contender == TWO else 1)]
        try:
            ended = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                worker.stop()
        check_store(place, self.size, 0)
        require("projects asked for", self.server.control("statistics").get("project", 0), self.size)
        discard(place.folder)
        return {
            "documents": self.size,
            "cpu_s": sum(one.cpu for one in ended),
            "wall_s": max(one.wall for one in ended),
        }

    def claims(self, rounds: Rounds) -> list[Claim]:
        pairs = zip(rounds[ONE], rounds[ALONE], strict=True)
        queue = medians([{"share": 1 - alone["cpu_s"] / one["cpu_s"]} for one, alone in pairs])["share"]
        return [
            Claim(
                "two workers : one, CPU seconds per document",
                ratio(rounds, "cpu_s", TWO, ONE),
                1.15,
                at_most=True,
            ),
            Claim(
                "two workers : one without REDIS_URL, CPU seconds per document",
                ratio(rounds, "cpu_s", TWO, ALONE),
            ),
            Claim(
                "share of the queue in a worker's CPU, as the difference to one without",
                queue,
                0.1,
                at_most=True,
            ),
            Claim("two workers : one, documents per second", ratio(rounds, "documents_per_s", TWO, ONE)),
        ]
