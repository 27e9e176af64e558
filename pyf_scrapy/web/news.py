"""What is new in a collection: its packages and releases as the entries of feeds, made once per change."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from urllib.parse import quote

from pyf_scrapy.metadata.releases import listed_files
from pyf_scrapy.parsers.records import ProjectRecord
from pyf_scrapy.search.cleaning import decoded_words, people
from pyf_scrapy.store import Event
from pyf_scrapy.store.journal import EVENTS_READ
from pyf_scrapy.web.atom import Entry
from pyf_scrapy.web.caching import Kept
from pyf_scrapy.web.catalogue import Catalogue, Packages, Row
from pyf_scrapy.web.site import Site

ENTRIES = 50
#: Seconds between a package's first upload and the crawl that found it, up to which the crawl is the news.
NEW_FOR = 14 * 86_400
#: Packages whose records are read to find the newest ones, in one go; the next reader goes on.
_READ = 5_000


class Kind(StrEnum):
    """What a feed tells of."""

    NEW = "new"
    UPDATED = "updated"


class News:
    """The entries of the feeds of a site. Who comes while they are made waits for the same ones."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._created = _Created(site)
        self._making = threading.Lock()
        self._feeds: dict[tuple[str, Kind], Kept[list[Entry]]] = {}

    async def of(self, collection: str, kind: Kind, catalogue: Catalogue) -> list[Entry]:
        """Those of a feed now, the newest first. Raises StoreError, SearchError."""
        with self._making:
            if (collection, kind) not in self._feeds:
                self._feeds[collection, kind] = self._feed(collection, kind, catalogue)
            feed = self._feeds[collection, kind]
        return await feed.ready()

    def _feed(self, collection: str, kind: Kind, catalogue: Catalogue) -> Kept[list[Entry]]:
        if kind is Kind.NEW:
            newest = NewestPackages(self._site, self._created)
            return Kept(lambda: newest.entries(catalogue.packages(collection)), 0)
        last: tuple[int, Packages, list[Entry]] | None = None

        def updated() -> list[Entry]:
            nonlocal last
            packages, event = catalogue.packages(collection), self._site.store.last_event()
            if last is None or last[0] != event or last[1] is not packages:
                last = event, packages, _updated(self._site, packages, collection)
            return last[2]

        return Kept(updated, 0)


class _Created:
    """When each package was found, by the events that tell of it; each event is read once. Thread-safe."""

    def __init__(self, site: Site) -> None:
        self._store = site.store
        self._lock = threading.Lock()
        self._seq = 0
        self._found: dict[str, int] = {}

    def __call__(self, names: Iterable[str]) -> dict[str, int]:
        """The times (epoch seconds) of those of the packages of which it is known. Raises StoreError."""
        with self._lock:
            for seq, name, at in self._store.created_after(self._seq):
                self._found.pop(name, None)  # it becomes the youngest
                self._found[name], self._seq = at, seq
            while len(self._found) > EVENTS_READ:
                del self._found[next(iter(self._found))]
            return {name: self._found[name] for name in names if name in self._found}


class NewestPackages:
    """The packages of a collection that were new last: by when they were found; those that were old by then
    by their first upload.

    Only a package's record tells of its first upload. It was at or before the latest release's, which is
    known; so records are read from the latest one down until no other package can be among the newest. What
    was read is kept: at a change only what was released since is read. Not thread-safe.
    """

    def __init__(self, site: Site, created: Callable[[Iterable[str]], dict[str, int]]) -> None:
        self._site = site
        self._created = created
        self._first: dict[str, tuple[int, int]] = {}  # by name the latest upload that it is of, the first one
        self._of: Packages | None = None
        self._entries: list[Entry] = []

    def entries(self, packages: Packages) -> list[Entry]:
        """Those of what the collection has now, the newest first. Raises StoreError."""
        if packages is not self._of:
            self._entries, is_complete = self._newest(packages)
            self._of = packages if is_complete else None
        return self._entries

    def _newest(self, packages: Packages) -> tuple[list[Entry], bool]:
        created = self._created(packages.names)
        latest = {name: row.shown.get("upload_timestamp", 0) for name, row in packages.by_name.items()}
        self._first = {name: known for name, known in self._first.items() if latest.get(name) == known[0]}
        waiting = [(-_newest_possible(latest[name], created.get(name)), name) for name in packages.names]
        heapq.heapify(waiting)
        found: list[tuple[int, int, str]] = []
        left = _READ
        while left > 0 and (some := list(islice(_next(waiting, found), ENTRIES))):
            left -= self._read([name for name in some if name not in self._first], latest, created)
            dated = (self._dated(name, created.get(name)) for name in some if name in self._first)
            found = heapq.nlargest(ENTRIES, [*found, *dated])
        entries = [
            _new_entry(self._site, packages.by_name[name], updated, first) for updated, first, name in found
        ]
        return entries, left > 0

    def _read(self, names: Sequence[str], latest: dict[str, int], created: dict[str, int]) -> int:
        """Learn the first uploads of packages; returns how many there were to read."""
        for record in self._site.store.latest_records(names):
            name = record.normalized_name
            first = min(_uploads(record), default=latest[name] or created.get(name, 0))
            self._first[name] = latest[name], first
        return len(names)

    def _dated(self, name: str, found: int | None) -> tuple[int, int, str]:
        """When a package became news, its first upload, its name."""
        first = self._first[name][1]
        is_news = found is not None and found - first <= NEW_FOR
        return (max(found, first) if found is not None and is_news else first), first, name


