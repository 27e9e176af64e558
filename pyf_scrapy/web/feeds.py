"""Feeds of a profile: its new packages and new releases as Atom, each package's own feed at PyPI as OPML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from pyf_scrapy.metadata.releases import listed_files
from pyf_scrapy.parsers.records import ProjectRecord
from pyf_scrapy.search.cleaning import decoded_words, people
from pyf_scrapy.store import Event
from pyf_scrapy.web.atom import ATOM, OPML, Entry, Subscription, atom, opml
from pyf_scrapy.web.catalogue import TheCatalogue
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.site import Site, TheSite

router = APIRouter(prefix="/feeds", include_in_schema=False)

ENTRIES = 50
#: Events of new packages that are looked at to find so many: what the first crawl brings is not news.
_EVENTS = 1_000
#: Seconds between a package's first upload and the crawl that found it, up to which it counts as new.
NEW_FOR = 14 * 86_400
_METHODS = ["GET", "HEAD"]


@router.api_route("/{profile}/{kind}.atom", methods=_METHODS)
def news(request: Request, site: TheSite, profile: str, kind: Literal["new", "updated"]) -> Response:
    """The last new packages, or the last new releases, of a profile."""
    served = site.profile(profile)
    found = _new(site, served.collection) if kind == "new" else _updated(site, served.collection)
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


@router.api_route("/{profile}/releases.opml", methods=_METHODS)
def subscriptions(request: Request, site: TheSite, catalogue: TheCatalogue, profile: str) -> Response:
    """The feed of the releases of each package, at PyPI: to subscribe to some of them, or to all."""
    served = site.profile(profile)
    pypi = _pypi(site)
    listed = (
        Subscription(
            row.shown["name"],
            f"{pypi}/rss/project/{row.name}/releases.xml",
            f"{pypi}/project/{row.name}/",
            row.shown["summary"],
        )
        for row in catalogue.packages(served.collection).after("")
    )
    name = f'attachment; filename="{served.collection}.opml"'
    body = opml(f"{served.name}: releases of each package", listed)
    return conditional(request, body, OPML, {"content-disposition": name})


def base_url(request: Request, site: Site) -> str:
    """How others reach the application, without a slash at the end: SERVE_URL, else as this request did."""
    return (site.web.url or str(request.base_url)).rstrip("/")


def _updated(site: Site, collection: str) -> list[Entry]:
    events = site.store.recent_events(collection, "released", ENTRIES)
    records = _records(site, events)
    return [_entry(site, event, records[event.normalized_name]) for event in events]


def _new(site: Site, collection: str) -> list[Entry]:
    events = site.store.recent_events(collection, "created", _EVENTS)
    found: list[Entry] = []
    for start in range(0, len(events), ENTRIES):
        some = events[start : start + ENTRIES]
        records = _records(site, some)
        found += [
            _entry(site, event, record)
            for event in some
            if event.at - (_first_upload(record := records[event.normalized_name]) or 0) <= NEW_FOR
        ]
        if len(found) >= ENTRIES:
            break
    return found[:ENTRIES]


def _records(site: Site, events: list[Event]) -> dict[str, ProjectRecord]:
    names = dict.fromkeys(event.normalized_name for event in events)
    return {record.normalized_name: record for record in site.store.latest_records(names)}


def _first_upload(record: ProjectRecord) -> int | None:
    return min(_uploads(record), default=None)


def _uploads(record: ProjectRecord, version: str | None = None) -> Iterator[int]:
    """The times at which the files of a version, or of all, were uploaded."""
    for listed, files in listed_files(record).items():
        if version in (None, listed):
            yield from (file.upload_time for file in files if file.upload_time is not None)


def _entry(site: Site, event: Event, record: ProjectRecord) -> Entry:
    metadata = record.metadata
    version = event.version or record.version
    page = f"{_pypi(site)}/project/{record.normalized_name}/"
    return Entry(
        key=f"{page}{quote(version, safe='')}/#{event.kind}-{event.seq}",
        title=f"{record.name} {version}",
        link=f"{page}{quote(version, safe='')}/" if event.kind == "released" else page,
        updated=event.at,
        published=min(_uploads(record, event.version), default=event.at),
        summary=metadata.summary or "",
        author=decoded_words(metadata.author or "") or people(metadata.author_email),
        categories=metadata.keywords or (),
    )


def _pypi(site: Site) -> str:
    return str(site.settings["PYPI_URL"]).rstrip("/")
