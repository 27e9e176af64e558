"""The pages for people: search, lists of packages, one package, the state of the index."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from pyf_scrapy.exceptions import NotFoundError, RequestProblem
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.cleaning import MAX_LINE
from pyf_scrapy.search.queries import MAX_QUERY, SearchResult, normalize, search
from pyf_scrapy.web.asked import CHOICE_TITLES, CHOICES, SORTS, Asked, pages
from pyf_scrapy.web.catalogue import TheCatalogue
from pyf_scrapy.web.drawing import health_badge
from pyf_scrapy.web.facets import counted_search
from pyf_scrapy.web.package_values import package_values
from pyf_scrapy.web.packages import known_package, latest_document, releases
from pyf_scrapy.web.quoting import is_value
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.site import Site, TheSite
from pyf_scrapy.web.templating import page

router = APIRouter(include_in_schema=False)

_FIRST_VALUES = 8  # of a facet; the others are a click away
_MOST_KEYWORDS = 200
_LONGEST_NAME = MAX_LINE  # characters: as long as a document's may be, or their links would lead nowhere
#: What lists of packages are about: the word in the address -> for people, and the field.
_LISTS = {
    "author": ("Author", "author"),
    "maintainer": ("Maintainer", "maintainer"),
    "keyword": ("Keyword", "keywords"),
}


@router.api_route("/", methods=READING)
def start(site: TheSite) -> Response:
    """Lead to the first profile."""
    return RedirectResponse(f"/p/{quote(next(iter(site.profiles)))}/", 307)


@router.api_route("/p/{profile}/", methods=READING)
def search_page(request: Request, site: TheSite, profile: str) -> Response:
    """Search a profile."""
    return _search(request, site, site.profile(profile), "search.html")


@router.api_route("/p/{profile}/results", methods=READING)
def results(request: Request, site: TheSite, profile: str) -> Response:
    """The part of the search page that changes while somebody types."""
    return _search(request, site, site.profile(profile), "results.html")


@router.api_route("/p/{profile}/packages/{name}", methods=READING)
def package(request: Request, site: TheSite, catalogue: TheCatalogue, profile: str, name: str) -> Response:
    """One package; any other spelling leads to the normalized one."""
    found = site.profile(profile)
    if (normalized := normalize(name)) != name:
        return RedirectResponse(f"/p/{quote(profile)}/packages/{quote(normalized, safe='')}", 308)
    known = known_package(site, catalogue.packages(found.collection), found, name)
    values = package_values(known, releases(site, found, name), found, site.now())
    return page(request, "package.html", profile=found, **values)


@router.api_route("/p/{profile}/packages/{name}/badge.svg", methods=READING)
def badge(site: TheSite, profile: str, name: str) -> Response:
    """The health of a package as an image, for its README."""
    document = latest_document(site, site.profile(profile), name, ("health_score",))
    drawn = health_badge(document.get("health_score"))
    return Response(drawn, media_type="image/svg+xml", headers={"cache-control": "public, max-age=3600"})


@router.api_route("/p/{profile}/keywords", methods=READING)
def keywords(request: Request, site: TheSite, profile: str) -> Response:
    """The keywords that most packages of a profile use."""
    found = site.profile(profile)
    result = site.search(
        lambda client: search(client, found.collection, "", per_page=1, facet_by=("keywords",))
    )
    words = dict(list(result.facets.get("keywords", {}).items())[:_MOST_KEYWORDS])
    return page(request, "keywords.html", profile=found, keywords=words)


@router.api_route("/p/{profile}/{kind}", methods=READING)
def listing(request: Request, site: TheSite, profile: str, kind: str) -> Response:
    """The packages of an author or a maintainer, or with a keyword: ?name=..."""
    found = site.profile(profile)
    if kind not in _LISTS:
        raise NotFoundError("there is no such page")
    name = " ".join(request.query_params.get("name", "").split())
    if not name or len(name) > _LONGEST_NAME:
        raise RequestProblem(f"name={name[:40]!r}: give a name of at most {_LONGEST_NAME} characters")
    title, field = _LISTS[kind]
    number = Asked.from_parameters([("page", request.query_params.get("page", "1"))]).page
    result = site.search(
        lambda client: search(
            client, found.collection, "", page=number, filter_by=is_value(field, name), facet_by=()
        )
    )
    return page(
        request,
        "listing.html",
        status=200 if result.found else 404,
        profile=found,
        kind=title,
        name=name,
        found=result,
        said=_said(result, number),
        page=number,
        pages=pages(result.found),
        address=lambda number: f"?{urlencode({'name': name, 'page': number})}",
    )


def error_page(request: Request, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """What a person sees instead of a page."""
    asked = request.path_params
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        profile=request.app.state.site.profiles.get(asked.get("profile")),
        code=status,
        title=HTTPStatus(status).phrase,
        text=text,
        words=asked.get("name", "")[:MAX_QUERY] if status == 404 else "",
    )


def _search(request: Request, site: Site, profile: Profile, template: str) -> Response:
    asked = Asked.from_parameters(request.query_params.multi_items())
    found, groups = counted_search(site, profile, asked)
    base = f"/p/{quote(profile.collection)}/"
    return page(
        request,
        template,
        profile=profile,
        asked=asked,
        found=found,
        groups=groups,
        first_values=_FIRST_VALUES,
        titles=_titles(asked),
        said=_said(found, asked.page),
        sorts=SORTS,
        base=base,
        pages=pages(found.found),
        address=lambda number: f"{base}{asked.on_page(number).query}",
        kept_query=Asked(asked.words, sort=asked.sort).query,
    )


def _titles(asked: Asked) -> Mapping[tuple[str, str], str]:
    """What each chosen value is called where it stands alone."""
    names = {
        (key, choice.value): f"{CHOICE_TITLES[key].lower()} {choice.title}"
        if key == "health"
        else choice.title
        for key, choices in CHOICES.items()
        for choice in choices
    }
    return {pair: names.get(pair, pair[1]) for pair in asked.pairs}


def _said(found: SearchResult, number: int) -> str:
    if not found.found:
        return "No package found."
    packages = "1 package" if found.found == 1 else f"{found.found:,} packages"
    most = pages(found.found)
    if number > most:
        return f"{packages} found, on {most} {'page' if most == 1 else 'pages'}."
    return f"{packages} found{f', page {number} of {most}' if most > 1 else ''}."
