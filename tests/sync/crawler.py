"""A crawler as a pure model: the real rules of `pyf_scrapy.sync` between models of store and index.

A lane (`pypi`, `rss`, `refresh`) is a generator: it stops before each request and each write, so that lanes
are interleaved, and killed, at any point. It does what the spiders and pipelines do, in the same order.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from pyf_scrapy.parsers.records import File, Metadata, ProjectRecord
from pyf_scrapy.parsers.rss import FeedEntry
from pyf_scrapy.parsers.simple_index import SimplePage
from pyf_scrapy.sync import feeds
from pyf_scrapy.sync.refresh import due
from pyf_scrapy.sync.removal import (
    QUARANTINED,
    IndexVerdict,
    has_vanished,
    is_recreated,
    is_replaced,
    is_tombstone,
    judge_index,
    returns,
    too_many,
)
from pyf_scrapy.sync.staleness import Promise, is_stale, is_too_early, retry_delay
from pyf_scrapy.sync.work_list import work_list
from tests.sync.model import DAY, Answer, Key, ModelCDN

ACTIVE, EMPTY, VANISHED, REMOVED = "active", "empty", "vanished", "removed"
UNLISTED_SERIAL = -2
DEDUP_TTL = DAY
REQUEST = 0.2  # seconds


class Step(NamedTuple):
    """Where a lane stops. `until` is when it goes on; `critical`: it holds a lock, others must wait."""

    until: float = 0.0
    critical: bool = False


STEP, CRITICAL = Step(), Step(critical=True)
T = Generator[Step, None, Any]


class Document(NamedTuple):
    """A document; `serial` is that of the facts it was derived from, all else is what a reader sees."""

    serial: int
    made: str | None
    yanked: bool
    owners: tuple[str, ...]
    marker: str
    advisories: int


@dataclass
class Row:
    """What the store has of a project. `serial` is that of the last check, `facts_serial` of the facts."""

    serial: int
    profiles: tuple[str, ...]
    status: str = ACTIVE
    revision: int = 0
    facts_serial: int = 0
    record: ProjectRecord | None = None
    metadata: dict[str, Metadata | None] = field(default_factory=dict)
    marker: str = ACTIVE
    page_etag: Any = None
    project_etag: Any = None
    verified_at: int | None = None
    vanished_at: int = 0
    recreated: bool = False

    def documents(self, profile: str) -> dict[str, Document]:
        if self.status != ACTIVE or profile not in self.profiles or self.record is None:
            return {}
        files = self.record.files or {}
        return {
            version: Document(
                self.facts_serial,
                metadata.summary if metadata else None,
                any(file.yanked for file in files[version]),
                tuple(role.user for role in self.record.roles or ()),
                self.marker,
                len(self.record.vulnerabilities or ()) if version == self.record.version else 0,
            )
            for version, metadata in self.metadata.items()
        }


class WrongError(AssertionError):
    """The crawler did what it must never do."""


class ModelStore:
    """The tables: rows, what the collections hold, dedup keys, failures, the last index."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.rows: dict[str, Row] = {}
        self.indexed: dict[tuple[str, str], tuple[int | None, frozenset[str]]] = {}
        self.dedup: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.index: Any = None
        self.newest: dict[str, int] = {}

    def iter_serials(self) -> Iterator[tuple[str, int]]:
        for name in sorted(self.rows):
            row = self.rows[name]
            yield name, UNLISTED_SERIAL if row.status in (VANISHED, REMOVED) else row.serial

    def package_names(self) -> set[str]:
        return {name for name, row in self.rows.items() if row.record and row.status != REMOVED}

    def vanished(self) -> dict[str, int]:
        return {name: row.vanished_at for name, row in self.rows.items() if row.status == VANISHED}

    def members(self) -> set[str]:
        return {
            name for name, row in self.rows.items() if row.record and row.status == ACTIVE and row.profiles
        }

    def wanted(self) -> set[str]:
        """Members whose facts are older than the last check, or lack releases."""
        return {
            name
            for name, row in self.rows.items()
            if row.status == ACTIVE
            and row.profiles
            and (
                row.record is None
                or row.facts_serial < row.serial
                or row.metadata.keys() != (row.record.files or {}).keys()
            )
        }

    def dirty(self) -> set[str]:
        found = set()
        for name, row in self.rows.items():
            for profile in PROFILES:
                known = self.indexed.get((profile, name))
                is_member = row.status == ACTIVE and profile in row.profiles and row.record is not None
                if (known is not None) if not is_member else (known is None or known[0] != row.revision):
                    found.add(name)
        return found

    def is_old_news(self, name: str, serial: int, promised: int | None) -> bool:
        """Whether an answer is older than the facts, or shows a package as it was before it vanished.

        Asked when the answer comes, and again in the transaction that writes: another lane may have found out
        meanwhile.
        """
        row = self.rows.get(name)
        if row is None:
            return False
        if row.status in (VANISHED, REMOVED) and not returns(row.serial, serial, promised):
            return True
        return serial < row.serial

    def check(
        self,
        name: str,
        serial: int,
        profiles: tuple[str, ...],
        status: str = ACTIVE,
        promised: int | None = None,
    ) -> bool:
        row = self.rows.get(name)
        if row is None:
            self.rows[name] = Row(serial, profiles, status)
            return True
        if self.is_old_news(name, serial, promised):
            return False
        if status == EMPTY and row.record is not None:
            profiles = row.profiles
        if (profiles, status) != (row.profiles, row.status):
            row.revision += 1
        row.serial, row.profiles, row.status = serial, profiles, status
        return True

    def vanish(self, name: str, known: int, at: float, page_serial: int = 0) -> bool:
        """`known` is the serial stored when the proof was looked for: newer facts are not touched."""
        row = self.rows[name]
        if row.serial > known:
            return False
        self.watch.vanishes(name, row.serial)
        row.revision += 1
        row.status, row.vanished_at, row.serial = VANISHED, int(at), max(row.serial, page_serial)
        return True

    def save(
        self,
        record: ProjectRecord,
        serial: int,
        found: dict[str, Metadata | None],
        etag: Any,
        promised: int | None,
    ) -> None:
        name = record.normalized_name
        if self.is_old_news(name, serial, promised):
            return
        row = self.rows.setdefault(name, Row(0, ()))
        before, files = row.record, record.files or {}
        kept: dict[str, Metadata | None] = {}
        if before is not None:
            gap = row.status in (VANISHED, REMOVED)
            recreated = is_recreated(before, record, gap=gap)
            self.watch.judged(before, record, gap=gap, recreated=recreated)
            row.recreated |= recreated
            kept = {
                version: metadata
                for version, metadata in row.metadata.items()
                if version in files and not is_replaced((before.files or {}).get(version, ()), files[version])
            }
        row.metadata = kept | {version: found[version] for version in found if version in files}
        row.record, row.facts_serial, row.serial = record, serial, serial
        row.profiles, row.status = tuple(record.metadata.classifiers), ACTIVE
        row.project_etag = etag
        row.revision += 1

    def verify(self, name: str, page: tuple[str, Any] | None, at: float) -> None:
        """What the page says. The ETag of the JSON is not written here but with the facts that it came with:
        another lane may have stored others since."""
        row = self.rows[name]
        if page is not None:
            row.revision += page[0] != row.marker
            row.marker, row.page_etag = page
        row.verified_at = int(at)


