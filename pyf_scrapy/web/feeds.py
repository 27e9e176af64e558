"""Feeds of a profile: its new packages and new releases as Atom, each package's own feed at PyPI as OPML."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from pyf_scrapy.web.atom import ATOM, OPML, Entry, Subscription, atom, opml
from pyf_scrapy.web.catalogue import TheCatalogue
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.news import Kind, News, page_at_pypi, pypi
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.site import Site, TheSite

router = APIRouter(prefix="/feeds", include_in_schema=False)

_TITLES = {Kind.NEW: "new packages", Kind.UPDATED: "new releases"}


async def _entries(
    request: Request, site: TheSite, catalogue: TheCatalogue, profile: str, kind: Kind
) -> list[Entry]:
    """What the feed tells, waited for before a thread is taken."""
    made: News = request.app.state.news
    return await made.of(site.profile(profile).collection, kind, catalogue)


@router.api_route("/{profile}/{kind}.atom", methods=READING)
def news(
    request: Request,
    site: TheSite,
    profile: str,
    kind: Kind,
    entries: Annotated[list[Entry], Depends(_entries)],
) -> Response:
    """The last new packages, or the last new releases, of a profile."""
    served = site.profile(profile)
    base = base_url(request, site)
    row = site.store.collection(served.collection)
    body = atom(
        f"{served.name}: {_TITLES[kind]}",
        f"urn:pyf_scrapy:{site.store.store_id()}:{served.collection}:{kind}",
        f"{base}{request.url.path}",
        f"{base}/p/{quote(profile, safe='')}/",
        entries,
        since=row.created_at if row is not None else 0,
    )
    return conditional(request, body, ATOM)


@router.api_route("/{profile}/releases.opml", methods=READING)
def subscriptions(request: Request, site: TheSite, catalogue: TheCatalogue, profile: str) -> Response:
    """The feed of the releases of each package, at PyPI: to subscribe to some of them, or to all."""
    served = site.profile(profile)
    listed = (
        Subscription(
            row.shown["name"],
            f"{pypi(site)}/rss/project/{row.name}/releases.xml",
            page_at_pypi(site, row.name),
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
