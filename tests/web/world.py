"""A crawled replica that the tests of the application share, and a package whose authors mean harm."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvicorn

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.readmes import HOSTILE
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.runner import Handle
from pyf_scrapy.search.documents import document_id
from pyf_scrapy.web.serving import bound, configuration
from pyf_scrapy.web.site import Site
from tests.crawling import Place
from tests.github import TOKEN

NOW = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OPTIONS = Options(
    projects=62,
    decoys=0,
    members={"plone": 45, "django": 10},
    only_members=True,
    missing=0,
    empty=0,
    most_releases=6,
    now=NOW,
)

EVIL = "\"'><script>document.title='hostile'</script><img src=x onerror=document.title='hostile'>{{ 7*7 }}"
EVIL_URL = "javascript:document.title='hostile'"
YANK_REASON = "Broken wheel, use the next one"
EVIL_NAME = "hostile-package"


@dataclass(frozen=True)
class World:
    """What was crawled. `settings` are those of the project, `yanked` a package and its release that is."""

    place: Place
    replica: Replica
    settings: dict[str, Any]
    yanked: tuple[str, str]

    def members(self, name: str) -> list[str]:
        """The normalized names of a framework's packages."""
        return self.replica.members(f"Framework :: {name}")


def yank(replica: Handle) -> tuple[str, str]:
    """Yank a release of a Plone package, with a reason; gives both names."""
    members = map(replica.replica.project, replica.replica.members("Framework :: Plone"))
    package = max((member for member in members if member), key=lambda member: len(member.releases))
    version = package.releases[1].version
    event = {"event": "yank", "project": package.name, "version": version, "reason": YANK_REASON}
    replica.event(event)
    return package.normalized_name, version


async def filled(place: Place, replica: Handle) -> None:
    """Crawl PyPI, GitHub and pypistats for two profiles."""
    settings: dict[str, Any] = {
        "GITHUB_API_URL": f"{place.pypi_url}/github",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REQUEST_DELAY": 0,
        "PYPISTATS_URL": replica.pypistats_url,
        "PYPISTATS_RATE_LIMIT_DELAY": 0,
        "CLICKPY_URL": replica.clickpy_url,
    }
    replica.services(pypistats_limits=False)
    for spider in ("pypi", "github", "pypistats"):
        crawled = await place.crawl(spider, profile="plone,django", settings=settings)
        assert crawled.outcome.exit_code in (0, 3)


def make_hostile(place: Place) -> None:
    """Put a package into the index whose every word is an attack, past all that would clean it."""
    documents = place.documents("plone").values()
    latest = next(d for d in documents if d["is_latest"] and "health_score_breakdown" in d)
    texts = {name: EVIL for name, value in latest.items() if isinstance(value, str)}
    lists = {name: [EVIL] for name, value in latest.items() if isinstance(value, list)}
    points = [
        {**point, "evidence": EVIL, "rule": EVIL} for point in latest["health_score_breakdown"]["points"]
    ]
    document = {
        **latest,
        **texts,
        **lists,
        "id": document_id(EVIL_NAME, "1.0"),
        "name_normalized": EVIL_NAME,
        "name_sortable": EVIL_NAME,
        "version_sortable": latest["version_sortable"],
        "requires_dist": [EVIL, "plone.api>=1"],
        "framework_versions": ["Plone 6.0", EVIL],
        "description": f"<h1>{EVIL}</h1><p>The end of the README.</p>" + "".join(HOSTILE),
        "project_urls": {EVIL: EVIL_URL, "Source": EVIL_URL, "Good": "https://good.example/"},
        "github_url": EVIL_URL,
        "github_stars": 1,
        "home_page": EVIL_URL,
        "bugtrack_url": EVIL_URL,
        "contributors": [],
        "urls": [],
        "license_expression": EVIL,
        "project_status": EVIL,
        "yanked": True,
        "yanked_reason": EVIL,
        "health_score": 99,
        "health_score_breakdown": {
            **latest["health_score_breakdown"],
            "points": points,
            "remedies": [{"remedy": EVIL, "gain": 3, "rules": [EVIL]}],
        },
    }
    with place.connection() as connection:
        answer = connection.client.api_call.post(
            "/collections/plone/documents", dict[str, Any], params={"action": "upsert"}, body=document
        )
    assert answer["id"] == document["id"]


@contextmanager
def running(site: Site) -> Iterator[str]:
    """Serve a site on a port of this machine; gives its address."""
    listening = bound("127.0.0.1", 0)
    server = uvicorn.Server(configuration(site, "127.0.0.1"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
    assert not thread.is_alive()