PROFILES = ("p", "q")


class Watch:
    """What must hold at every moment. Made with the truth at hand, which the crawler does not see."""

    def __init__(self, cdn: ModelCDN) -> None:
        self.pypi = cdn.pypi
        self.cdn = cdn
        self.shown: dict[tuple[str, str], int] = {}
        self.index_was_cut = False

    def vanishes(self, name: str, serial: int) -> None:
        """A package is only gone if PyPI removed it after the facts that are stored."""
        if not self.index_was_cut and self.pypi.gone.get(name, 0) <= serial:
            raise WrongError(f"{name} was deleted wrongly: nothing removed it after serial {serial}")
        for profile in PROFILES:
            # From now on only newer facts than these may be shown.
            if not self.index_was_cut and (profile, name) in self.shown:
                self.shown[profile, name] = max(self.shown[profile, name], serial + 1)

    def shows(self, profile: str, name: str, serial: int) -> None:
        """No older fact comes after a newer one."""
        if serial < self.shown.get((profile, name), 0):
            raise WrongError(f"{name} shows serial {serial} after {self.shown[profile, name]}")
        self.shown[profile, name] = serial

    def judged(self, before: ProjectRecord, after: ProjectRecord, *, gap: bool, recreated: bool) -> None:
        """A name is flagged when it is another project, as far as anyone can tell. It may be flagged, too,
        when it was handed over, or when it comes back from quarantine with none of its files."""
        others = before.roles != after.roles
        must = before.metadata.author != after.metadata.author and (gap or others)
        may = must or others or (gap and not _filenames(before) & _filenames(after))
        if recreated < must or recreated > may:
            raise WrongError(f"{before.name}: flagged {recreated}, gap {gap}, other owners {others}")


