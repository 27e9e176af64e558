"""A day of PyPI's volume against the real rules, in virtual time: how long until search finds a release?

Events, lanes and the ceiling of requests are simulated; what is fetched, in which order, when it is stale,
when it is asked for again and what is due is decided by `pyf_scrapy.sync`.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from pyf_scrapy.parsers.rss import FeedEntry
from pyf_scrapy.sync.feeds import dedup_key, is_overrun, newest, next_poll, order, urgency
from pyf_scrapy.sync.refresh import due
from pyf_scrapy.sync.staleness import PATIENCE, Promise, is_stale, retry_delay
from pyf_scrapy.sync.work_list import work_list

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True)
class Service:
    """How long things take, in seconds.

    Settings: `ceiling` (PYPI_MAX_RPS) and `linger` (TYPESENSE_BATCH_LINGER).

    Measured: `importing`, all that lies between the answer about a project and the end of its import except
    the linger: parsing, store, README, documents, import. On 2026-11-29, for 292 packages with a release each
    that needed no further request, crawled at 2.5 a second from `scrapy replica --latency 50`, on 2 cores
    shared with other work (load 8 to 9): 0.32 to 0.52 s (5th to 95th percentile; median 0.36, most 1.1) with
    the linger of 0.3; the 95th is taken. 29 of 29 were found by a search at once after that.

    `index` is 2.6 measured on the same day, CPU seconds to unpack, parse, keep and compare 880,000 invented
    names (11 MB packed) with a list in memory (reading the store is not in it; on the busy machine it took 10
    to 11.5 s), and 2 assumed for the download.

    Assumed, because the replica cannot tell: that and `request`, an answer of PyPI's CDN over the internet
    (the latency of test_following.py is the least of it). What test_following.py reports is the sum of all
    this with a poll of 30 s, in real time: it checks this model, and no single time here can be read from it.
    """

    request: tuple[float, float] = (0.05, 0.3)
    ceiling: float = 5.0  # requests a second, shared by all lanes
    linger: float = 0.3
    importing: float = 0.22
    index: float = 4.6


@dataclass(frozen=True)
class Volume:
    """What happens on PyPI in a day, as in the simulation of the reference (section 8); of the profiles' part
    it says 956 releases a day in 20,000 members. Shares are of purges, answers and requests."""

    releases: int = 5_900
    bursts: int = 8
    burst_median: int = 150
    burst_most: int = 450
    burst_seconds: float = 90.0
    new: int = 360
    other: float = 0.25  # further journaled events, as a share of the releases
    blind: int = 5  # events of members that move no serial
    stale_first: float = 0.1
    lost: float = 0.002
    way_round: float = 0.5  # a lost purge concerns the project's JSON only
    failed: float = 0.002
    members: int = 6_000
    per_member: float = 956 / 20_000  # releases a day
    hinted: float = 0.7  # new members whose name tells


PROJECTS = 880_000
#: The activity of a project falls with 1 / (its place + SKEW): then 92,000 have a release within 30 days. On
#: PyPI 73,116 had their newest one in October 2026, so there were some more.
SKEW, MONOREPOS = 50, 60
FEEDS = {"updates": 100, "packages": 40}
POLL, INDEX_EVERY, REFRESH_EVERY = 30.0, 30 * MINUTE, HOUR
RETRY = 2.0  # PYPI_RETRY_BACKOFF


class Lane:
    """Requests of one spider that wait for their turn, the most urgent first."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int, Callable[[], None]]] = []


@dataclass
class Found:
    """A release of a member: when it was uploaded, shown by the feed, and found by search."""

    name: str
    serial: int
    uploaded: float
    shown: float | None = None
    found: float | None = None


@dataclass
class Project:
    """`serials` are those it got, `times` when; `read` is what was read of its JSON and its page."""

    serials: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lost_until: float = 0.0
    lost_at: float = 0.0
    has_way_round: bool = True
    first_asked: bool = True
    blind: int = 0
    read: dict[str, tuple[int, int]] = field(default_factory=dict)

    def serial(self, at: float) -> int:
        return self.serials[bisect_right(self.times, at) - 1]


