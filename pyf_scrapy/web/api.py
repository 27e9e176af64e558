"""The JSON API: its routes, and its OpenAPI description."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException
from pydantic import BaseModel, ValidationError

from pyf_scrapy.web import api_models as models
from pyf_scrapy.web import replication
from pyf_scrapy.web.api_documents import ReleaseDetail
from pyf_scrapy.web.api_state import IndexState, described_state
from pyf_scrapy.web.catalogue import TheCatalogue
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.described import COMMON, ETAG, MISSING, Responses, description, problem
from pyf_scrapy.web.details import package_detail
from pyf_scrapy.web.facets import Value, counted_search
from pyf_scrapy.web.filters import NAME_PATTERN, Choices, Filters, Page, wrong_input
from pyf_scrapy.web.listing import (
    ListedField,
    Listing,
    list_packages,
    list_releases,
    list_values,
    release,
)
from pyf_scrapy.web.lookups import look_up
from pyf_scrapy.web.packages import known_package
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.site import TheSite

PREFIX = "/api/v1"
MAX_BODY = 64_000  # bytes of a look-up
_LONGEST_LINK = 8_000  # bytes; not every client takes longer headers

router = APIRouter(prefix=PREFIX)

ProfileKey = Annotated[str, Path(description="A profile that is served; `/profiles` lists them.")]
PackageName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="A package, by any spelling of its name (PEP 503).")
]
Version = Annotated[str, Path(min_length=1, max_length=300, description="A version, as PyPI lists it.")]

_LINK = {"Link": {"description": 'The next page, `rel="next"`.', "schema": {"type": "string"}}}
_GET: Responses = {304: {"description": "Nothing has changed.", "headers": ETAG}, **COMMON}
_CONDITION = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "ETags of answers that the client has.",
            "schema": {"type": "string"},
        }
    ]
}

_Route = Callable[..., Response]


def _get(path: str, model: type[BaseModel], *, pages: bool = False) -> Callable[[_Route], _Route]:
    """Register a route for GET, described, and for HEAD."""

    def register(route: _Route) -> _Route:
        ok: Responses = {200: {"headers": ETAG | (_LINK if pages else {})}}
        missing: Responses = MISSING if "{" in path else {}
        router.get(path, response_model=model, responses={**ok, **_GET, **missing}, openapi_extra=_CONDITION)(
            route
        )
        router.head(path, include_in_schema=False)(route)
        return route

    return register


@_get("/profiles", models.ProfileList)
def profiles(request: Request, site: TheSite, catalogue: TheCatalogue) -> Response:
    """The profiles that are served."""
    last = site.store.last_event()
    described = [
        {
            "key": key,
            "name": profile.name,
            "classifiers": list(profile.classifiers),
            "packages": len(catalogue.packages(profile.collection).by_name),
            "last_event": last,
        }
        for key, profile in site.profiles.items()
    ]
    return _answer(request, {"profiles": described})


@_get("/status", IndexState)
def status(request: Request, site: TheSite) -> Response:
    """How complete and how fresh the index is, and its last runs; at most a minute old."""
    return _answer(request, described_state(request.app.state.index(), site.profiles))


@_get("/profiles/{profile}/packages", models.PackageList, pages=True)
def packages(
    request: Request,
    site: TheSite,
    catalogue: TheCatalogue,
    profile: ProfileKey,
    filters: Annotated[Filters, Query()],
) -> Response:
    """List, filter and search the packages of a profile, as their latest releases describe them.

    All filters that are given must hold. Of several values of `name`, `repository`, `specifier`, `health` or
    `status` any will do; of the others all must hold.
    """
    listing = list_packages(site, catalogue, site.profile(profile), filters)
    return _page(request, listing, "packages")


@_get("/profiles/{profile}/facets", models.FacetList)
def facets(
    request: Request, site: TheSite, profile: ProfileKey, choices: Annotated[Choices, Query()]
) -> Response:
    """What a search can be narrowed by, and how many packages each choice would leave, as on the pages.

    All values that are given must hold, but of several of `health` or `status` any will do.
    """
    found, groups = counted_search(site, site.profile(profile), choices.asked(), per_page=1)
    described = [
        {"key": group.key, "title": group.title, "values": [_facet_value(value) for value in group.values]}
        for group in groups
    ]
    return _answer(request, {"found": found.found, "facets": described})


@_get("/profiles/{profile}/packages/{name}", models.PackageDetail)
def package(
    request: Request, site: TheSite, catalogue: TheCatalogue, profile: ProfileKey, name: PackageName
) -> Response:
    """All that is known of a package: its latest release, its people, advisories and dependents."""
    served = site.profile(profile)
    known = known_package(site, catalogue.packages(served.collection), served, name)
    return _answer(request, package_detail(known))


@_get("/profiles/{profile}/packages/{name}/releases", models.ReleaseList, pages=True)
def releases(
    request: Request,
    site: TheSite,
    profile: ProfileKey,
    name: PackageName,
    page: Annotated[Page, Query()],
) -> Response:
    """The releases of a package, the latest first."""
    listing = list_releases(site, site.profile(profile), name, page)
    return _page(request, listing, "releases")


@_get("/profiles/{profile}/packages/{name}/releases/{version}", ReleaseDetail)
def package_release(
    request: Request, site: TheSite, profile: ProfileKey, name: PackageName, version: Version
) -> Response:
    """All that is known of a release."""
    return _answer(request, release(site, site.profile(profile), name, version))


@_get("/profiles/{profile}/values/{field}", models.ValueList, pages=True)
def values(
    request: Request,
    site: TheSite,
    catalogue: TheCatalogue,
    profile: ProfileKey,
    field: ListedField,
    page: Annotated[Page, Query()],
) -> Response:
    """The authors, maintainers, keywords or classifiers of the latest releases, with numbers of packages."""
    return _page(request, list_values(catalogue, site.profile(profile), field, page), "values")


@router.post(
    "/profiles/{profile}/lookup",
    response_model=models.LookupResult,
    responses={
        **COMMON,
        **MISSING,
        413: problem(f"The body is longer than {MAX_BODY} bytes."),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": models.Lookup.model_json_schema()}},
        }
    },
)
async def lookup(request: Request, site: TheSite, catalogue: TheCatalogue, profile: ProfileKey) -> Response:
    """Look up packages by name and by repository, 100 of each at once; what is asked twice counts once.

    It changes nothing; it is a POST because addresses are too short for a hundred of them.
    """
    served = site.profile(profile)
    try:
        asked = models.Lookup.model_validate_json(await _body(request))
    except ValidationError as error:
        raise HTTPException(400, wrong_input(error.errors(include_url=False)[0])) from None
    packages = await run_in_threadpool(catalogue.packages, served.collection)
    found = await run_in_threadpool(look_up, packages, asked.names, asked.repositories)
    return Response(msgspec.json.encode(found), media_type="application/json")


@router.api_route("/openapi.json", methods=READING, include_in_schema=False)
def openapi(request: Request, site: TheSite) -> Response:
    """The description of this API."""
    return conditional(request, _description(tuple(site.profiles)), "application/json")


@lru_cache(maxsize=4)
def _description(profile_keys: tuple[str, ...]) -> bytes:
    return description((router, replication.router), profile_keys)


async def _body(request: Request) -> bytes:
    """The body of a request. Raises HTTPException where it is too long."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > MAX_BODY:
            raise HTTPException(413, f"the body is longer than {MAX_BODY} bytes")
    return bytes(read)


def _page(request: Request, listing: Listing, name: str) -> Response:
    """The answer of a list, `name` is that of its rows. The next page is also a link, relative to this."""
    headers = {}
    if listing.next is not None:
        asked = parse_qsl(request.url.query, keep_blank_values=True)
        query = [pair for pair in asked if pair[0] != "cursor"] + [("cursor", listing.next)]
        link = f'<?{urlencode(query)}>; rel="next"'
        if len(link) <= _LONGEST_LINK:
            headers["link"] = link
    body = {"found": listing.found, name: listing.rows, "next": listing.next}
    return _answer(request, body, headers)


def _facet_value(value: Value) -> dict[str, Any]:
    counted = {} if value.count is None else {"packages": value.count}
    return {"value": value.value, "title": value.title, **counted}


def _answer(request: Request, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return conditional(request, msgspec.json.encode(body), "application/json", headers)
