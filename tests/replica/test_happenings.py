"""What each event of quarantine, archive, owners, advisories does to index, JSON, page and feed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Handle
from pyf_scrapy.replica.truth import Project

from .client import SIMPLE_JSON, get

PLONE = "Framework :: Plone"


class Seen(NamedTuple):
    """All that PyPI shows of a project; a document that is a 404 is None."""

    listed: int | None
    document: Any
    release: Any
    page: Any
    feed: bytes

    @property
    def status(self) -> str:
        return str(self.page["project-status"]["status"])


def member(handle: Handle) -> Project:
    """An active Plone package with several releases, shown in all of them, no epoch among them."""
    for name in handle.replica.members(PLONE):
        project = handle.replica.project(name)
        if (
            project
            and len(project.releases) > 1
            and project.status == "active"
            and all("!" not in one.version and one.own_json for one in project.releases)
        ):
            return project
    raise AssertionError("no such project")


def see(handle: Handle, name: str) -> Seen:
    def read(path: str) -> Any:
        answer = get(handle.url, path, accept=SIMPLE_JSON)
        return json.loads(answer.body) if answer.status == 200 else None

    project = handle.replica.project(name)
    version = project.releases[0].version if project and project.releases else "0"
    index = {row["name"]: row["_last-serial"] for row in read("/simple/")["projects"]}
    return Seen(
        index.get(project.name) if project else None,
        read(f"/pypi/{name}/json"),
        read(f"/pypi/{name}/{version}/json"),
        read(f"/simple/{name}/"),
        get(handle.url, "/rss/updates.xml").body,
    )


def test_quarantine_looks_like_a_deletion_but_on_the_page(replica: Handle) -> None:
    name = member(replica).normalized_name
    before = see(replica, name)
    [entry] = replica.event({"event": "quarantine", "project": name, "reason": "suspicious"})
    during = see(replica, name)
    assert (during.listed, during.document, during.release) == (None, None, None)
    assert during.page == {
        **before.page,
        "files": [],
        "versions": [],
        "meta": {**before.page["meta"], "_last-serial": entry["serial"]},
        "project-status": {"status": "quarantined", "reason": "suspicious"},
    }
    assert during.feed == before.feed
    html = get(replica.url, f"/simple/{name}/").body
    assert b'content="quarantined"' in html
    assert b"sha256" not in html
    truth = replica.replica
    assert name not in truth.members(PLONE)
    assert name not in truth.names()
    assert truth.project(name) is not None

    [entry] = replica.event({"event": "unquarantine", "project": name})
    after = see(replica, name)
    assert (
        after.listed == after.document["last_serial"] == entry["serial"] > during.page["meta"]["_last-serial"]
    )
    assert (after.document["info"], after.page["files"]) == (before.document["info"], before.page["files"])
    assert after.status == "active"
    assert name in truth.members(PLONE)


def test_archive_is_seen_on_the_page_only_and_moves_no_serial(replica: Handle) -> None:
    name = member(replica).normalized_name
    before, serial = see(replica, name), replica.replica.serial
    [entry] = replica.event({"event": "archive", "project": name, "reason": "Use the other"})
    during = see(replica, name)
    assert during.page.pop("project-status") == {"status": "archived", "reason": "Use the other"}
    assert before.page["project-status"] == {"status": "active"}
    assert during == before._replace(page={key: before.page[key] for key in during.page})
    assert (entry["serial"], entry["event"], replica.replica.serial) == (serial, "archive", serial)
    replica.event({"event": "unarchive", "project": name, "reason": "Back again"})
    assert see(replica, name) == before
    assert [line["event"] for line in json.loads(get(replica.url, "/_replica/events").body)] == [
        "archive",
        "unarchive",
    ]


def test_an_archived_project_leaves_quarantine_active(replica: Handle) -> None:
    """As on PyPI, which has one status for both."""
    name = member(replica).normalized_name
    replica.event(*({"event": event, "project": name} for event in ("archive", "quarantine", "unquarantine")))
    assert see(replica, name).status == "active"


def test_advisory_is_in_the_json_of_its_release_without_a_serial(replica: Handle) -> None:
    project = member(replica)
    name, latest = project.normalized_name, project.latest
    assert latest is not None
    before = see(replica, name)
    [entry] = replica.event({"event": "advisory", "project": name, "advisory": {"summary": "Bad"}})
    after = see(replica, name)
    *others, added = after.document["vulnerabilities"]
    assert others == before.document["vulnerabilities"]
    assert (added["summary"], added["withdrawn"], entry["version"]) == ("Bad", None, latest.version)
    unchanged = {**after.document, "vulnerabilities": others}
    assert (unchanged, after.listed, after.page) == (before.document, before.listed, before.page)
    own = json.loads(get(replica.url, f"/pypi/{name}/{latest.version}/json").body)
    assert own["vulnerabilities"] == after.document["vulnerabilities"]

    withdrawn = {"id": added["id"], "withdrawn": "2026-11-02T00:00:00Z"}
    replica.event({"event": "advisory", "project": name, "advisory": withdrawn})
    again = see(replica, name).document["vulnerabilities"]
    assert [one["withdrawn"] for one in again if one["id"] == added["id"]] == ["2026-11-02T00:00:00Z"]

    first = project.releases[0].version
    replica.event({"event": "advisory", "project": name, "version": first})
    assert len(see(replica, name).release["vulnerabilities"]) >= 1
    replica.event({"event": "release", "project": name, "version": "90.0"})
    assert see(replica, name).document["vulnerabilities"] == []


def test_organization_moves_no_serial(replica: Handle) -> None:
    name = member(replica).normalized_name
    before = see(replica, name)
    for organization in ("plone-foundation", None):
        replica.event({"event": "organization", "project": name, "organization": organization})
        after = see(replica, name)
        assert after.document["ownership"].pop("organization") == organization
        assert after.document["ownership"]["roles"] == before.document["ownership"]["roles"]
        assert after.listed == after.document["last_serial"] == before.listed
        assert after.page == before.page


def test_owners_are_set_with_a_serial(replica: Handle) -> None:
    name = member(replica).normalized_name
    before = see(replica, name)
    [entry] = replica.event(
        {"event": "owners", "project": name, "owners": ["ann", "bob"], "maintainers": ["eve"]}
    )
    after = see(replica, name)
    assert after.document["ownership"]["roles"] == [
        {"role": "Owner", "user": "ann"},
        {"role": "Owner", "user": "bob"},
        {"role": "Maintainer", "user": "eve"},
    ]
    assert (
        after.listed == after.page["meta"]["_last-serial"] == entry["serial"] > before.document["last_serial"]
    )
    assert (after.document["info"], after.feed) == (before.document["info"], before.feed)


def test_a_recreated_name_is_another_project(replica: Handle) -> None:
    """Number, owners, organization, first upload, texts: nothing of the old one may show through."""
    name = member(replica).normalized_name
    old = replica.replica.project(name)
    before = see(replica, name)
    replica.event(
        {"event": "organization", "project": name, "organization": "trusted"},
        {"event": "advisory", "project": name},
        {"event": "archive", "project": name},
        {"event": "delete-project", "project": name},
        {"event": "create", "project": name, "version": "0.1", "owners": ["mallory"]},
    )
    new, after = replica.replica.project(name), see(replica, name)
    assert old is not None
    assert new is not None
    assert new.number != old.number
    assert not set(new.words) & set(old.words)
    assert new.created == new.releases[0].uploaded > max(one.uploaded for one in old.releases)
    assert after.document["ownership"]["roles"] == [{"role": "Owner", "user": "mallory"}]
    assert after.document["ownership"]["organization"] != "trusted"
    assert (after.status, after.document["vulnerabilities"]) == ("active", [])
    assert list(after.document["releases"]) == ["0.1"]
    digests = [{file["hashes"]["sha256"] for file in seen.page["files"]} for seen in (before, after)]
    assert not digests[0] & digests[1]

    replica.event({"event": "delete-project", "project": name})
    replica.event({"event": "create", "project": name, "version": "0.1"})
    invented = see(replica, name).document["ownership"]["roles"]
    assert not {role["user"] for role in invented} & {
        role["user"] for role in before.document["ownership"]["roles"]
    }


@pytest.mark.parametrize(
    ("event", "path", "shown"),
    [
        ({"event": "archive"}, "/simple/{}/", '"status":"active"'),
        ({"event": "quarantine"}, "/simple/{}/", '"status":"active"'),
        ({"event": "quarantine"}, "/pypi/{}/json", '"info":'),
        ({"event": "owners", "owners": ["new-owner"]}, "/pypi/{}/json", '"info":'),
        ({"event": "organization", "organization": "new-owner"}, "/pypi/{}/json", '"info":'),
        ({"event": "advisory", "advisory": {"id": "new-owner"}}, "/pypi/{}/json", '"info":'),
        ({"event": "delete-project"}, "/pypi/{}/json", '"info":'),
    ],
)
def test_a_stale_answer_is_the_one_before_the_event(
    replica: Handle, event: dict[str, Any], path: str, shown: str
) -> None:
    name = member(replica).normalized_name
    path = path.format(name)
    before = get(replica.url, path, accept=SIMPLE_JSON)
    replica.event({**event, "project": name})
    assert get(replica.url, path, accept=SIMPLE_JSON).body != before.body
    replica.faults([{"match": path, "fault": "stale"}])
    stale = get(replica.url, path, accept=SIMPLE_JSON)
    assert (stale.status, stale.body) == (200, before.body)
    assert shown in stale.body.decode()
    assert "new-owner" not in stale.body.decode()


def test_a_stale_index_lists_what_is_in_quarantine_now(replica: Handle) -> None:
    project = member(replica)
    before = json.loads(get(replica.url, "/simple/", accept=SIMPLE_JSON).body)
    replica.event(
        {"event": "owners", "project": project.name, "owners": ["ann"]},
        {"event": "archive", "project": project.name},
        {"event": "quarantine", "project": project.name},
    )
    replica.faults([{"match": "/simple/", "fault": "stale", "serial_lag": 2}])
    assert json.loads(get(replica.url, "/simple/", accept=SIMPLE_JSON).body) == before


def test_the_past_is_known_at_each_serial(replica: Handle) -> None:
    """Tests of a crawler compare what it saw with what was true then."""
    project = member(replica)
    world = replica.replica
    truths = {world.serial: (world.project(project.name), list(world.rows()))}
    for event in ("quarantine", "unquarantine", "archive", "delete-project"):
        replica.event({"event": event, "project": project.name})
        truths[world.serial] = (world.project(project.name), list(world.rows()))
    replica.event({"event": "create", "project": project.name, "version": "1.0"})
    for serial, (truth, rows) in truths.items():
        assert world.project(project.name, serial) == truth
        assert list(world.rows(serial)) == rows


@pytest.mark.parametrize(
    ("first", "event", "message"),
    [
        ("archive", {"event": "archive"}, "is archived, no archive"),
        (None, {"event": "unarchive"}, "is active, no unarchive"),
        (None, {"event": "unquarantine"}, "is active, no unquarantine"),
        ("quarantine", {"event": "quarantine"}, "is quarantined, no quarantine"),
        ("quarantine", {"event": "release"}, "is in quarantine, no release"),
        ("quarantine", {"event": "archive"}, "is in quarantine, no archive"),
        (None, {"event": "owners"}, "owners needs owners"),
        (None, {"event": "advisory", "version": "77"}, "has no release 77"),
    ],
)
def test_impossible_events_are_refused(
    replica: Handle, first: str | None, event: dict[str, Any], message: str
) -> None:
    name = member(replica).name
    if first:
        replica.event({"event": first, "project": name})
    before = replica.replica.project(name)
    with pytest.raises(ReplicaError, match=message):
        replica.event({**event, "project": name})
    assert replica.replica.project(name) == before


def test_an_advisory_needs_a_release(replica: Handle) -> None:
    replica.event({"event": "create", "project": "hollow"})
    with pytest.raises(ReplicaError, match=r"hollow has no release$"):
        replica.event({"event": "advisory", "project": "hollow"})
