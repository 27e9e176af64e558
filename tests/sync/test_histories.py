"""Whatever happens on PyPI, in its caches and to the crawler: at the end the index shows the truth.

**Faults stop** means: from that moment on every request is answered, no purge is lost, no node of the CDN is
stuck, the index is whole, and no lane is killed. What caches kept from before they may go on serving for as
long as their time to live says. So where a purge had been lost, the runs begin when the object that missed it
has expired (a day at most); else they begin at once. Then two runs of `pypi`, by different nodes of the CDN
and 41 minutes apart (PyPI's index is at most 35 minutes old), must end at the truth, document by document, in
all that moves a serial; and two runs of `refresh` in what does not (archived, advisories).

`make soak` runs 10,000 histories; PYF_SEED is the seed (default: another one each time, which is printed).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.sync.crawler import LANES, REMOVED, VANISHED, ModelCrawler, T, shown, truth
from tests.sync.model import DAY, HOUR, Lost, ModelCDN, ModelPyPI, events

NAMES = ("alpha", "alpha", "alpha", "beta", "gamma")
VERSIONS = ("1", "1", "2", "2", "3")
PROFILES = (("p",), ("p",), ("p", "q"), ("q",), ())
NODES = (0, 1)
ALL_KINDS = ("json", "page", "release")
LOST = (
    Lost(),
    Lost(),
    Lost(),
    Lost(NODES, ("json",)),
    Lost((0,), ("json",)),
    Lost(NODES, ("page",)),
    Lost(NODES, ("json", "release")),
    Lost((0,), ALL_KINDS),
    Lost(NODES, ALL_KINDS),
    Lost(NODES, ("updates", "packages")),
)
WAITS = (1.0, 5.0, 20.0, 61.0, 301.0, 1801.0, 2460.0, 6 * HOUR, DAY + 1)
DISTURBANCES = (
    *("all well", "all well", "all well"),
    *("down", "origin down", "stuck", "stuck", "cut", "lose collections"),
)
EVENTS = (
    *("release", "release", "release", "release by bob", "yank", "delete release", "delete project"),
    *("transfer", "quarantine", "clear quarantine", "archive", "advise"),
)
LANE_NAMES = ("pypi", "pypi", "rss", "refresh")
BETWEEN_RUNS = 41 * 60.0


class Histories(RuleBasedStateMachine):
    """One history: things happen on PyPI while lanes run, stop, and are killed."""

    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.pypi = ModelPyPI()
        self.cdn = ModelCDN(self.pypi, nodes=len(NODES))
        self.crawler = ModelCrawler(self.cdn)
        self.running: dict[str, T] = {}
        self.etags: dict[str, object] = {}

    @initialize(crawled=st.booleans())
    def world(self, crawled: bool) -> None:
        """Three projects, perhaps crawled and refreshed."""
        self.pypi.release("alpha", "1", ("p",))
        self.pypi.release("alpha", "2", ("p", "q"))
        self.pypi.release("beta", "1", ("p",))
        self.pypi.release("gamma", "1", ())
        if crawled:
            self.finish("pypi", 0)
            self.finish("refresh", 0)

    @rule(
        event=st.sampled_from(EVENTS),
        name=st.sampled_from(NAMES),
        version=st.sampled_from(VERSIONS),
        profiles=st.sampled_from(PROFILES),
        lost=st.sampled_from(LOST),
        then=st.sampled_from((0.0, 0.0, 30.0, 400.0)),
    )
    def happens(
        self, event: str, name: str, version: str, profiles: tuple[str, ...], lost: Lost, then: float
    ) -> None:
        self.cdn.lost = lost
        events(self.pypi, name, version, profiles)[event]()
        self.cdn.lost = Lost()
        self.pypi.now += then

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: float) -> None:
        self.pypi.now += seconds

    @rule(lane=st.sampled_from(LANE_NAMES), steps=st.integers(1, 20), node=st.sampled_from(NODES))
    def step(self, lane: str, steps: int, node: int) -> None:
        """A lane goes on, and is not stopped while it holds a lock."""
        self.crawler.route = node
        self._advance(lane, steps)

    @rule(lane=st.sampled_from(LANE_NAMES), node=st.sampled_from(NODES))
    def finish(self, lane: str, node: int) -> None:
        self.crawler.route = node
        assert self._advance(lane, 100_000), f"{lane} does not end"

    @rule(lane=st.sampled_from(LANE_NAMES), steps=st.integers(0, 20))
    def kill(self, lane: str, steps: int) -> None:
        """A lane goes on for some steps, then its process is killed, wherever that is."""
        self._advance(lane, steps, whole=False)
        if lane in self.running:
            self.running.pop(lane).close()
        if lane == "rss":
            self.etags = {}

    @rule(what=st.sampled_from(DISTURBANCES), node=st.sampled_from(NODES))
    def disturb(self, what: str, node: int) -> None:
        """A fault begins, in place of the last one."""
        if what == "lose collections":
            # The search server is another one; lanes that run end because of it.
            for lane in [*self.running]:
                self.running.pop(lane).close()
            self.crawler.lose_collections()
        else:
            self.cdn.is_down = what == "down"
            self.cdn.origin_down = what == "origin down"
            self.cdn.stuck = {node} if what == "stuck" else set()
            self.cdn.cut = ("alpha", "gamma") if what == "cut" else ()

    def _advance(self, lane: str, steps: int, *, whole: bool = True) -> bool:
        """Returns whether the lane has come to its end."""
        if lane not in self.running:
            crawler = self.crawler
            self.running[lane] = crawler.rss(self.etags) if lane == "rss" else LANES[lane](crawler)
        generator, critical = self.running[lane], False
        while steps > 0 or (critical and whole):
            step = next(generator, None)
            if step is None:
                del self.running[lane]
                return True
            steps, critical = steps - 1, step.critical
            self.pypi.now = max(self.pypi.now, step.until)
        return False

    def teardown(self) -> None:
        self.disturb("all well", 0)
        for lane in [*self.running]:
            self.finish(lane, 1)
        self.pypi.now = max(self.pypi.now, self.cdn.healed_at)
        self.ends("pypi", blind=True)
        self.ends("refresh", blind=False)
        self.done["requests"] += self.crawler.requests
        self.pypi.now += BETWEEN_RUNS
        self.finish("pypi", 0)
        for name, row in self.crawler.store.rows.items():
            project = self.pypi.projects.get(name)
            is_gone = project is None or not project.is_shown
            if row.record is not None:
                assert (row.status in (VANISHED, REMOVED)) == is_gone, name
            elif project is not None and project.is_shown:
                assert row.serial == project.serial, name
        assert self.seen() == self.true()

    def ends(self, lane: str, *, blind: bool) -> None:
        """Two runs of a lane at most, by different nodes, and the index shows what the lane can find out."""
        for node in NODES:
            self.finish(lane, node)
            if self.seen(blind=blind) == self.true(blind=blind):
                self.done[f"{lane} {node + 1}"] += 1
                return
            self.pypi.now += BETWEEN_RUNS
        assert self.seen(blind=blind) == self.true(blind=blind), f"after two runs of {lane}"

    def seen(self, *, blind: bool = False) -> Any:
        return shown(self.crawler, blind=blind)

    def true(self, *, blind: bool = False) -> Any:
        return truth(self.crawler, blind=blind)


def histories(count: int, steps: int, of: int) -> None:
    """Run so many histories from a seed. Raises the AssertionError of the shortest one that fails."""
    run_state_machine_as_test(
        seed(of)(Histories),
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


def test_histories_end_at_the_truth() -> None:
    histories(200, 25, of=20_261_122)


@pytest.mark.soak
def test_ten_thousand_histories_end_at_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    of = int(os.environ.get("PYF_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        print(f"\nPYF_SEED={of} python -m pytest -m soak tests/sync/test_histories.py")
        Histories.done.clear()
        began = time.monotonic()
        histories(10_000, 60, of=of)
        done = Histories.done
        print(
            f"soak: pure histories: {done['pypi 1'] + done['pypi 2']:,} ended at the truth (seed {of}), "
            f"{done['pypi 1']:,} after one run of pypi, {done['requests']:,} requests, "
            f"{time.monotonic() - began:.0f} s"
        )
