"""Templates: every value in them is escaped; what is HTML already is sanitised here, last of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pyf_scrapy.dates import day, minute
from pyf_scrapy.search.cleaning import url
from pyf_scrapy.web.static import address

_ENVIRONMENT = Environment(
    loader=PackageLoader("pyf_scrapy.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"day": day, "minute": minute, "web_url": url}
_ENVIRONMENT.globals["static"] = address


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page; templates also get `site` and `path`."""
    text = _ENVIRONMENT.get_template(template).render(
        site=request.app.state.site, path=request.url.path, **values
    )
    return HTMLResponse(text, status, headers)
