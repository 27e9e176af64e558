"""Feeds of a profile: its new packages and new releases as Atom, each package's own feed at PyPI as OPML."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Literal
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from pyf_scrapy.metadata.releases import listed_files
from pyf_scrapy.parsers.records import ProjectRecord
from pyf_scrapy.search.cleaning import decoded_words, people
from pyf_scrapy.store import Event
from pyf_scrapy.web.atom import ATOM, OPML, Entry, Subscription, atom, opml
from pyf_scrapy.web.catalogue import Packages, Row, TheCatalogue
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.site import Site, TheSite

router = APIRouter(prefix="/feeds", include_in_schema=False)

ENTRIES = 50
#: Events of new packages that are looked at to find so many: a first crawl brings packages of all ages.
_EVENTS = 5_000
#: Seconds between a package's first upload and the crawl that found it, up to which the crawl is the news.
NEW_FOR = 14 * 86_400


@router.api_route("/{profile}/{kind}.atom", methods=READING)
def news(
    request: Request,
    site: TheSite,
    catalogue: TheCatalogue,
    profile: str,
    kind: Literal["new", "updated"],
) -> Response:
    """The last new packages, or the last new releases, of a profile."""
    served = site.profile(profile)
    packages = catalogue.packages(served.collection)
    if kind == "new":
        found = request.app.state.new_packages.of(served.collection, packages)
    else:
        found = _updated(site, packages, served.collection)
    title = f"{served.name}: new packages" if kind == "new" else f"{served.name}: new releases"
    base = base_url(request, site)
    row = site.store.collection(served.collection)
    body = atom(
        title,
        f"{base}{request.url.path}",
        f"{base}/p/{quote(profile, safe='')}/",
        found,
        since=row.created_at if row is not None else 0,
    )
    return conditional(request, body, ATOM)


@router.api_route("/{profile}/releases.opml", methods=READING)
def subscriptions(request: Request, site: TheSite, catalogue: TheCatalogue, profile: str) -> Response:
    """The feed of the releases of each package, at PyPI: to subscribe to some of them, or to all."""
    served = site.profile(profile)
    pypi = _pypi(site)
    listed = (
        Subscription(
            row.shown["name"],
            f"{pypi}/rss/project/{row.name}/releases.xml",
            _page(site, row.name),
            row.shown["summary"],
        )
        for row in catalogue.packages(served.collection).after("")
    )
    name = f'attachment; filename="{served.collection}.opml"'
    body = opml(f"{served.name}: releases of each package", listed)
    return conditional(request, body, OPML, {"content-disposition": name})


class NewPackages:
    """The entries of the feeds of new packages; made anew when a collection has changed. Thread-safe."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: dict[str, tuple[Packages, list[Entry]]] = {}

    def of(self, collection: str, packages: Packages) -> list[Entry]:
        """Those of a collection, which has these packages. Raises StoreError."""
        kept = self._kept.get(collection)
        if kept is None or kept[0] is not packages:
            kept = packages, _new(self._site, collection)
            self._kept[collection] = kept
        return kept[1]


def base_url(request: Request, site: Site) -> str:
    """How others reach the application, without a slash at the end: SERVE_URL, else as this request did."""
    return (site.web.url or str(request.base_url)).rstrip("/")


def _updated(site: Site, packages: Packages, collection: str) -> list[Entry]:
    """The last releases: those that a crawl saw come, and the latest one of each package."""
    events = site.store.recent_events(collection, "released", ENTRIES)
    records = _records(site, events)
    found = {
        (event.normalized_name, event.version): _release_entry(site, event, records[event.normalized_name])
        for event in events
        if event.normalized_name in records
        and event.version in listed_files(records[event.normalized_name])  # else it was deleted since
    }
    dated = (row for row in packages.by_name.values() if row.shown["upload_timestamp"])
    for row in heapq.nlargest(ENTRIES, dated, key=lambda row: row.shown["upload_timestamp"]):
        found.setdefault((row.name, row.shown["version"]), _row_entry(site, row))
    return _newest(found.values())


def _new(site: Site, collection: str) -> list[Entry]:
    """The packages that were new last: by when they were found; those of a first crawl by first upload."""
    events = site.store.recent_events(collection, "created", _EVENTS)
    found: list[Entry] = []
    for start in range(0, len(events), ENTRIES):
        some = events[start : start + ENTRIES]
        if len(found) == ENTRIES and found[-1].updated >= some[0].at:
            break  # what follows is older
        records = _records(site, some)
        found += [
            _package_entry(site, event, records[event.normalized_name])
            for event in some
            if event.normalized_name in records
        ]
        found = _newest(found)
    return found


def _newest(entries: Iterable[Entry]) -> list[Entry]:
    return heapq.nlargest(ENTRIES, entries, key=lambda entry: entry.updated)


def _records(site: Site, events: list[Event]) -> dict[str, ProjectRecord]:
    names = dict.fromkeys(event.normalized_name for event in events)
    return {record.normalized_name: record for record in site.store.latest_records(names)}


def _uploads(record: ProjectRecord, version: str | None = None) -> Iterator[int]:
    """The times at which the files of a version, or of all, were uploaded."""
    for listed, files in listed_files(record).items():
        if version in (None, listed):
            yield from (file.upload_time for file in files if file.upload_time is not None)


def _package_entry(site: Site, event: Event, record: ProjectRecord) -> Entry:
    first = min(_uploads(record), default=event.at)
    is_news = event.at - first <= NEW_FOR
    page = _page(site, record.normalized_name)
    return _entry(record, f"{page}#new", record.name, page, max(event.at, first) if is_news else first, first)


def _release_entry(site: Site, event: Event, record: ProjectRecord) -> Entry:
    version = event.version or record.version
    page = _page(site, record.normalized_name, version)
    uploaded = min(_uploads(record, version), default=event.at)
    return _entry(
        record, f"{page}#released", f"{record.name} {version}", page, max(event.at, uploaded), uploaded
    )


def _entry(record: ProjectRecord, key: str, title: str, page: str, updated: int, published: int) -> Entry:
    metadata = record.metadata
    author = decoded_words(metadata.author or "") or people(metadata.author_email)
    summary = metadata.summary or ""
    return Entry(key, title, page, updated, published, summary, author, metadata.keywords or ())


def _row_entry(site: Site, row: Row) -> Entry:
    shown = row.shown
    page = _page(site, row.name, shown["version"])
    return Entry(
        key=f"{page}#released",
        title=f"{shown['name']} {shown['version']}",
        link=page,
        updated=shown["upload_timestamp"],
        published=shown["upload_timestamp"],
        summary=shown["summary"],
        author=shown["author"],
        categories=tuple(shown["keywords"]),
    )


def _page(site: Site, name: str, version: str | None = None) -> str:
    """The page of a package, or of a release, at PyPI."""
    page = f"{_pypi(site)}/project/{name}/"
    return page if version is None else f"{page}{quote(version, safe='')}/"


def _pypi(site: Site) -> str:
    return str(site.settings["PYPI_URL"]).rstrip("/")
