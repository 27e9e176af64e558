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
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ValidationError

from pyf_scrapy import __version__
from pyf_scrapy.metadata.repository_urls import repository_of
from pyf_scrapy.web import api_models as models
from pyf_scrapy.web.api_state import IndexState, described_state
from pyf_scrapy.web.catalogue import TheCatalogue
from pyf_scrapy.web.conditional import conditional
from pyf_scrapy.web.filters import NAME_PATTERN, Filters, Page, wrong_input
from pyf_scrapy.web.listing import (
    ListedField,
    Listing,
    list_packages,
    list_releases,
    list_values,
    look_up,
    release,
)
from pyf_scrapy.web.security import MAX_TARGET
from pyf_scrapy.web.site import TheSite

PREFIX = "/api/v1"
MAX_BODY = 64_000  # bytes of a look-up
_LONGEST_LINK = 8_000  # bytes; not every client takes longer headers

router = APIRouter(prefix=PREFIX)

_ABOUT = """Packages of a framework's ecosystem, with all that is known of them. Read-only.

Lists are cut into pages: `next` of an answer is the `cursor` of the next page, also as a Link header. Each
answer to a GET has an ETag; a request with If-None-Match gets 304 where nothing has changed."""

Responses = dict[int | str, dict[str, Any]]

ProfileKey = Annotated[str, Path(description="A profile that is served; `/profiles` lists them.")]
PackageName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="A package, by any spelling of its name (PEP 503).")
]
Version = Annotated[str, Path(min_length=1, max_length=300, description="A version, as PyPI lists it.")]


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_ETAG = {"ETag": {"description": "Stands for the content.", "schema": {"type": "string"}}}
_LINK = {"Link": {"description": 'The next page, `rel="next"`.', "schema": {"type": "string"}}}
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_COMMON: Responses = {
    400: _problem("A parameter is unknown or wrong; `detail` says which."),
    414: {"description": f"The address is longer than {MAX_TARGET} bytes.", **_TEXT},
    429: {"description": "Too many requests; Retry-After says when again.", **_TEXT},
    503: _problem("The index or the store cannot be read at the moment."),
}
_GET: Responses = {304: {"description": "Nothing has changed.", "headers": _ETAG}, **_COMMON}
_MISSING: Responses = {404: _problem("There is no such profile, package, release or page.")}
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
        ok: Responses = {200: {"headers": _ETAG | (_LINK if pages else {})}}
        missing: Responses = _MISSING if "{" in path else {}
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

    All filters that are given must hold. Of several values of `name`, `repository` or `specifier` any will
    do; all of `keyword`, `classifier` and `depends_on` must hold.
    """
    listing = list_packages(site, catalogue, site.profile(profile), filters)
    return _page(request, listing, "packages")


@_get("/profiles/{profile}/packages/{name}", models.ReleaseDetail)
def package(request: Request, site: TheSite, profile: ProfileKey, name: PackageName) -> Response:
    """All that is known of a package: its latest release."""
    return _answer(request, release(site, site.profile(profile), name))


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


@_get("/profiles/{profile}/packages/{name}/releases/{version}", models.ReleaseDetail)
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
        **_COMMON,
        **_MISSING,
        413: _problem(f"The body is longer than {MAX_BODY} bytes."),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": models.Lookup.model_json_schema()}},
        }
    },
)
async def lookup(request: Request, site: TheSite, catalogue: TheCatalogue, profile: ProfileKey) -> Response:
    """Look up packages by name and by repository, 100 of each at once.

    It changes nothing; it is a POST because addresses are too short for a hundred of them.
    """
    served = site.profile(profile)
    try:
        asked = models.Lookup.model_validate_json(await _body(request))
    except ValidationError as error:
        raise HTTPException(400, wrong_input(error.errors(include_url=False)[0])) from None
    repositories = [repository_of(address) for address in asked.repositories]
    keys = [repository.key if repository is not None else None for repository in repositories]
    of_names, of_keys = await run_in_threadpool(look_up, catalogue, served, asked.names, keys)
    found = {
        "names": [{"asked": name, "package": row} for name, row in zip(asked.names, of_names, strict=True)],
        "repositories": [
            {"asked": address, "packages": rows}
            for address, rows in zip(asked.repositories, of_keys, strict=True)
        ],
    }
    return Response(msgspec.json.encode(found), media_type="application/json")


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, site: TheSite) -> Response:
    """The description of this API."""
    return conditional(request, _description(tuple(site.profiles)), "application/json")


@lru_cache(maxsize=4)
def _description(profile_keys: tuple[str, ...]) -> bytes:
    """The OpenAPI description as JSON: FastAPI's, but with what these routes really answer to bad input, and
    with the profiles that there are."""
    described = get_openapi(
        title="pyf_scrapy",
        version=__version__,
        description=_ABOUT,
        routes=router.routes,
        separate_input_output_schemas=False,
    )
    for path in described["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                if parameter["name"] == "profile":
                    schema["enum"] = list(profile_keys)
                # A parameter of an address is given or not; it cannot be null.
                schema.update(next((one for one in schema.pop("anyOf", ()) if one["type"] != "null"), {}))
    schemas = described["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = models.Problem.model_json_schema()
    return msgspec.json.encode(described)


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


def _answer(request: Request, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return conditional(request, msgspec.json.encode(body), "application/json", headers)
