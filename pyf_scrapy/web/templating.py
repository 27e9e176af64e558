"""Templates: every value in them is escaped; what is HTML already comes from `readme.shown` alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader

from pyf_scrapy.dates import day, minute
from pyf_scrapy.search.cleaning import url
from pyf_scrapy.web.drawing import band
from pyf_scrapy.web.static import address

_PARTS = re.compile(r"(?<=[._-])(?=[^._-])")


def duration(seconds: float) -> str:
    """A time that has passed, as people say it: "3 days", "2 hours", "40 seconds"."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length or (unit == "day" and seconds >= length):
            return counted(int(seconds // length), unit)
    return counted(int(seconds), "second")


def cut(text: str, length: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things: "1 star", "1,200 stars"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def parts(name: str) -> list[str]:
    """A name in pieces that end with its dots, dashes and underscores, where a narrow screen may break it."""
    return _PARTS.split(name)


def _number(value: int) -> str:
    return f"{value:,}"


def _path(part: str) -> str:
    return quote(part, safe="")


def _share(axis: Mapping[str, int]) -> float:
    """The points of an axis, after its cuts, in per cent of its maximum."""
    if not axis["maximum"]:
        return 0
    return round(100 * max(axis["points"] + axis["cut"], 0) / axis["maximum"], 1)


def _remarks(release: Mapping[str, Any]) -> str:
    """What is to be said of a release in a table of many."""
    states = {"is_latest": "latest", "is_prerelease": "pre-release", "partial": "partial"}
    said = [word for state, word in states.items() if release.get(state)]
    said += [f"newest for {version}" for version in release.get("latest_for", ())]
    if release.get("yanked"):
        reason = release.get("yanked_reason")
        said.append(f"yanked: {reason}" if reason else "yanked")
    return ", ".join(said)


_ENVIRONMENT = Environment(
    loader=PackageLoader("pyf_scrapy.web"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "band": band,
    "counted": counted,
    "cut": cut,
    "day": day,
    "duration": duration,
    "minute": minute,
    "number": _number,
    "parts": parts,
    "path": _path,
    "remarks": _remarks,
    "share": _share,
    "web_url": url,
}
_ENVIRONMENT.globals["static"] = address


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page. Templates also get `site`, `home` (where the search is), `profile` (None where there is none)
    and `kept_query`, which the switch between profiles keeps."""
    site = request.app.state.site
    profile = values.setdefault("profile", None)
    values.setdefault("kept_query", "")
    home = f"/p/{_path(profile.collection if profile else next(iter(site.profiles)))}/"
    text = _ENVIRONMENT.get_template(template).render(site=site, home=home, **values)
    return HTMLResponse(text, status, {"cache-control": "no-cache", **(headers or {})})
