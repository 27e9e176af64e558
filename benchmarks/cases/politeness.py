"""What a crawl asks of a server that allows so much, and of one that becomes slow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

from benchmarks.case import Case, Claim, Place, Rounds, discard
from benchmarks.cases.sweep import check_store
from benchmarks.figures import BenchmarkError, Figures, require
from benchmarks.processes import Running, serving
from benchmarks.traffic import Second
from benchmarks.world import WorldOptions
from tests.queue.valkey import running_valkey

CRAWL = ("crawl", "pypi", "-L", "WARNING", "-p", "plone")


class Ceiling(Case):
    """The server allows 200 requests in any second and refuses all for 5 seconds (429) when there are more;
    PYPI_MAX_RPS says as much. What is used is counted from the first second to the last whole one."""

    name = "ceiling"
    title = "Ceiling: a server that allows 200 requests a second"
    contenders = ("one crawl", "two workers that share")
    shown = (
        *("documents", "cpu_s", "allowed_per_s", "used_per_s", "least_in_a_second", "most_in_a_second"),
        *("refused_in_the_first_second", "refused_later"),
    )
    documents = 6_000
    allowed = 200

    def setup(self) -> None:
        self.server = self.stack.enter_context(serving(WorldOptions(self.size), latency=0.05))
        self.valkey = self.stack.enter_context(running_valkey())

    def run(self, contender: str) -> Figures:
        with self.valkey.client() as client:
            client.flushall()
        self.server.control(f"watch/{self.allowed}")
        is_shared = contender != "one crawl"
        extra = {"REDIS_URL": self.valkey.url} if is_shared else {}
        place = self.bench.place(self.server, PYPI_MAX_RPS=self.allowed, **extra)
        workers = [place.start(*CRAWL) for _ in range(1 + is_shared)]
        try:
            ended = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                worker.stop()
        check_store(place, self.size, 0)
        discard(place.folder)
        seconds = self.server.traffic()
        require("projects answered", sum(second.answered for second in seconds), self.size)
        whole = [second.answered for second in seconds[1:-1]]
        if not whole:
            raise BenchmarkError("it took less than three seconds")
        return {
            "documents": self.size,
            "cpu_s": sum(one.cpu for one in ended),
            "allowed_per_s": self.allowed,
            "used_per_s": fmean(whole),
            "least_in_a_second": min(whole),
            "most_in_a_second": max(whole),
            "refused_in_the_first_second": seconds[0].refused,
            "refused_later": sum(second.refused for second in seconds[1:]),
        }

    def claims(self, rounds: Rounds) -> list[Claim]:
        claims = []
        for contender, figures in rounds.items():
            refused = max(one["refused_later"] for one in figures)
            used = median(one["used_per_s"] / one["allowed_per_s"] for one in figures)
            claims += [
                Claim(f"{contender}, answers 429 after the first second", refused, 0, at_most=True),
                Claim(f"{contender}, share of the allowance that was used", used, 0.9),
            ]
        return claims


#: How long an answer of the slow server takes, and for how long that is so, one after another; in seconds.
PHASES = ((0.05, 10), (3.0, 20), (0.05, 20))
STEP = 5
"""Seconds of a line of the table."""


def slices() -> tuple[str, ...]:
    """The lines of the time line, by the time of each and how long answers take then."""
    ends = [0]
    for _, seconds in PHASES:
        ends.append(ends[-1] + seconds)
    return tuple(
        f"second {at} to {at + STEP}: answers take {latency:g} s"
        for (latency, _), (begin, end) in zip(PHASES, pairwise(ends), strict=True)
        for at in range(begin, end, STEP)
    )


class SlowServer(Case):
    """A time line of one crawl without PYPI_MAX_RPS, 16 requests at a time: its server becomes slow, and fast
    again."""

    name = "slow-server"
    title = "A server that becomes slow and recovers"
    contenders = slices()
    shown = ("asked_per_s", "most_under_way")
    documents = 30_000

    def setup(self) -> None:
        self.server = self.stack.enter_context(serving(WorldOptions(self.size)))
        self._line: dict[str, Figures] = {}
        self._fell: list[float] = []
        self._returned: list[float] = []

    def run(self, contender: str) -> Figures:
        """One crawl a round; each contender is a part of it."""
        if not self._line:
            seconds = self._crawl()
            self._judge(seconds)
            self._line = dict(zip(self.contenders, map(_figures, _cut(seconds)), strict=True))
        return self._line.pop(contender)

    def _crawl(self) -> list[Second]:
        place = self.bench.place(self.server, PYPI_CONCURRENCY=16)
        self.server.control(f"latency/{PHASES[0][0]}")
        self.server.control("watch/0")
        crawl = place.start(*CRAWL)
        try:
            self._wait_for_requests(crawl)
            for latency, seconds in PHASES:
                self.server.control(f"latency/{latency}")
                time.sleep(seconds)
            line = self.server.traffic()
        finally:
            crawl.stop()
        self._check(place)
        whole = sum(seconds for _, seconds in PHASES)
        if len(line) < whole:
            raise BenchmarkError(f"requests in {len(line)} seconds instead of {whole}: use more DOCUMENTS")
        return line[:whole]

    def _wait_for_requests(self, crawl: Running) -> None:
        until = time.monotonic() + 60
        while not self.server.traffic():
            if time.monotonic() > until:
                raise BenchmarkError("nothing was asked")
            time.sleep(0.05)

    def _check(self, place: Place) -> None:
        with place.store() as store:
            require("failures", len(store.failures()), 0)
        discard(place.folder)

    def _judge(self, line: list[Second]) -> None:
        slow, again = PHASES[0][1], PHASES[0][1] + PHASES[1][1]
        self._fell.append(
            until_fewer(line[slow:again], median(second.under_way for second in line[1:slow]) / 2)
        )
        self._returned.append(
            until_as_often(line[again:], 0.9 * median(second.asked for second in line[1:slow]))
        )

    def claims(self, rounds: Rounds) -> list[Claim]:
        return [
            Claim(
                "seconds until half as many requests were under way at the slow server, and no more",
                median(self._fell),
                10,
                at_most=True,
            ),
            Claim(
                "seconds until it was asked nine tenths as often as before, when it was fast again",
                median(self._returned),
                10,
                at_most=True,
            ),
        ]


def until_fewer(line: Sequence[Second], most: float) -> int:
    """Seconds until never more than so many requests were under way."""
    return max((at for at, second in enumerate(line, 1) if second.under_way > most), default=0)


def until_as_often(line: Sequence[Second], least: float) -> int:
    """Seconds until so many requests a second came; all of them when that was never so."""
    return next((at for at, second in enumerate(line) if second.asked >= least), len(line))


def _cut(line: list[Second]) -> list[list[Second]]:
    return [line[at : at + STEP] for at in range(0, len(line), STEP)]


def _figures(seconds: list[Second]) -> Figures:
    return {
        "asked_per_s": fmean(second.asked for second in seconds),
        "most_under_way": max(second.under_way for second in seconds),
    }