def _filenames(record: ProjectRecord) -> set[str]:
    return {file.filename for files in (record.files or {}).values() for file in files}


ANYTHING = Promise()


@dataclass(frozen=True)
class Ask:
    """A question about a project. `unlisted`: the serial stored of one that the index lacks."""

    name: str
    promise: Promise = ANYTHING
    attempt: int = 0
    unlisted: int | None = None
    refresh: bool = False
    keys: tuple[str, ...] = ()

    @property
    def is_promised(self) -> bool:
        return self.promise.serial is not None or bool(self.keys)


class ModelCrawler:
    """The lanes over one store and one index. `route` is the CDN's node that they reach."""

    def __init__(self, cdn: ModelCDN) -> None:
        self.cdn = cdn
        self.route = 0
        self.requests = 0
        self.watch = Watch(cdn)
        self.store = ModelStore(self.watch)
        self.documents: dict[str, dict[str, dict[str, Document]]] = {profile: {} for profile in PROFILES}
        self._numbers = itertools.count()

    @property
    def now(self) -> float:
        return self.cdn.pypi.now

    # -- lanes --------------------------------------------------------------------------------------

    def pypi(self, accept_removals: bool = False) -> T:
        """`scrapy crawl pypi`: what differs from the index. Returns whether it was read and believed."""
        yield from self.pass_on()
        store, last = self.store, self.store.index
        answer = yield from self.get(("index",), last)
        if answer.status not in (200, 304):
            return False
        current = True
        if answer.status == 200:
            verdict = judge_index(
                serial=answer.body.serial,
                count=len(answer.body.projects),
                last_serial=last and last.serial,
                last_count=last and len(last.projects),
            )
            smaller = verdict is IndexVerdict.SMALLER and accept_removals
            current = verdict is IndexVerdict.ACCEPTED or smaller
            if current:
                store.index = answer.body
        index, read_at = store.index, self.now
        yield STEP
        work = work_list(
            ((name, serial, place) for place, (name, serial) in enumerate(index.projects)),
            store.iter_serials(),
            members=store.members(),
            wanted=store.wanted(),
            packages=(packages := store.package_names()),
            last_serial=index.serial,
            hinted=lambda name: False,
        )
        asks: list[Ask] = []
        if current:
            believed, asks = self.doubt(work.unlisted, len(packages), read_at, accept_removals)
            current = believed
        asks += [Ask(name, Promise(serial)) for name, serial in map(index.projects.__getitem__, work)]
        yield from self.work(asks)
        return current

    def doubt(
        self, unlisted: dict[str, int], packages: int, read_at: float, accept_removals: bool
    ) -> tuple[bool, list[Ask]]:
        """Tombstones for what a second index lacks, questions about what a first one does."""
        vanished = self.store.vanished()
        for name in unlisted:
            if name in vanished and is_tombstone(vanished[name], int(read_at)):
                self.store.rows[name].status = REMOVED
        doubted = {name: serial for name, serial in unlisted.items() if name not in vanished}
        if too_many(len(doubted), packages) and not accept_removals:
            return False, []
        return True, [Ask(name, unlisted=serial) for name, serial in doubted.items()]

    def rss(self, etags: dict[str, Any] | None = None) -> T:
        """One poll of both feeds; `etags` are kept between the polls of `-a follow`."""
        yield from self.pass_on()
        etags = {} if etags is None else etags
        store, found, overrun = self.store, [], False
        for feed in ("updates", "packages"):
            answer = yield from self.get((feed,), etags.get(feed))
            if answer.status == 200:
                entries: tuple[FeedEntry, ...] = answer.body
                overrun |= feeds.is_overrun(store.newest.get(feed), entries)
                store.newest[feed] = max(store.newest.get(feed, 0), feeds.newest(entries) or 0)
                etags[feed] = answer.body
                found += [e for e in entries if store.dedup.get(feeds.dedup_key(e), 0) <= self.now]
        in_order = feeds.order(found, members=store.members(), hinted=lambda name: False)
        done = yield from self.work(
            [Ask(e.normalized_name, Promise(version=e.version), keys=(feeds.dedup_key(e),)) for e in in_order]
        )
        if not done:
            etags.clear()  # what failed is news again, even if the feed does not change
        return overrun

    def refresh(self, share: float = 1.0) -> T:
        """`scrapy crawl project -a refresh=1`: what moves no serial."""
        yield from self.pass_on()
        members = self.store.members()
        verified = {name: self.store.rows[name].verified_at for name in sorted(members)}
        yield from self.work(Ask(name, refresh=True) for name in due(verified, share, now=int(self.now)))

    # -- questions ----------------------------------------------------------------------------------

    def work(self, asks: Iterable[Ask]) -> T:
        """Ask all; what is stale waits beside the others. Returns whether each got what was promised."""
        queue, later, done = deque(asks), list[tuple[float, int, Ask]](), True
        while queue or later:
            if later and later[0][0] <= self.now:
                ask = heapq.heappop(later)[2]
            elif queue:
                ask = queue.popleft()
            else:
                yield Step(until=later[0][0])
                continue
            fresh = yield from (self.verify(ask, later) if ask.refresh else self.ask(ask))
            if fresh:
                continue
            delay = retry_delay(ask.attempt + 1)
            if delay is not None:
                heapq.heappush(
                    later, (self.now + delay, next(self._numbers), replace(ask, attempt=ask.attempt + 1))
                )
            elif not (yield from self.go_round(ask)):
                self.store.failures[ask.name] = "stale"
                done = False
        return done

    def get(self, key: Key, etag: Any = None) -> Generator[Step, None, Answer]:
        yield STEP
        self.requests += 1
        self.cdn.pypi.now += REQUEST
        if key == ("index",):
            self.watch.index_was_cut |= bool(self.cdn.cut)
        return self.cdn.get(key, self.route, etag)

    def ask(self, ask: Ask) -> Generator[Step, None, bool]:
        """Ask for the project's JSON. Returns whether it is as fresh as promised, or there is no answer."""
        answer = yield from self.get(("json", ask.name))
        fresh = yield from self.understand(ask, answer)
        return fresh

    def understand(self, ask: Ask, answer: Answer) -> Generator[Step, None, bool]:
        name, store = ask.name, self.store
        if answer.status == 404:
            return (yield from self.not_found(ask))
        if answer.status != 200:
            store.failures[name] = "no answer"
            return True
        record: ProjectRecord = answer.body
        assert record.serial is not None
        fresh = not is_stale(ask.promise, record.serial, list(record.files or ()))
        row, promised = store.rows.get(name), ask.promise.serial
        if row is not None and (not fresh or ask.unlisted is not None) and record.serial <= row.serial:
            return fresh
        if not store.is_old_news(name, record.serial, promised):
            yield from self.take(record, record.serial, answer.body, promised)
        if fresh:
            store.failures.pop(name, None)
            for key in ask.keys:
                store.dedup[key] = self.now + DEDUP_TTL
        return fresh

    def take(self, record: ProjectRecord, serial: int, etag: Any, promised: int | None) -> T:
        """Store what was fetched, with the releases that the store lacks; then send it."""
        name, store = record.normalized_name, self.store
        files = record.files or {}
        if not record.metadata.classifiers:
            yield STEP
            if store.check(name, serial, (), promised=promised):
                yield from self.send(name)
            return
        row = store.rows.get(name)
        found: dict[str, Metadata | None] = {record.version: record.metadata}
        before = (row.record.files or {}) if row and row.record else {}
        for version, of_version in files.items():
            if version == record.version:
                continue
            known = row.metadata.get(version) if row else None
            if known is not None and not is_replaced(before.get(version, ()), of_version):
                continue
            answer = yield from self.get(("release", name, version))
            if answer.status == 404:
                if not is_too_early(of_version, self.now):
                    found[version] = None
            elif answer.status == 200 and not is_replaced(answer.body.latest_files, of_version):
                found[version] = answer.body.metadata
        yield STEP
        store.save(record, serial, found, etag, promised)
        yield from self.send(name)

    def not_found(self, ask: Ask) -> Generator[Step, None, bool]:
        """A 404 on the JSON: the Simple page tells what it means."""
        name, store = ask.name, self.store
        row = store.rows.get(name)
        known = row.serial if row and row.record and row.status in (ACTIVE, EMPTY) else None
        answer = yield from self.get(("page", name))
        if answer.status not in (200, 404):
            store.failures[name] = "no answer"
            return True
        page: SimplePage | None = answer.body
        serial = (page and page.serial) or 0
        marker = page.status if page else None
        if ask.unlisted is not None:
            if has_vanished(404, answer.status, marker):
                yield from self.remove(name, ask.unlisted, serial)
            return True
        if page is None:
            return not ask.keys
        if marker == QUARANTINED:
            older = serial < max(known or 0, ask.promise.serial or 0)
            if known is not None and has_vanished(404, 200, marker, older=older):
                yield from self.remove(name, known, serial)
            return not older or not ask.is_promised
        if page.versions:
            return not ask.is_promised
        if is_stale(ask.promise, serial, page.versions if ask.promise.version else None):
            return False
        yield STEP
        if store.check(name, serial, (), EMPTY, ask.promise.serial):
            yield from self.send(name)
        return True

    def remove(self, name: str, known: int, page_serial: int) -> T:
        yield STEP
        if self.store.vanish(name, known, self.now, page_serial):
            yield from self.send(name)

    def go_round(self, ask: Ask) -> Generator[Step, None, bool]:
        """Ask for other objects than the project's JSON: its page, and the JSON of its latest release.

        What they make together is as old as the older of them.
        """
        name = ask.name
        answer = yield from self.get(("page", name))
        if answer.status != 200 or is_stale(ask.promise, answer.body.serial, answer.body.versions):
            return False
        page: SimplePage = answer.body
        files: dict[str, tuple[File, ...]] = {}
        for file in page.files:
            version = file.filename.split("-")[1]
            files[version] = (*files.get(version, ()), file)
        if not files:
            return False
        latest = max(files, key=lambda version: (not files[version][0].yanked, int(version)))
        answer = yield from self.get(("release", name, latest))
        if answer.status != 200 or is_replaced(answer.body.latest_files, files[latest]):
            return False
        release: ProjectRecord = answer.body
        serial = min(page.serial or 0, release.serial or 0)
        row = self.store.rows.get(name)
        if row is not None and serial <= row.serial:
            return False
        record = msgspec.structs.replace(release, serial=serial, files=files)
        yield from self.take(record, serial, None, ask.promise.serial)
        return ask.promise.serial is None or serial >= ask.promise.serial

    def verify(self, ask: Ask, later: list[tuple[float, int, Ask]]) -> Generator[Step, None, bool]:
        """Ask for JSON and page of a member with conditional requests."""
        name, store = ask.name, self.store
        row = store.rows[name]
        etag, page_etag = row.project_etag, row.page_etag
        answer = yield from self.get(("json", name), etag)
        if answer.status != 304:
            yield from self.understand(ask, answer)
            if answer.status != 200:
                return True
        answer = yield from self.get(("page", name), page_etag)
        row = store.rows[name]
        if answer.status not in (200, 304) or row.status != ACTIVE:
            return True
        page: SimplePage = answer.body
        serial = page.serial or 0
        if serial < row.serial:
            return True  # older than what is known: it tells nothing
        yield STEP
        said = None if answer.status == 304 else (page.status or ACTIVE, page)
        store.verify(name, said, self.now)
        yield from self.send(name)
        if serial > row.serial:
            heapq.heappush(later, (self.now + 2, next(self._numbers), Ask(name, Promise(serial), attempt=1)))
        return True

    # -- the index ----------------------------------------------------------------------------------

    def pass_on(self) -> T:
        """Send what is stored and not indexed."""
        for name in sorted(self.store.dirty()):
            yield from self.send(name)

    def send(self, name: str) -> T:
        """Documents of a package, made of what is stored now, sent a moment later."""
        store = self.store
        revision = store.rows[name].revision
        made = {profile: store.rows[name].documents(profile) for profile in PROFILES}
        yield STEP
        for profile, documents in made.items():
            known = store.indexed.get((profile, name))
            if (known is None and not documents) or store.rows[name].revision != revision:
                continue
            ids = (known[1] if known else frozenset()) | documents.keys()
            store.indexed[profile, name] = (None, ids)
            yield CRITICAL
            shown = self.documents[profile].setdefault(name, {})
            for version, document in documents.items():
                self.watch.shows(profile, name, document.serial)
                shown[version] = document
                yield CRITICAL
            for version in ids - documents.keys():
                shown.pop(version, None)
                yield CRITICAL
            if documents:
                store.indexed[profile, name] = (revision, frozenset(documents))
            else:
                del store.indexed[profile, name]
                self.documents[profile].pop(name, None)
            yield STEP

    def lose_collections(self) -> None:
        """The search server comes back empty; the next opening of the collections finds out."""
        self.store.indexed.clear()
        self.documents = {profile: {} for profile in PROFILES}


