"""The CDN before PyPI: nodes that keep answers for their time, and hear of changes, or not.

As pypi/infra configures it (terraform/warehouse/vcl/main.vcl) and pypi/warehouse asks for:

| answer | kept for | and while it is renewed | purged by |
|---|---|---|---|
| index | 30 min (HTML: 1 day) | 5 min | nothing |
| project and release JSON, Simple page | 1 day | 5 min | the project's events that move serial or status |
| feeds | 1 day | 1 day | publications (that of one project: as its JSON) |
| 404 | 1 min | | nothing |

Purges are soft: whoever asks a node first afterwards may get the old answer and makes the node fetch the new
one, which the next one gets. Later than "while it is renewed" nobody gets it any more.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.events import PUBLISHING, Kind
from pyf_scrapy.replica.pypi import PyPI, Question
from pyf_scrapy.replica.replica import Entry, Replica

_DAY = 86_400.0
_RENEWAL = 300.0
_TIMES = {
    "index": (1800.0, _RENEWAL),
    "index-html": (_DAY, _RENEWAL),
    "feed": (_DAY, _DAY),
}
"""For how many seconds an answer is kept, and given for so many more while it is renewed."""
_DOCUMENT = (_DAY, _RENEWAL)
_MISSING = (60.0, 0.0)

COUNTED = ("hits", "stale", "misses", "purges", "lost")
"""Kept answers that were true; kept ones of before the last event they may tell of; answers fetched for the
one who asked; purges of each node, and those that it did not hear of."""

_UNHEARD: frozenset[Kind] = frozenset(("organization", "advisory"))
"""Events that purge nothing."""


class CdnOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the CDN is like. Raises ReplicaError when it cannot be.

    `stale_nodes`: so many never hear of a purge; the others miss each with the probability `lost_purges`.
    `speed`: seconds that pass for the CDN in one real second; 0: time passes by `advance` only. `seed`
    decides which node a request comes to and which purges are lost, None: that of the replica.
    """

    nodes: int = 3
    lost_purges: float = 0.0
    stale_nodes: int = 0
    speed: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= 100:
            raise ReplicaError(f"cdn: nodes={self.nodes} is not between 1 and 100")
        if not 0 <= self.stale_nodes <= self.nodes:
            raise ReplicaError(f"cdn: stale_nodes={self.stale_nodes} is not between 0 and {self.nodes} nodes")
        if not 0 <= self.lost_purges <= 1:
            raise ReplicaError(f"cdn: lost_purges={self.lost_purges} is not a share between 0 and 1")
        if not 0 <= self.speed <= 1_000_000:
            raise ReplicaError(f"cdn: speed={self.speed} is not between 0 and 1000000")


@dataclass
class _Kept:
    """An answer at a node; `stale_from` in seconds of the CDN's clock."""

    answer: Answer
    revision: int
    stale_from: float
    renewal: float
    renewing: bool = False


class Cdn:
    """Answers from one of its nodes; these ask PyPI when they have nothing, or nothing fresh enough."""

    def __init__(self, replica: Replica, options: CdnOptions) -> None:
        seed = replica.options.seed if options.seed is None else options.seed
        self.options = options
        self.counts: Counter[str] = Counter()
        """Of COUNTED."""
        # The order of requests must not decide which purges are lost.
        self._routes = Dice(seed, "nodes")
        self._losses = Dice(seed, "purges")
        self._nodes: list[dict[tuple[str, str], _Kept]] = [{} for _ in range(options.nodes)]
        self._of_project: dict[str, set[tuple[str, str]]] = {}
        self._replica = replica
        self._begun = time.monotonic()
        self._advanced = 0.0
        replica.listeners.append(self._hear)

    def close(self) -> None:
        """Stops listening to what happens."""
        self._replica.listeners.remove(self._hear)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._advanced += seconds

    def now(self) -> float:
        """Seconds since it was switched on."""
        return (time.monotonic() - self._begun) * self.options.speed + self._advanced

    async def answer(self, question: Question, pypi: PyPI) -> Answer:
        """The answer of some node, with PyPI's cache headers and the name of the node."""
        place = int(self._routes.fraction() * len(self._nodes))
        node = self._nodes[place]
        key = (question.kind, question.path)
        kept = node.get(key)
        now = self.now()
        if kept is None or now >= kept.stale_from + kept.renewal:
            self.counts["misses"] += 1
            kept = await self._fetch(question, pypi, node)
            return _from(place, "MISS", kept.answer)
        self.counts["hits" if kept.revision == pypi.revision(question) else "stale"] += 1
        if now >= kept.stale_from and not kept.renewing:
            kept.renewing = True
            await self._fetch(question, pypi, node)
        return _from(place, "HIT", kept.answer)

    async def _fetch(self, question: Question, pypi: PyPI, node: dict[tuple[str, str], _Kept]) -> _Kept:
        now, revision = self.now(), pypi.revision(question)
        answer = await pypi.answer(question, question.path, None)
        missing = answer.status == 404
        keep, renewal = _MISSING if missing else _TIMES.get(question.kind, _DOCUMENT)
        kept = _Kept(answer, revision, now + keep, renewal)
        key = (question.kind, question.path)
        node[key] = kept
        if not missing and question.name is not None:
            self._of_project.setdefault(question.name, set()).add(key)
        return kept

    def _hear(self, entry: Entry) -> None:
        """Purges what an event makes untrue, at the nodes that hear of it."""
        if entry.event in _UNHEARD:
            return
        name = str(canonicalize_name(entry.project))
        for node in self._hearing():
            for key in tuple(self._of_project.get(name, ())):
                self._purge(node, key)
        if entry.event in PUBLISHING:
            for node in self._hearing():
                for key in (("feed", "/rss/updates.xml"), ("feed", "/rss/packages.xml")):
                    self._purge(node, key)

    def _hearing(self) -> Iterator[dict[tuple[str, str], _Kept]]:
        """The nodes that one purge comes to."""
        for place, node in enumerate(self._nodes):
            self.counts["purges"] += 1
            # Drawn for stale nodes, too: how many there are does not decide what others miss.
            lost = self._losses.chance(self.options.lost_purges)
            if lost or place < self.options.stale_nodes:
                self.counts["lost"] += 1
            else:
                yield node

    def _purge(self, node: dict[tuple[str, str], _Kept], key: tuple[str, str]) -> None:
        kept = node.get(key)
        if kept is not None and kept.answer.status != 404:
            kept.stale_from = min(kept.stale_from, self.now())


def parse_cdn(text: bytes) -> CdnOptions | None:
    """The options in JSON; None for `null` or nothing. Raises ReplicaError."""
    try:
        return msgspec.json.decode(text or b"null", type=CdnOptions | None)
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"cdn: {error}") from error


def _from(place: int, found: str, answer: Answer) -> Answer:
    headers = {**answer.headers, "X-Cache": found, "X-Served-By": f"cache-replica-{place}"}
    return replace(answer, headers=headers)
