"""The page about the index itself: coverage, lag, last runs; and whether the application answers at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from pyf_scrapy.dates import minute
from pyf_scrapy.exceptions import PyfError, UsageProblem
from pyf_scrapy.status import LimitCheck, Overview, RunLine, overview, run_list
from pyf_scrapy.web.caching import Kept
from pyf_scrapy.web.security import READING
from pyf_scrapy.web.site import Site, TheSite
from pyf_scrapy.web.templating import duration, page

router = APIRouter(include_in_schema=False)

#: To look at a store of all of PyPI takes seconds.
_KEPT = 60.0
_RUNS = 20
#: The paths of what shows it.
_SHOWING = ("/status", "/api/v1/status")
#: The names of `LimitCheck` for people.
_CHECKS = {
    "coverage": "projects of PyPI that are checked",
    "indexed": "packages indexed",
    "search": "documents in the search server",
    "feeds": "since the feeds were read",
    "index": "since PyPI's index was read",
    "unchecked": "the change that waits longest",
    "refresh": "since the package asked about longest ago was",
}


class State(NamedTuple):
    """The index as it was at `at` (epoch seconds); collections, checks and runs are those of what is
    served."""

    at: int
    overview: Overview
    runs: list[RunLine]


def state_of(site: Site) -> State:
    """Look at the store, and at the search server. Raises PyfError."""
    at = int(site.now().timestamp())
    try:
        state = State(at, overview(site.settings, now=at), run_list(site.settings, _RUNS))
    except UsageProblem as error:  # of the operator, not of who asks
        raise PyfError(f"the state of the index cannot be told: {error}") from error
    return state if site.is_whole else _without_others(state, site)


def kept(site: Site) -> Kept[State]:
    """`state_of` for a minute."""
    return Kept(lambda: state_of(site), _KEPT)


async def waited_for(request: Request) -> None:
    """Wait for the state where a page shows it, before a thread is taken. Raises as `state_of`."""
    if request.url.path in _SHOWING:
        await request.app.state.index.ready()


def _without_others(state: State, site: Site) -> State:
    """The state without the names of what is not served."""
    served = site.profiles
    names = {*served, *(profile.key for profile in served.values())}
    checks = [check for check in state.overview.checks if check.name.partition(":")[2] in ("", *served)]
    collections = [one for one in state.overview.collections if one.collection in served]
    runs = [
        replace(run, profiles=[name for name in run.profiles if name in names])
        for run in state.runs
        if not run.profiles or names & {*run.profiles}
    ]
    return State(state.at, replace(state.overview, checks=checks, collections=collections), runs)


@router.api_route("/healthz", methods=READING)
async def health() -> Response:
    """Whether the application answers: asks neither the store nor the search server, and needs no thread."""
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


@router.api_route("/status", methods=READING)
def status(request: Request, site: TheSite) -> Response:
    """Coverage, lag and last runs; at most a minute old."""
    at, found, runs = request.app.state.index()
    return page(
        request,
        "status.html",
        found=found,
        runs=runs,
        m_host=urlsplit(found.pypi_url).hostname or found.pypi_url,
        looked_at=at,
        figures=list(_figures(found)),
        checks=[
            {
                "name": _named(check, site),
                "value": _shown(check, check.value),
                "limit": _shown(check, check.limit),
                "ok": check.ok,
            }
            for check in found.checks
        ],
    )


def _figures(found: Overview) -> Iterator[tuple[str, str]]:
    if found.listed is not None and found.checked is not None:
        share = 100 * found.checked / found.listed if found.listed else 100
        yield "projects that PyPI lists", f"{found.listed:,}"
        yield "of them checked", f"{math.floor(share * 100) / 100:g} %"
        yield "PyPI's index read (UTC)", minute(found.index_read_at) or "?"
    yield "packages kept", f"{found.packages:,}"
    yield "vanished from PyPI", f"{found.vanished:,}"
    yield "failures waiting for another try", f"{found.failures:,}"


def _named(check: LimitCheck, site: Site) -> str:
    kind, _, collection = check.name.partition(":")
    title = _CHECKS.get(kind, kind)
    if not collection:
        return title
    return f"{title} of {site.profiles[collection].name if collection in site.profiles else collection}"


def _shown(check: LimitCheck, value: float | None) -> str:
    """A share or a time as people read it; never rounded up to its limit."""
    if value is None:
        return "unknown"
    if check.is_share:
        return f"{math.floor(round(value * 100_000, 3)) / 1000:g} %"
    return duration(value)