def run(lane: T, crawler: ModelCrawler) -> Any:
    """Let a lane go on until its end; returns what it returns."""
    while True:
        try:
            step = next(lane)
        except StopIteration as stop:
            return stop.value
        crawler.cdn.pypi.now = max(crawler.now, step.until)


#: What a reader finds: profile -> name -> version -> what the document says.
Seen = dict[str, dict[str, dict[str, tuple[Any, ...]]]]


def truth(crawler: ModelCrawler, *, blind: bool = False) -> Seen:
    """What a reader must find, by PyPI as it is now. `blind`: without what moves no serial."""
    found: Seen = {profile: {} for profile in PROFILES}
    for project in crawler.cdn.pypi.projects.values():
        if not project.is_shown or not project.releases:
            continue
        latest = project.latest
        for profile in latest.profiles:
            found[profile][project.name] = {
                version: _seen(
                    str(release.made),
                    release.yanked,
                    (project.owner,),
                    project.marker,
                    project.advisories if release is latest else 0,
                    blind=blind,
                )
                for version, release in project.releases.items()
            }
    return found


def shown(crawler: ModelCrawler, *, blind: bool = False) -> Seen:
    """What a reader does find."""
    return {
        profile: {
            name: {version: _seen(*document[1:], blind=blind) for version, document in documents.items()}
            for name, documents in packages.items()
            if documents
        }
        for profile, packages in crawler.documents.items()
    }


def _seen(*said: Any, blind: bool) -> tuple[Any, ...]:
    return said[:3] if blind else said


Lane = Callable[[ModelCrawler], T]
LANES: dict[str, Lane] = {
    "pypi": lambda crawler: crawler.pypi(),
    "rss": lambda crawler: crawler.rss(),
    "refresh": lambda crawler: crawler.refresh(),
}
