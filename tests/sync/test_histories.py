"""Whatever happens on PyPI, in its caches and to the crawler: at the end the index shows the truth.

**Faults stop** means: from that moment on every request is answered, no purge is lost, no node of the CDN is
stuck, the index is whole, and no lane is killed. What caches kept from before they may go on serving for as
long as their time to live says. So where a purge had been lost, the runs begin when the object that missed it
has expired (a day at most); else they begin at once. Then two rounds of `pypi` and `refresh`, 41 minutes apart
(PyPI's index is at most 35 minutes old), must end at the truth, document by document.

`make soak` runs 10,000 histories; PYF_SEED is the seed (default: another one each time, which is printed).
"""

from __future__ import annotations

import os
import random
import time
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.sync.crawler import LANES, REMOVED, VANISHED, ModelCrawler, T, run, shown, truth
from tests.sync.model import DAY, HOUR, Lost, ModelCDN, ModelPyPI, events

NAMES = ("alpha", "beta", "gamma", "delta")
PROFILES = ((), ("p",), ("q",), ("p", "q"))
NODES = (0, 1)
ALL_KINDS = ("json", "page", "release")
LOST = (
    Lost(),
    Lost(),
    Lost(NODES, ("json",)),
    Lost((0,), ("json",)),
    Lost(NODES, ("page",)),
    Lost(NODES, ("release",)),
    Lost(NODES, ("json", "release")),
    Lost((0,), ALL_KINDS),
    Lost(NODES, ALL_KINDS),
    Lost(NODES, ("updates", "packages")),
)
FAULTS = ("none", "down", "origin down", "stuck", "cut")
WAITS = (1.0, 20.0, 61.0, 301.0, 1000.0, 1801.0, 2460.0, 6 * HOUR, DAY + 1)
BETWEEN_RUNS = 41 * 60.0

events_of_a_name = st.sampled_from(
    (
        *("release", "release", "release by bob", "yank", "delete release", "delete project"),
        *("quarantine", "clear quarantine", "archive", "advise"),
    )
)


class Histories(RuleBasedStateMachine):
    """One history: things happen on PyPI while lanes run, stop, and are killed."""

    done: ClassVar[dict[str, int]] = {}

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
            self.finish("pypi")
            self.finish("refresh")

    @rule(
        event=events_of_a_name,
        name=st.sampled_from(NAMES),
        version=st.sampled_from(("1", "2", "3")),
        profiles=st.sampled_from(PROFILES),
        lost=st.sampled_from(LOST),
    )
    def happens(self, event: str, name: str, version: str, profiles: tuple[str, ...], lost: Lost) -> None:
        self.cdn.lost = lost
        events(self.pypi, name, version, profiles)[event]()
        self.cdn.lost = Lost()

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: float) -> None:
        self.pypi.now += seconds

    @rule(lane=st.sampled_from(tuple(LANES)), steps=st.integers(1, 20))
    def step(self, lane: str, steps: int) -> None:
        """A lane goes on, and is not stopped while it holds a lock."""
        self._advance(lane, steps)

    @rule(lane=st.sampled_from(tuple(LANES)))
    def finish(self, lane: str) -> None:
        assert self._advance(lane, 100_000), f"{lane} does not end"

    @rule(lane=st.sampled_from(tuple(LANES)), steps=st.integers(0, 20))
    def kill(self, lane: str, steps: int) -> None:
        """A lane goes on for some steps, then its process is killed, wherever that is."""
        self._advance(lane, steps, whole=False)
        if lane in self.running:
            self.running.pop(lane).close()
        if lane == "rss":
            self.etags = {}

    @rule(fault=st.sampled_from(FAULTS), node=st.sampled_from(NODES))
    def fault(self, fault: str, node: int) -> None:
        self._fault(fault, node)

    @rule(node=st.sampled_from(NODES))
    def reroute(self, node: int) -> None:
        self.crawler.route = node

    @rule()
    def lose_collections(self) -> None:
        """The search server is another one; lanes that run end because of it."""
        for lane in [*self.running]:
            self.running.pop(lane).close()
        self.crawler.lose_collections()

    def _fault(self, fault: str, node: int = 0) -> None:
        self.cdn.is_down = fault == "down"
        self.cdn.origin_down = fault == "origin down"
        self.cdn.stuck = {node} if fault == "stuck" else set()
        self.cdn.cut = ("alpha", "delta") if fault == "cut" else ()

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
        self._fault("none")
        for lane in [*self.running]:
            self.finish(lane)
        self.pypi.now = max(self.pypi.now, self.cdn.healed_at)
        rounds = 0
        for rounds in (1, 2):
            if rounds == 2:
                self.pypi.now += BETWEEN_RUNS
            self.finish("pypi")
            self.finish("refresh")
            if self.is_true():
                break
        count = self.done
        count[f"rounds {rounds}"] = count.get(f"rounds {rounds}", 0) + 1
        count["requests"] = count.get("requests", 0) + self.crawler.requests
        assert shown(self.crawler) == truth(self.crawler)
        self.pypi.now += BETWEEN_RUNS
        self.finish("pypi")
        for name, row in self.crawler.store.rows.items():
            project = self.pypi.projects.get(name)
            is_gone = project is None or not project.is_shown
            if row.record is not None:
                assert (row.status in (VANISHED, REMOVED)) == is_gone, name
            elif project is not None and project.is_shown:
                assert row.serial == project.serial, name
        assert shown(self.crawler) == truth(self.crawler)

    def is_true(self) -> bool:
        return shown(self.crawler) == truth(self.crawler)


def histories(count: int, steps: int, of: int) -> None:
    """Run so many histories of so many steps from a seed. Raises AssertionError with the shortest that fails."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(of)(Histories),
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            deadline=None,
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
        histories(10_000, 40, of=of)
        done = Histories.done
        rounds = [done.get(f"rounds {number}", 0) for number in (1, 2)]
        print(
            f"sync histories: {sum(rounds):,} ended at the truth (seed {of}), {rounds[0]:,} after one round, "
            f"{done['requests']:,} requests, {time.monotonic() - began:.0f} s"
        )
