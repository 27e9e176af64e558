"""PyPI's feeds: the newest releases, the newest projects, and the releases of one project (warehouse, rss/).

The feeds tell what was published. Yanks are not in them, quarantine takes nothing out of them, and what was
deleted leaves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, getaddresses
from heapq import heappush, heapreplace
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from pyf_scrapy.replica.invention import newest_time
from pyf_scrapy.replica.metadata import headline
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project, Release

UPDATES = "/rss/updates.xml"
PACKAGES = "/rss/packages.xml"
OF_PROJECT = 40
"""Releases in the feed of one project."""

_PAGE = "https://pypi.org/"
_PATH_SAFE = "~!$&'()*+,;=:@"
"""What Pyramid leaves alone in a part of a path."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow."""


class _Line(NamedTuple):
    """An entry; sorts by time and, within a moment, as published. `place`: of the release in its project."""

    published: int
    serial: int
    name: str
    place: int
    project: Project


class Feeds:
    """Renders the feeds of a replica. Originals are invented as far back as the windows reach, once."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._seed = replica.options.seed
        self._originals: list[Project] = []

    def updates(self, serial: int | None = None) -> bytes:
        """The newest releases of all; `serial`: as the feed was when that was the last one."""
        found = self._newest(self._replica.options.updates, serial, _releases)
        items = []
        for line in found:
            release = line.project.releases[line.place]
            title = f"{line.project.name} {release.version}"
            items.append(self._item(title, _release_url(line.project, release), line, release))
        return _feed("PyPI recent updates", _PAGE, "Recent updates to the Python Package Index", items)

    def packages(self, serial: int | None = None) -> bytes:
        """The newest projects that have a release."""
        found = self._newest(self._replica.options.packages, serial, _registration)
        items = []
        for line in found:
            url = f"{_PAGE}project/{line.name}/"
            # A project that has a release has a latest one.
            release = line.project.latest or line.project.releases[0]
            items.append(self._item(f"{line.project.name} added to PyPI", url, line, release, guid=True))
        about = "Newest packages registered at the Python Package Index"
        return _feed("PyPI newest packages", _PAGE, about, items)

    def releases(self, project: Project) -> bytes:
        """The newest releases of one project."""
        items = []
        for line in sorted(_releases(project), reverse=True)[:OF_PROJECT]:
            release = project.releases[line.place]
            items.append(self._item(release.version, _release_url(project, release), line, release))
        return _feed(
            f"PyPI recent updates for {project.name}",
            f"{_PAGE}project/{project.normalized_name}/",
            f"Recent updates to the Python Package Index for {project.name}",
            items,
        )

    def _newest(
        self, count: int, serial: int | None, lines_of: Callable[[Project], Iterable[_Line]]
    ) -> list[_Line]:
        """The `count` newest lines of all projects, the newest first."""
        best: list[_Line] = []

        def offer(project: Project) -> None:
            for line in lines_of(project):
                if len(best) < count:
                    heappush(best, line)
                elif best[0] < line:
                    heapreplace(best, line)

        touched = self._replica.touched()
        for name in touched:
            if project := self._replica.project(name, serial):
                offer(project)
        touched_names = set(touched)
        for latest_time, project in self._by_age(serial):
            if len(best) == count and best[0].published > latest_time:
                break
            if project.normalized_name not in touched_names:
                offer(project)
        return sorted(best, reverse=True)

    def _by_age(self, serial: int | None) -> Iterator[tuple[int, Project]]:
        """The projects of the start, each with a time after which neither it nor a later one has a line."""
        options = self._replica.options
        for rank in range(options.projects):
            if rank == len(self._originals):
                self._originals.append(self._replica.most_recent(rank))
            project = self._originals[rank]
            if serial is not None and project.serial > serial:
                project = msgspec.structs.replace(project, releases=project.releases[:-1])
            yield (newest_time(rank, options) + 1) * 1_000_000, project

    def _item(self, title: str, link: str, line: _Line, release: Release, *, guid: bool = False) -> str:
        summary, mail = headline(self._seed, line.project, release)
        author = _addresses(mail)
        moment = datetime.fromtimestamp(line.published // 1_000_000, UTC)
        return (
            "    <item>\n"
            f"      <title>{_text(title)}</title>\n"
            f"      <link>{_text(link)}</link>\n"
            + (f"      <guid>{_text(link)}</guid>\n" if guid else "")
            + f"      <description>{_text(summary)}</description>\n"
            # PyPI's template leaves the blanks of the line.
            + (f"      <author>{_text(author)}</author>\n" if author else "      \n")
            + f"      <pubDate>{format_datetime(moment, usegmt=True)}</pubDate>\n"
            "    </item>\n"
        )


def _releases(project: Project) -> Iterator[_Line]:
    for place, release in enumerate(project.releases):
        yield _Line(release.uploaded, release.serial, project.normalized_name, place, project)


def _registration(project: Project) -> Iterator[_Line]:
    if project.releases:
        yield _Line(project.created, project.releases[0].serial, project.normalized_name, 0, project)


def _feed(title: str, link: str, about: str, items: list[str]) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0">\n  <channel>\n'
        f"    <title>{_text(title)}</title>\n    <link>{_text(link)}</link>\n"
        f"    <description>{_text(about)}</description>\n    <language>en</language>\n"
        f"{''.join(items)}  </channel>\n</rss>"
    ).encode()


def _release_url(project: Project, release: Release) -> str:
    version = quote(release.version, safe=_PATH_SAFE)
    return f"{_PAGE}project/{project.normalized_name}/{version}/"


def _addresses(author_email: Any) -> str:
    """What PyPI makes of `author_email`: bare addresses; nothing when one of them is none."""
    if not isinstance(author_email, str):
        return ""
    found = [address for _, address in getaddresses([author_email])]
    return ", ".join(found) if all("@" in address for address in found) else ""


def _text(value: Any) -> str:
    """Escaped as Jinja does it, without what XML does not allow."""
    text = _NO_XML.sub("", value) if isinstance(value, str) else ""
    return escape(text, quote=False).replace("'", "&#39;").replace('"', "&#34;")
