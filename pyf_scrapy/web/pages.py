"""The pages for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from pyf_scrapy.web.site import TheSite
from pyf_scrapy.web.templating import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def start(site: TheSite) -> Response:
    """Lead to the first profile."""
    return RedirectResponse(f"/p/{next(iter(site.profiles))}/", 307)


@router.get("/p/{profile}/")
def search_page(request: Request, site: TheSite, profile: str) -> Response:
    """Search a profile."""
    return page(request, "search.html", profile=site.profile(profile))


def error_page(request: Request, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """What a person sees instead of a page."""
    title = HTTPStatus(status).phrase
    return page(request, "error.html", status=status, headers=headers, title=title, text=text)
