"""Crawls of a PyPI that is known: nothing or a thousand projects changed, of as many as there are."""

from __future__ import annotations

from benchmarks.case import Case, Claim, Place, Rounds, asked
from benchmarks.figures import Figures, medians, require
from benchmarks.processes import Running, Server, serving
from benchmarks.world import WorldOptions

START = "start: an index of one project"
UNCHANGED = "index unchanged (304)"
NOTHING = "index read, no project changed"
CHANGES = "1,000 projects changed"
CHANGED = 1000


class Increment(Case):
    """What a crawl costs on top of the start of a `scrapy crawl`."""

    name = "increment"
    title = "Increment: a store that knows all projects"
    contenders = (START, UNCHANGED, NOTHING, CHANGES)
    shown = ("projects", "requests", "cpu_s", "wall_s", "peak_mb")
    documents = 886_000

    def setup(self) -> None:
        self.large = self.stack.enter_context(serving(WorldOptions(self.size)))
        self.small = self.stack.enter_context(serving(WorldOptions(1, templates=1)))
        self.places = {server.url: self._filled(server) for server in (self.large, self.small)}

    def _filled(self, server: Server) -> Place:
        place = self.bench.place(server)
        place.folder.mkdir()
        Running(["-m", "benchmarks.fill", server.url, str(place.folder)]).wait()
        place.crawl("pypi", "-p", "plone")
        return place

    def run(self, contender: str) -> Figures:
        server = self.small if contender == START else self.large
        changed = min(CHANGED, self.size) if contender == CHANGES else 0
        if changed:
            server.control(f"change/{changed}")
        elif contender == NOTHING:
            server.control("retag")
        server.control("reset")
        ended = self.places[server.url].crawl("pypi", "-p", "plone")
        answered = server.control("statistics")
        require("projects asked for", answered.get("project", 0), changed)
        require("index read", answered.get("index", 0), contender in (NOTHING, CHANGES))
        projects = 1 if contender == START else self.size
        return {**ended.figures(changed), "projects": projects, "requests": asked(answered)}

    def claims(self, rounds: Rounds) -> list[Claim]:
        more = {
            contender: medians(
                [
                    {"cpu_s": mine["cpu_s"] - start["cpu_s"]}
                    for mine, start in zip(rounds[contender], rounds[START], strict=True)
                ]
            )["cpu_s"]
            for contender in (UNCHANGED, NOTHING, CHANGES)
        }
        peak = medians(rounds[NOTHING])["peak_mb"]
        return [
            Claim("index unchanged: CPU seconds more than the start", more[UNCHANGED], 3.0, at_most=True),
            Claim(
                "index read, nothing changed: CPU seconds more than the start",
                more[NOTHING],
                3.0,
                at_most=True,
            ),
            Claim("1,000 changes: CPU seconds more than the start", more[CHANGES]),
            Claim("index read, nothing changed: peak MB", peak, 450.0, at_most=True),
        ]


class Memory(Case):
    """The beginning of a first crawl of a million projects: the index is read, work is computed."""

    name = "memory"
    title = "Memory at a million names"
    contenders = ("baseline", "scrapy crawl pypi")
    shown = ("projects", "documents", "cpu_s", "wall_s", "peak_mb")
    documents = 1_000_000
    fetched = 5_000
    """Projects that are asked for."""

    def setup(self) -> None:
        self.server = self.stack.enter_context(serving(WorldOptions(self.size)))

    def run(self, contender: str) -> Figures:
        fetched = min(self.fetched, self.size)
        self.server.control("reset")
        if contender == "baseline":
            ended = self.bench.baseline(self.server, limit=fetched)
        else:
            place = self.bench.place(self.server)
            ended = place.crawl("pypi", "-p", "plone", "-a", f"limit={fetched}")
        require("projects asked for", self.server.control("statistics").get("project", 0), fetched)
        return {**ended.figures(fetched), "projects": self.size}

    def claims(self, rounds: Rounds) -> list[Claim]:
        peak = medians(rounds["scrapy crawl pypi"])["peak_mb"]
        return [Claim("peak MB of the crawler", peak, 200.0, at_most=True)]
