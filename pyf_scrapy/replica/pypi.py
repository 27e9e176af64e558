"""PyPI as a service: which path asks for what, and the answer."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple
from urllib.parse import quote

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pyf_scrapy.replica.answers import Answer, redirect
from pyf_scrapy.replica.documents import project_json, release_json
from pyf_scrapy.replica.feeds import UPDATES, Feeds
from pyf_scrapy.replica.files import file_at
from pyf_scrapy.replica.provenance import provenance_json
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.simple import Compressed, index_html, index_json, page_html, page_json
from pyf_scrapy.replica.truth import Project

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_JSON_TYPES = (SIMPLE_JSON, "application/vnd.pypi.simple.latest+json")
_HTML_TYPES = ("text/html", "application/vnd.pypi.simple.v1+html")

_SIMPLE = re.compile(r"^/simple(?:/(?P<name>[^/]+))?(?P<slash>/?)$")
_PROJECT = re.compile(r"^/pypi/(?P<name>[^/]+)/json(?P<slash>/?)$")
_RELEASE = re.compile(r"^/pypi/(?P<name>[^/]+)/(?P<version>[^/]+)/json(?P<slash>/?)$")

_PROVENANCE = re.compile(r"^/integrity/(?P<name>[^/]+)/(?P<version>[^/]+)/(?P<file>[^/]+)/provenance$")

_FILE = re.compile(r"^/packages/(?:[^/]+/)+(?P<file>[^/]+\.whl)$")

_FEED = re.compile(r"^/rss/(?:updates|packages|project/(?P<name>[^/]+)/releases)\.xml$")

_SIMPLE_AGE = 600
_JSON_AGE = 900
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-PyPI-Last-Serial"}


class Question(NamedTuple):
    """What a request asks for: the kind counted in the statistics, the normalized name, the proper path."""

    kind: str
    name: str | None = None
    version: str = ""
    path: str = ""


def understand(path: str, accept: str) -> Question | None:
    """The question behind a path without percent-encoding; None when PyPI has no such page."""
    if match := _FEED.match(path):
        if match["name"] is None:
            return Question("feed", path=path)
        name = str(canonicalize_name(match["name"]))
        return Question("feed", name, path=f"/rss/project/{name}/releases.xml")
    html = "" if wants_json(accept) else "-html"
    if match := _SIMPLE.match(path):
        if match["name"] is None:
            return Question(f"index{html}", path="/simple/")
        name = str(canonicalize_name(match["name"]))
        return Question(f"simple{html}", name, path=f"/simple/{name}/")
    if match := _PROJECT.match(path):
        name = str(canonicalize_name(match["name"]))
        return Question("project", name, path=f"/pypi/{name}/json")
    if match := _RELEASE.match(path):
        name = str(canonicalize_name(match["name"]))
        return Question("release", name, match["version"], f"/pypi/{name}/{match['version']}/json")
    if match := _PROVENANCE.match(path):
        return Question("provenance", str(canonicalize_name(match["name"])), match["version"], path)
    if match := _FILE.match(path):
        try:
            return Question("file", parse_wheel_filename(match["file"])[0], path=path)
        except InvalidWheelFilename:
            return None
    return None


def wants_json(accept: str) -> bool:
    """True when the Accept header prefers JSON to HTML (PEP 691)."""
    json_weight = html_weight = 0.0
    for part in accept.split(","):
        media, _, parameters = part.strip().partition(";")
        weight = _weight(parameters)
        if media.strip() in _JSON_TYPES:
            json_weight = max(json_weight, weight)
        elif media.strip() in _HTML_TYPES:
            html_weight = max(html_weight, weight)
    return json_weight > 0 and json_weight >= html_weight


def _weight(parameters: str) -> float:
    match = re.search(r"\bq=([01](?:\.\d{0,3})?)", parameters)
    return float(match[1]) if match else 1.0


class PyPI:
    """Answers questions from a replica. Index and feeds are rendered on first need and kept for a while."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._seed = replica.options.seed
        self._indexes: dict[tuple[str, int], Compressed] = {}
        self._rendering = asyncio.Lock()
        self._feeds = Feeds(replica)
        self._kept_feeds: dict[str, tuple[int, bytes]] = {}

    async def answer(self, question: Question, path: str, lag: int | None) -> Answer:
        """The answer to a question asked at a path; `lag` asks for the stale one, that many serials older."""
        if question.kind == "feed":
            return self._feed(question, lag)
        if question.name is None:
            return await self._index(question, lag) if path == question.path else redirect(question.path)
        replica = self._replica
        project = replica.project(question.name) if lag is None else replica.stale_project(question.name, lag)
        if project is None:
            return _not_found(question.kind)
        if path != question.path:
            return redirect(quote(question.path))
        if question.kind == "simple":
            return _fresh(
                page_json(self._seed, project), SIMPLE_JSON, _SIMPLE_AGE, project.serial, "Accept, "
            )
        if question.kind == "simple-html":
            body = page_html(self._seed, project)
            return _fresh(body, "text/html; charset=UTF-8", _SIMPLE_AGE, project.serial, "Accept, ")
        if question.kind == "file":
            wheel = file_at(self._seed, project, path)
            return _not_found("file") if wheel is None else Answer(wheel, "application/octet-stream")
        if question.kind == "provenance":
            document = provenance_json(self._seed, project, question.version, path.rsplit("/", 2)[1])
        else:
            document = self._json(question, project)
        return (
            _not_found(question.kind)
            if document is None
            else _fresh(document, "application/json", _JSON_AGE, project.serial)
        )

    def revision(self, question: Question) -> int:
        """A number that rises when something happened that the answer may tell of."""
        if question.name is not None:
            return self._replica.revision(question.name)
        return self._replica.feed_changes if question.kind == "feed" else self._replica.serial

    def _feed(self, question: Question, lag: int | None) -> Answer:
        replica = self._replica
        if question.name is not None:
            name = question.name
            project = replica.project(name) if lag is None else replica.stale_project(name, lag)
            if project is None:
                return _not_found("feed")
            return _tagged(self._feeds.releases(project))
        render = self._feeds.updates if question.path == UPDATES else self._feeds.packages
        if lag is not None:
            return _tagged(render(replica.serial - lag))
        revision = self.revision(question)
        kept, body = self._kept_feeds.get(question.path, (-1, b""))
        if kept != revision:
            body = render()
            self._kept_feeds[question.path] = revision, body
        return _tagged(body)

    def _json(self, question: Question, project: Project) -> bytes | None:
        if project.quarantined:
            return None
        some_name = self._replica.some_name
        if question.kind == "project":
            latest = project.latest
            return project_json(self._seed, project, latest, some_name) if latest else None
        release = project.release(question.version)
        return release_json(self._seed, project, release, some_name) if release and release.own_json else None

    async def _index(self, question: Question, lag: int | None) -> Answer:
        serial = self._replica.serial - (lag or 0)
        async with self._rendering:
            body = self._indexes.get((question.kind, serial))
            if body is None:
                rows = self._replica.rows(None if lag is None else serial)
                render = index_json if question.kind == "index" else index_html
                body = await asyncio.to_thread(render, rows, serial)
                self._indexes = {key: kept for key, kept in self._indexes.items() if key[0] != question.kind}
                self._indexes[question.kind, serial] = body
        media = SIMPLE_JSON if question.kind == "index" else "text/html; charset=UTF-8"
        return _fresh(body, media, _SIMPLE_AGE, body.serial, "Accept, ")


def _fresh(body: bytes | Compressed, content_type: str, max_age: int, serial: int, vary: str = "") -> Answer:
    headers = {"X-PyPI-Last-Serial": str(serial), **_CORS}
    return Answer(body, content_type, 200, max_age, f"{vary}Accept-Encoding", headers)


def _tagged(feed: bytes) -> Answer:
    """A feed's answer: with an ETag, without Cache-Control and serial."""
    return Answer(feed, "text/xml; charset=UTF-8", tagged=True)


def _not_found(kind: str) -> Answer:
    if kind.startswith("simple") or kind == "feed":
        return Answer(b"404 Not Found", "text/plain; charset=UTF-8", 404)
    return Answer(b'{"message": "Not Found"}', "application/json", 404, headers=_CORS)