class Day:
    """A simulation from `start` (0 is midnight); what happened before, since `-outage`, is not known yet."""

    def __init__(
        self, seed: int, service: Service | None = None, volume: Volume | None = None, outage: float = 0.0
    ) -> None:
        self.dice = random.Random(seed)
        self.service, self.volume = service or Service(), volume or Volume()
        self.now = -outage
        self.began = -outage
        self.serial = 10**8
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.members = {f"member{number:05}" for number in range(self.volume.members)}
        self.projects: defaultdict[str, Project] = defaultdict(lambda: Project([0], [-1e9]))
        for name in self.members:
            self.projects[name].read = dict.fromkeys(("json", "page"), (0, 0))
        self.stored: dict[str, int] = {}
        self.verified: dict[str, int | None] = {
            name: int(-outage - DAY + HOUR + number * 22 * HOUR // len(self.members))
            for number, name in enumerate(sorted(self.members))
        }
        self.longest_unverified = 0.0
        self.releases: list[Found] = []
        self.waiting_for: defaultdict[str, list[Found]] = defaultdict(list)
        self.feeds: dict[str, list[tuple[FeedEntry, Found | None]]] = {feed: [] for feed in FEEDS}
        self.read_up_to = dict.fromkeys(FEEDS, 0)
        self.polled = dict.fromkeys(FEEDS, 0)
        self.newest: dict[str, int | None] = dict.fromkeys(FEEDS)
        self.shown: dict[str, list[FeedEntry]] = {feed: [] for feed in FEEDS}
        self.unchanged_polls = 0
        self.taken: set[str] = set()
        self.done: set[str] = set()
        self.overrun = 0
        self.answers: Counter[tuple[str, int]] = Counter()
        self.counted: Counter[tuple[str, int]] = Counter()
        self.ended = math.inf
        self.lanes = {"feeds": Lane(), "index": Lane(), "refresh": Lane()}
        self._turn = itertools.cycle(self.lanes)
        self._slot_at = -1e9
        self._is_dispatching = False
        self.stuck: dict[str, tuple[int, float]] = {}
        self.index_phase = self.dice.random() * INDEX_EVERY

    # -- the clock ----------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def run(self, until: float) -> None:
        """Let everything happen until then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = until

    # -- PyPI ---------------------------------------------------------------------------------------

    def happen(self, until: float, since: float | None = None) -> None:
        """Plan all events of PyPI from `since` (default: the beginning) until then."""
        since = self.began if since is None else since
        volume, days = self.volume, (until - since) / DAY

        def moments(a_day: float) -> Iterator[float]:
            return (self.dice.uniform(since, until) for _ in range(round(a_day * days)))

        for when in moments(volume.releases):
            self.at(when, lambda: self.release(self._any_name()))
        for when in moments(volume.new):
            self.at(when, self.create)
        for when in moments(volume.bursts):
            size = min(volume.burst_most, round(self.dice.lognormvariate(0, 0.5) * volume.burst_median))
            self.burst(when, size, int(MONOREPOS * self.dice.random() ** 2))
        for when in moments((volume.releases + volume.bursts * volume.burst_median) * volume.other):
            self.at(when, self._touch)
        for when in moments(volume.blind):
            self.at(when, lambda: self.change_blindly(self._member()))

    def burst(self, when: float, size: int, monorepo: int | None) -> None:
        """Releases within a minute and a half: of one owner, or with None of members."""
        for number in range(size):
            name = f"mono{monorepo}-{number:03}" if monorepo is not None else f"member{number:05}"
            if monorepo is not None and self.dice.random() < self.member_share:
                name = self._member()
            moment = when + self.dice.random() * self.volume.burst_seconds
            self.at(moment, lambda name=name: self.release(name))  # type: ignore[misc]

    @property
    def member_share(self) -> float:
        """The share of members among what is released."""
        volume = self.volume
        whole = volume.releases + volume.bursts * volume.burst_median
        return volume.per_member * volume.members / whole

    def release(self, name: str) -> None:
        serial = self.change(name)
        found = None
        if name in self.members:
            found = Found(name, serial, self.now)
            self.releases.append(found)
            self.waiting_for[name].append(found)
        self.feeds["updates"].append((FeedEntry(name, str(serial), int(self.now)), found))

    def create(self) -> None:
        """A new project, perhaps of a profile."""
        name = f"new{self.serial}"
        if self.dice.random() < self.member_share:
            name = f"{'plone' if self.dice.random() < self.volume.hinted else 'new'}{self.serial}"
            self.members.add(name)
        self.feeds["packages"].append((FeedEntry(name, None, int(self.now)), None))
        self.release(name)

    def _touch(self) -> None:
        self.change(self._any_name())

    def change(self, name: str) -> int:
        """A journaled event: a new serial, and a purge that may be lost."""
        self.serial += 1
        project = self.projects[name]
        project.serials.append(self.serial)
        project.times.append(self.now)
        project.first_asked = True
        if self.now >= project.lost_until and self.dice.random() < self.volume.lost:
            project.lost_at, project.lost_until = self.now, self.now + self.dice.random() * DAY
            project.has_way_round = self.dice.random() < self.volume.way_round
        return self.serial

    def change_blindly(self, name: str) -> None:
        self.projects[name].blind += 1

    def _member(self) -> str:
        return f"member{self.dice.randrange(self.volume.members):05}"

    def _any_name(self) -> str:
        if self.dice.random() < self.member_share:
            return self._member()
        return f"other{int(SKEW * ((PROJECTS / SKEW + 1) ** self.dice.random() - 1)):06}"

    # -- the CDN ------------------------------------------------------------------------------------

    def answer(self, name: str) -> int:
        """The serial of what a cache answers for a project's JSON just now."""
        project = self.projects[name]
        at = self.now
        if project.lost_at <= self.now < project.lost_until:
            at = project.lost_at - 1e-6
        elif project.first_asked and self.dice.random() < self.volume.stale_first:
            at = project.times[-1] - 1e-6
        project.first_asked = False
        return project.serial(at)

    # -- the ceiling --------------------------------------------------------------------------------

    def request(self, lane: str, rank: int, answered: Callable[[], None]) -> None:
        """Wait for one of the slots, which the lanes get in turn; an answer takes its time."""
        heapq.heappush(self.lanes[lane].waiting, (rank, next(self._numbers), answered))
        if not self._is_dispatching:
            self._is_dispatching = True
            self.at(max(self.now, self._slot_at), self._dispatch)

    def _dispatch(self) -> None:
        for name in itertools.islice(self._turn, len(self.lanes)):
            waiting = self.lanes[name].waiting
            if waiting:
                _, _, answered = heapq.heappop(waiting)
                self._slot_at = self.now + 1 / self.service.ceiling
                if self.dice.random() < self.volume.failed:
                    self.answers[name, 503] += 1
                    self.at(self.now + RETRY, partial(self.request, name, 0, answered))
                else:
                    self.at(self.now + self.dice.uniform(*self.service.request), answered)
                break
        self._is_dispatching = any(lane.waiting for lane in self.lanes.values())
        if self._is_dispatching:
            self.at(self._slot_at, self._dispatch)

    # -- the lanes ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start polling, the runs of `pypi` and the refreshes."""
        self.at(self.now, self.poll)
        self.at(self.now + 7, self.crawl)
        self.at(self.now + 11 * MINUTE, self.refresh)

    def poll(self) -> None:
        left = [len(FEEDS)]
        entries: list[FeedEntry] = []
        for feed in FEEDS:
            self.request("feeds", -1, lambda feed=feed: self._read(feed, entries, left))  # type: ignore[misc]

    def _read(self, feed: str, entries: list[FeedEntry], left: list[int]) -> None:
        all_of_it = self.feeds[feed]
        end = len(all_of_it)
        was_stale = end > self.polled[feed] and self.dice.random() < self.volume.stale_first
        if was_stale:
            end = self.polled[feed]  # as of the last poll; ours made the cache ask again
        for _, found in all_of_it[self.polled[feed] :]:
            if found is not None:
                found.shown = self.now if was_stale else found.uploaded
        if end == self.read_up_to[feed]:
            self.answers["feeds", 304] += 1
            self.unchanged_polls += feed == "updates"
        else:
            self.answers["feeds", 200] += 1
            self.unchanged_polls *= feed != "updates"
            shown = [entry for entry, _ in all_of_it[max(0, end - FEEDS[feed]) : end]]
            self.overrun += is_overrun(self.newest[feed], shown)
            self.newest[feed] = max(self.newest[feed] or 0, newest(shown) or 0)
            entries += (e for e in shown if dedup_key(e) not in self.done and dedup_key(e) not in self.taken)
            self.read_up_to[feed], self.shown[feed] = end, shown
        self.polled[feed] = len(all_of_it)
        left[0] -= 1
        if not left[0]:
            wait = next_poll(self.shown["updates"], POLL, self.now, unchanged=self.unchanged_polls)
            self.at(self.now + wait, self.poll)
            self._take(entries)

    def _take(self, entries: list[FeedEntry]) -> None:
        """One question for each release; a new project's is answered by that for its first release."""
        known, named = self.known, {entry.normalized_name for entry in entries if entry.version}
        for entry in order(entries, members=known, hinted=_is_hinted):
            self.taken.add(dedup_key(entry))
            if entry.version is None and entry.normalized_name in named:
                self.done.add(dedup_key(entry))
                continue
            self.ask(
                "feeds",
                urgency(entry, members=known, hinted=_is_hinted),
                entry.normalized_name,
                Promise(version=entry.version),
                key=dedup_key(entry),
            )

    @property
    def known(self) -> _Known:
        return _Known(self)

    def crawl(self) -> None:
        """A run of `pypi` each half an hour; one that takes longer reads the index again (INDEX_REFRESH)."""
        self.at(self.now + INDEX_EVERY, self.crawl)
        self.request("index", -1, lambda: self.at(self.now + self.service.index, self._compare))

    def _compare(self) -> None:
        self.answers["index", 200] += 1
        # PyPI's CDN asks for it anew every half an hour, at moments of its own.
        cached = self.now - (self.now - self.index_phase) % INDEX_EVERY
        changed = sorted(name for name, project in self.projects.items() if project.times[1:])
        index = [(name, self.projects[name].serial(cached), place) for place, name in enumerate(changed)]
        stored = [(name, self.stored.get(name, 0)) for name in changed]
        work = work_list(index, stored, members=self.known, wanted=(), hinted=_is_hinted)
        self.lanes["index"].waiting.clear()
        for rank, place in enumerate(work):
            name, serial, _ = index[place]
            self.ask("index", rank, name, Promise(serial))

    def ask(
        self,
        lane: str,
        rank: int,
        name: str,
        promise: Promise,
        attempt: int = 0,
        key: str | None = None,
    ) -> None:
        """Ask for a project's JSON, again while it is stale; a stale one is waited for beside the others."""

        def answered() -> None:
            serial = self.answer(name)
            self.answers[lane, 200] += 1
            self.store(name, serial)
            listed = promise.version is None or int(promise.version) <= serial
            if not is_stale(promise, serial, [promise.version] if promise.version and listed else []):
                if key:
                    self.done.add(key)
                return
            count, next_try = self.stuck.get(name, (0, -math.inf))
            delay = retry_delay(attempt + 1, 0.0 if self.now < next_try else PATIENCE)
            if delay is not None:
                again = (lane, rank, name, promise, attempt + 1, key)
                self.at(self.now + delay, lambda: self.ask(*again))
                return
            if self.now >= next_try:
                self.stuck[name] = count + 1, self.now + min(300 * 2.0**count, DAY)
            self.request(lane, rank, lambda: self._round(lane, name))

        self.request(lane, rank, answered)

    def _round(self, lane: str, name: str) -> None:
        self.answers[lane, 200] += 1
        if self.projects[name].has_way_round:
            self.answers[lane, 200] += 1
            self.store(name, self.projects[name].serials[-1])

    def store(self, name: str, serial: int) -> None:
        """Facts were received; a moment later search finds what they tell."""
        if serial <= self.stored.get(name, 0):
            return
        self.stored[name] = serial
        if name not in self.members:
            return
        if name not in self.verified:
            self.verified[name] = None
        project = self.projects[name]
        project.read["json"] = (serial, project.blind)
        ready = self.now + self.service.linger + self.service.importing
        waiting = self.waiting_for[name]
        for found in waiting:
            if found.serial <= serial:
                found.found = ready
        self.waiting_for[name] = [found for found in waiting if found.found is None]

    def refresh(self) -> None:
        """A run of `project -a refresh=1 -a share=1/24`."""
        self.at(self.now + REFRESH_EVERY, self.refresh)
        for name in due(self.verified, 1 / 24, now=int(self.now)):
            self.request("refresh", 1, lambda name=name: self._verify(name))  # type: ignore[misc]

    def _verify(self, name: str) -> None:
        self._conditional(name, "json")
        self.request("refresh", 0, lambda: self._verified(name))

    def _verified(self, name: str) -> None:
        self._conditional(name, "page")
        last = self.verified[name]
        if last is not None and last > self.began - HOUR:
            self.longest_unverified = max(self.longest_unverified, self.now - last)
        self.verified[name] = int(self.now)

    def _conditional(self, name: str, kind: str) -> None:
        project = self.projects[name]
        body = (self.answer(name) if kind == "json" else project.serials[-1], project.blind)
        self.answers["refresh", 304 if project.read.get(kind) == body else 200] += 1
        project.read[kind] = body
        if kind == "json":
            self.store(name, body[0])
        elif body[0] > self.stored.get(name, 0):
            self.ask("refresh", 0, name, Promise(body[0]), attempt=1)

    # -- what came of it ----------------------------------------------------------------------------

    def close_books(self) -> None:
        """What happens from now on is not counted."""
        self.ended = self.now
        self.counted = Counter(self.answers)

    @property
    def requests(self) -> int:
        return sum((self.counted or self.answers).values())

    @property
    def unchanged(self) -> float:
        """The share of answers without a body."""
        counted = self.counted or self.answers
        return sum(count for (_, status), count in counted.items() if status == 304) / self.requests

    def delays(self, since: str = "shown", after: float = 0.0) -> list[float]:
        """Seconds until found, sorted, of all releases of members uploaded after then."""
        found = [release for release in self.releases if release.uploaded >= after and release.found]
        begin = attrgetter(since)
        return sorted((release.found or 0.0) - (begin(release) or release.uploaded) for release in found)

    def missed(self) -> int:
        """Releases of members, uploaded before the books were closed, that search does not find."""
        return sum(release.found is None for release in self.releases if release.uploaded < self.ended)

    def behind(self, names: Iterable[str]) -> list[str]:
        """Those projects that are not known as they were at the start."""
        return [name for name in names if self.stored.get(name, 0) < self.projects[name].serial(0)]


class _Known:
    """The names that the store knows as members: new ones are when they have been fetched."""

    def __init__(self, day: Day) -> None:
        self.day = day

    def __contains__(self, name: object) -> bool:
        return name in self.day.members and name in self.day.verified


def _is_hinted(name: str) -> bool:
    return "plone" in name


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of sorted values that so much of them do not exceed."""
    return values[math.ceil(len(values) * share) - 1]