def _next(waiting: list[tuple[int, str]], found: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """Take the next packages off a heap of which one may be newer than what was found; few at a time."""
    oldest = found[-1][0] if len(found) == ENTRIES else 0
    while waiting and -waiting[0][0] > oldest:
        yield heapq.heappop(waiting)[1]


def _newest_possible(latest: int, found: int | None) -> int:
    """The latest time at which a package can have become news: its first upload is not after the latest one,
    0 = it has none."""
    if not latest:
        return found or 0
    return max(latest, found) if found is not None and found - latest <= NEW_FOR else latest


def _updated(site: Site, packages: Packages, collection: str) -> list[Entry]:
    """The last releases: those that a crawl saw come, and the latest one of each package."""
    events = site.store.recent_events(collection, "released", ENTRIES)
    names = dict.fromkeys(event.normalized_name for event in events)
    records = {record.normalized_name: record for record in site.store.latest_records(names)}
    found = {
        (event.normalized_name, event.version): _release_entry(site, event, records[event.normalized_name])
        for event in events
        if event.normalized_name in records
        and event.version in listed_files(records[event.normalized_name])  # else it was deleted since
    }
    dated = (row for row in packages.by_name.values() if row.shown["upload_timestamp"])
    for row in heapq.nlargest(ENTRIES, dated, key=lambda row: row.shown["upload_timestamp"]):
        found.setdefault((row.name, row.shown["version"]), _row_entry(site, row))
    return heapq.nlargest(ENTRIES, found.values(), key=lambda entry: entry.updated)


def _uploads(record: ProjectRecord, version: str | None = None) -> Iterator[int]:
    """The times at which the files of a version, or of all, were uploaded."""
    for listed, files in listed_files(record).items():
        if version in (None, listed):
            yield from (file.upload_time for file in files if file.upload_time is not None)


def _release_entry(site: Site, event: Event, record: ProjectRecord) -> Entry:
    version = event.version or record.version
    page = page_at_pypi(site, record.normalized_name, version)
    uploaded = min(_uploads(record, version), default=event.at)
    metadata = record.metadata
    return Entry(
        key=f"{page}#released",
        title=f"{record.name} {version}",
        link=page,
        updated=max(event.at, uploaded),
        published=uploaded,
        summary=metadata.summary or "",
        author=decoded_words(metadata.author or "") or people(metadata.author_email),
        categories=metadata.keywords or (),
    )


def _row_entry(site: Site, row: Row) -> Entry:
    shown = row.shown
    page = page_at_pypi(site, row.name, shown["version"])
    uploaded = shown["upload_timestamp"]
    title = f"{shown['name']} {shown['version']}"
    return _entry_of_row(row, f"{page}#released", title, page, uploaded, uploaded)


def _new_entry(site: Site, row: Row, updated: int, first: int) -> Entry:
    page = page_at_pypi(site, row.name)
    return _entry_of_row(row, f"{page}#new", row.shown["name"], page, updated, first)


def _entry_of_row(row: Row, key: str, title: str, page: str, updated: int, published: int) -> Entry:
    shown = row.shown
    categories = tuple(shown.get("keywords", ()))
    author = shown.get("author", "")
    return Entry(key, title, page, updated, published, shown.get("summary", ""), author, categories)


def page_at_pypi(site: Site, name: str, version: str | None = None) -> str:
    """The page of a package, or of a release, at PyPI."""
    page = f"{pypi(site)}/project/{name}/"
    return page if version is None else f"{page}{quote(version, safe='')}/"


def pypi(site: Site) -> str:
    """The address of PyPI, without a slash at the end."""
    return str(site.settings["PYPI_URL"]).rstrip("/")
