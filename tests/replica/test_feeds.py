"""Feeds: PyPI's form and PyPI's windows. What they leave out, a crawler must find by the index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import feedparser  # type: ignore[import-untyped]
import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Handle, Options, Replica, running_replica
from pyf_scrapy.replica.feeds import Feeds
from pyf_scrapy.replica.truth import Project

from .client import get

UPDATES, PACKAGES = "/rss/updates.xml", "/rss/packages.xml"


@pytest.fixture
def narrow() -> Iterator[Handle]:
    """A replica whose feeds are soon overrun."""
    with running_replica(Options(projects=60, updates=5, packages=3)) as handle:
        yield handle


def feed(handle: Handle, path: str) -> Any:
    answer = get(handle.url, path)
    assert answer.status == 200
    found = feedparser.parse(BytesIO(answer.body))
    assert not found.bozo
    return found


def titles(handle: Handle, path: str) -> list[str]:
    return [str(entry.title) for entry in feed(handle, path).entries]


def projects(replica: Replica) -> list[Project]:
    return [project for name in replica.names() if (project := replica.project(name))]


def several(handle: Handle) -> Project:
    """A project with several releases and no epoch."""
    return next(
        one
        for one in projects(handle.replica)
        if len(one.releases) > 2 and not any("!" in release.version for release in one.releases)
    )


def link(project: Project, version: str) -> str:
    return f"https://pypi.org/project/{project.normalized_name}/{quote(version, safe='!+')}/"


def test_updates_are_the_newest_releases_of_all(shared: Handle) -> None:
    newest = sorted(
        (
            (release.uploaded, project, release)
            for project in projects(shared.replica)
            for release in project.releases
        ),
        key=lambda found: -found[0],
    )[:100]
    found = feed(shared, UPDATES)
    assert [entry.link for entry in found.entries] == [
        link(one, release.version) for _, one, release in newest
    ]
    assert [entry.title for entry in found.entries] == [
        f"{one.name} {release.version}" for _, one, release in newest
    ]
    assert not any("id" in entry for entry in found.entries)


def test_packages_are_the_newest_projects_with_releases(shared: Handle) -> None:
    newest = sorted(
        (project for project in projects(shared.replica) if project.releases),
        key=lambda project: -min(release.uploaded for release in project.releases),
    )[:40]
    found = feed(shared, PACKAGES)
    assert [entry.title for entry in found.entries] == [f"{project.name} added to PyPI" for project in newest]
    for entry, project in zip(found.entries, newest, strict=True):
        assert entry.link == entry.id == f"https://pypi.org/project/{project.normalized_name}/"


@pytest.mark.parametrize(
    ("path", "recording"), [(UPDATES, "updates.xml.packages.xml"), (PACKAGES, "packages.xml.packages.xml")]
)
def test_form_is_that_of_a_recording(shared: Handle, real_data: Path, path: str, recording: str) -> None:
    def form(text: bytes) -> tuple[str, set[str]]:
        """All before the first item, and the kinds of items, without what their elements hold."""
        head, *items = text.decode().split("    <item>\n")
        return head, {re.sub(r">[^<\n]*</", ">...</", item) for item in items[:-1]}

    ours, theirs = get(shared.url, path).body, (real_data / "rss" / recording).read_bytes()
    assert form(ours) == form(theirs)
    assert ours.endswith(b"    </item>\n  </channel>\n</rss>")


def test_feed_of_a_project(shared: Handle, real_data: Path) -> None:
    project = next(one for one in projects(shared.replica) if len(one.releases) > 40)
    path = f"/rss/project/{project.normalized_name}/releases.xml"
    newest = sorted(project.releases, key=lambda release: -release.uploaded)[:40]
    found = feed(shared, path)
    assert [entry.title for entry in found.entries] == [release.version for release in newest]
    assert [entry.link for entry in found.entries] == [link(project, release.version) for release in newest]
    recorded = (real_data / "rss" / "pypi.org_rss_project_ply_releases.xml.libraries.io.xml").read_text()
    ours = (
        get(shared.url, path)
        .body.decode()
        .replace(project.name, "ply")
        .replace(project.normalized_name, "ply")
    )
    assert ours.partition("<item>")[0] == recorded.partition("<item>")[0]
    assert get(shared.url, "/rss/project/no-such-thing/releases.xml").status == 404
    assert get(shared.url, "/rss/other.xml").status == 404


def test_texts_of_people_break_no_feed(shared: Handle) -> None:
    """Control characters, quotes, addresses in any form: still XML, and the author is mail."""
    authors = []
    for project in projects(shared.replica)[::10]:
        found = feed(shared, f"/rss/project/{project.normalized_name}/releases.xml")
        authors += [entry.get("author", "") for entry in found.entries]
    assert "" in authors
    assert all(re.fullmatch(r"([\w.-]+@[\w.-]+(, )?)*", author) for author in authors)
    replica = Replica(Options(projects=3))
    entry = {
        "event": "create",
        "project": "x",
        "version": "1.0",
        "info": {"summary": 5, "author_email": ["a"]},
    }
    with running_replica(Options(projects=3)) as handle:
        handle.event(entry)
        assert feed(handle, UPDATES).entries[0].description == ""
    assert feedparser.parse(BytesIO(Feeds(replica).updates())).entries


def test_answers_have_an_etag_but_neither_serial_nor_age(replica: Handle) -> None:
    for path in (UPDATES, PACKAGES, f"/rss/project/{several(replica).normalized_name}/releases.xml"):
        answer = get(replica.url, path)
        assert answer.headers["Content-Type"] == "text/xml; charset=UTF-8"
        assert not {"Cache-Control", "X-PyPI-Last-Serial"} & set(answer.headers)
        again = get(replica.url, path, if_none_match=answer.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
    replica.event({"event": "create", "project": "new", "version": "1.0"})
    for path in (UPDATES, PACKAGES):
        assert get(replica.url, path, if_none_match=answer.headers["ETag"]).status == 200
    report = replica.statistics()
    assert report["requests"] == {"feed": 8}
    assert report["statuses"] == {"200": 5, "304": 3}


def test_windows_are_overrun(narrow: Handle) -> None:
    """More releases than a window: the first are gone before anybody saw them."""
    name = several(narrow).normalized_name
    for number in range(7):
        narrow.event({"event": "release", "project": name, "version": f"90.{number}"})
        narrow.event({"event": "create", "project": f"fresh-{number}", "version": "1.0"})
    display = several(narrow).name
    assert titles(narrow, UPDATES) == [
        "fresh-6 1.0", f"{display} 90.6", "fresh-5 1.0", f"{display} 90.5", "fresh-4 1.0"
    ]  # fmt: skip
    assert titles(narrow, PACKAGES) == [f"fresh-{number} added to PyPI" for number in (6, 5, 4)]


def test_times_are_those_of_the_clock_and_ties_are_in_order(narrow: Handle) -> None:
    for number in (2, 1, 3):
        narrow.clock("2031-02-03T04:05:06+01:00")
        narrow.event({"event": "create", "project": f"fresh-{number}", "version": "1.0"})
    found = feed(narrow, PACKAGES).entries
    assert [entry.title[:7] for entry in found] == ["fresh-3", "fresh-1", "fresh-2"]
    assert {entry.published for entry in found} == {"Mon, 03 Feb 2031 03:05:06 GMT"}


def test_what_is_deleted_leaves_and_older_ones_come_back(narrow: Handle) -> None:
    updates, packages = titles(narrow, UPDATES), titles(narrow, PACKAGES)
    narrow.event(
        {"event": "create", "project": "gone", "version": "1.0"},
        {"event": "release", "project": "gone", "version": "1.1"},
        {"event": "delete-release", "project": "gone", "version": "1.1"},
    )
    assert titles(narrow, UPDATES) == ["gone 1.0", *updates[:4]]
    assert titles(narrow, PACKAGES)[0] == "gone added to PyPI"
    narrow.event({"event": "delete-project", "project": "gone"})
    assert (titles(narrow, UPDATES), titles(narrow, PACKAGES)) == (updates, packages)
    first = updates[0].rpartition(" ")[0]
    narrow.event({"event": "delete-project", "project": first})
    assert first not in [title.rpartition(" ")[0] for title in titles(narrow, UPDATES)]
    assert len(titles(narrow, UPDATES)) == 5


def test_a_project_is_in_the_feed_when_it_has_a_release_and_dated_by_its_creation(narrow: Handle) -> None:
    packages = titles(narrow, PACKAGES)
    narrow.clock("2031-01-01T00:00:00+00:00")
    narrow.event({"event": "create", "project": "hollow"})
    assert titles(narrow, PACKAGES) == packages
    narrow.clock("2031-01-02T00:00:00+00:00")
    narrow.event({"event": "release", "project": "hollow", "version": "1.0"})
    assert feed(narrow, PACKAGES).entries[0].published == "Wed, 01 Jan 2031 00:00:00 GMT"
    assert feed(narrow, UPDATES).entries[0].published == "Thu, 02 Jan 2031 00:00:00 GMT"


def test_feeds_do_not_tell_of_anything_else(narrow: Handle) -> None:
    """Yanks, quarantine, roles: who reads feeds only never hears of them, and runs into a 404."""
    project = several(narrow)
    narrow.event({"event": "release", "project": project.name, "version": "90.0"})
    bodies = [get(narrow.url, path).body for path in (UPDATES, PACKAGES)]
    narrow.event(
        {"event": "yank", "project": project.name, "version": "90.0"},
        {"event": "owners", "project": project.name, "owners": ["somebody"]},
        {"event": "archive", "project": project.name},
        {"event": "quarantine", "project": project.name},
    )
    assert [get(narrow.url, path).body for path in (UPDATES, PACKAGES)] == bodies
    assert get(narrow.url, f"/pypi/{project.normalized_name}/json").status == 404


def test_stale_feeds(narrow: Handle) -> None:
    project = several(narrow)
    own = f"/rss/project/{project.normalized_name}/releases.xml"
    before = [titles(narrow, path) for path in (UPDATES, PACKAGES, own)]
    narrow.event(
        {"event": "create", "project": "fresh", "version": "1.0"},
        {"event": "release", "project": project.name, "version": "90.0"},
    )
    now = [titles(narrow, path) for path in (UPDATES, PACKAGES, own)]
    narrow.faults([{"match": "/rss/*", "fault": "stale", "serial_lag": 2}])
    assert [titles(narrow, path) for path in (UPDATES, PACKAGES, own)] == before != now
    narrow.faults([{"match": UPDATES, "fault": "stale", "serial_lag": 10_000}])
    assert not set(titles(narrow, UPDATES)) & set(now[0])


def test_a_feed_of_a_large_world_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inventing all projects for each poll would take seconds."""
    replica = Replica(Options(projects=5000))
    invented: list[int] = []
    most_recent = replica.most_recent

    def counted(rank: int) -> Project:
        invented.append(rank)
        return most_recent(rank)

    monkeypatch.setattr(replica, "most_recent", counted)
    feeds = Feeds(replica)
    first = feeds.updates()
    feeds.packages()
    assert feeds.updates() == first
    assert len(invented) == len(set(invented)) < 400


@pytest.mark.parametrize("name", ["updates", "packages"])
def test_wrong_windows_are_refused(name: str) -> None:
    with pytest.raises(ReplicaError, match=f"{name}: 0 is not between 1 and 10000"):
        Options(**{name: 0})  # type: ignore[arg-type]  # one of two int fields
