"""The Simple API: pip and uv install a profile's packages with it. The files stay at PyPI."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import RedirectResponse
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.store.records import ACTIVE
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.negotiation import best_type
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.simple_pages import index_html, index_json, page, page_html, page_json
from pyf_scrapy.web.site import Site, TheSite

router = APIRouter(prefix="/simple", include_in_schema=False)

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"
#: What is offered, in the order of preference, and the type that it is answered with (PEP 691).
_OFFERED = {
    "text/html": "text/html; charset=utf-8",
    _JSON: _JSON,
    _HTML: _HTML,
    "application/vnd.pypi.simple.latest+json": _JSON,
    "application/vnd.pypi.simple.latest+html": _HTML,
}
_VARY = {"vary": "Accept"}


@router.api_route("/{profile}/", methods=READING)
def index(request: Request, site: TheSite, profile: str) -> Response:
    """All packages of a profile."""
    collection = site.profile(profile).collection
    media_type = _media_type(request)
    names = list(site.store.indexed_names(collection))
    body = index_json(names) if media_type == _JSON else index_html(names)
    return conditional(request, body, media_type, _VARY)


@router.api_route("/{profile}/{name}/", methods=READING)
def project(request: Request, site: TheSite, profile: str, name: str) -> Response:
    """The files of a package. A name that is not normalized leads to the one that is."""
    collection = site.profile(profile).collection
    normalized = canonicalize_name(name)
    made = _page(site, collection, normalized)
    if name != normalized:
        return RedirectResponse(f"../{normalized}/", 301)
    media_type = _media_type(request)
    body = page_json(made) if media_type == _JSON else page_html(made)
    return conditional(request, body, media_type, _VARY)


@router.api_route("/{profile}", methods=READING)
@router.api_route("/{profile}/{name}", methods=READING)
def without_slash(site: TheSite, profile: str, name: str | None = None) -> Response:
    """Lead to the address that ends with a slash."""
    site.profile(profile)
    last = profile if name is None else canonicalize_name(name)
    return RedirectResponse(f"{quote(last, safe='')}/", 301)


def _page(site: Site, collection: str, name: str) -> dict[str, Any]:
    """The page of a package that the collection has. Raises NotFoundError."""
    row = site.store.project(name) if site.store.indexed(collection, [name]) else None
    record = next(site.store.latest_records([name]), None)
    if row is None or row.status != ACTIVE or record is None:
        raise NotFoundError(f"{collection} has no package {name[:100]!r}")
    return page(record, site.store.standings([name])[name])


def _media_type(request: Request) -> str:
    """What the client takes. Raises HTTPException 406 where it takes nothing that there is."""
    accept = ",".join(request.headers.getlist("accept"))
    best = best_type(accept, tuple(_OFFERED))
    if best is None:
        raise HTTPException(406, f"this is {_JSON}, {_HTML} or text/html")
    return _OFFERED[best]
