"""The application: its parts, what guards them, and how errors look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse

from pyf_scrapy import __version__
from pyf_scrapy.exceptions import (
    LimitError,
    NotFoundError,
    PyfError,
    RequestProblem,
    SourceReplacedError,
    UsageProblem,
)
from pyf_scrapy.web import api, feeds, pages, replication, simple, state, static
from pyf_scrapy.web.catalogue import Catalogue
from pyf_scrapy.web.filters import wrong_input
from pyf_scrapy.web.news import News
from pyf_scrapy.web.pages import error_page
from pyf_scrapy.web.security import HEADERS, Guard
from pyf_scrapy.web.site import Site

logger = logging.getLogger(__name__)

#: Modules with a `router`, in the order in which their routes are tried.
PARTS = (static, api, simple, feeds, replication, state, pages)


def create_app(site: Site, *, host: str = "127.0.0.1") -> FastAPI:
    """The ASGI application of a site; `host` is the address that it is bound to."""
    app = FastAPI(
        title="pyf_scrapy",
        version=__version__,
        dependencies=[Depends(state.waited_for)],
        lifespan=_running,
        openapi_url=None,  # the API describes itself; FastAPI's pages about it load scripts of a CDN
    )
    app.state.site = site
    app.state.catalogue = Catalogue(site)
    app.state.news = News(site)
    for part in PARTS:
        app.include_router(part.router)
    app.state.index = state.kept(site)
    app.add_exception_handler(PyfError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(404, _on_error)
    app.add_exception_handler(405, _on_error)
    app.add_exception_handler(Exception, _on_error)
    app.add_middleware(Guard, settings=site.web, hosts=site.web.hosts(host))
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Read the collections while the application runs already: the first visitor need not wait for them."""
    reading = asyncio.create_task(app.state.catalogue.read())
    yield
    reading.cancel()


def _on_error(request: Request, error: Exception) -> Response:
    """A page for a browser, a problem (RFC 9457) for a program; neither tells of the machine's insides."""
    status, text, headers = _told(error)
    is_page = not request.url.path.startswith(f"{api.PREFIX}/")
    if is_page and "text/html" in request.headers.get("accept", ""):
        return error_page(request, status, text, headers)
    return JSONResponse(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": text},
        status,
        headers,
        media_type="application/problem+json",
    )


def _told(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, one line and headers for an error; what is ours to mend is logged."""
    if isinstance(error, NotFoundError):
        return 404, str(error), {}
    if isinstance(error, SourceReplacedError):
        return 409, str(error), {}
    if isinstance(error, LimitError):
        return 429, str(error), {"retry-after": str(error.retry_after)}
    if isinstance(error, RequestProblem):
        return 400, str(error), {}
    if isinstance(error, RequestValidationError):
        return 400, wrong_input(error.errors()[0]), {}
    if isinstance(error, UsageProblem):
        # Its text is for who runs the application: it may name paths and settings.
        logger.error("%s", error)
        return 400, "that cannot be answered as it was asked", {}
    if isinstance(error, PyfError):
        logger.error("%s", error)
        return 503, "the index cannot be read at the moment: try again later", {"retry-after": "10"}
    status = getattr(error, "status_code", 500)
    if status == 500:
        logger.error("an error of the program", exc_info=error)
        # Starlette answers this outside of the guard.
        return 500, "that failed; the operator's log says why", dict(HEADERS)
    if status == 404:
        return 404, "there is no such page", {}
    headers = dict(getattr(error, "headers", None) or {})
    if status == 405:
        methods = ", ".join(sorted(headers["Allow"].split(", ")))
        return 405, f"that cannot be done here; possible is {methods}", {"Allow": methods}
    return status, str(getattr(error, "detail", "")), headers
