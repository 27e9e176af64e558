"""Events: what happens on PyPI while a crawl runs. Each bumps the serial, in index and documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Handle

from .client import SIMPLE_JSON, get


def member(handle: Handle) -> str:
    """A Plone package with several releases, no epoch among them."""
    for name in handle.replica.members("Framework :: Plone"):
        project = handle.replica.project(name)
        if project and len(project.releases) > 1 and all("!" not in one.version for one in project.releases):
            return name
    raise AssertionError("no such project")


def document(handle: Handle, name: str) -> Any:
    return json.loads(get(handle.url, f"/pypi/{name}/json").body)


def index(handle: Handle) -> dict[str, int]:
    answer = json.loads(get(handle.url, "/simple/", accept=SIMPLE_JSON).body)
    assert answer["meta"]["_last-serial"] == handle.replica.serial
    return {project["name"]: project["_last-serial"] for project in answer["projects"]}


def test_release(replica: Handle) -> None:
    name = member(replica)
    before = index(replica)
    [entry] = replica.event({"event": "release", "project": name, "version": "99.0"})
    after = index(replica)
    changed = {display for display in after if after[display] != before[display]}
    assert len(changed) == 1
    assert after[changed.pop()] == entry["serial"] == max(before.values()) + 1
    found = document(replica, name)
    assert (found["info"]["version"], found["last_serial"]) == ("99.0", entry["serial"])
    assert len(found["urls"]) == 2
    assert name in replica.replica.members("Framework :: Plone")


def test_own_metadata(replica: Handle) -> None:
    name = member(replica)
    nasty = {"summary": None, "description": "<script>", "keywords": 5}
    replica.event({"event": "release", "project": name, "version": "99.0", "info": nasty})
    assert {key: document(replica, name)["info"][key] for key in nasty} == nasty


def test_reclassify_is_a_release_with_other_classifiers(replica: Handle) -> None:
    name = member(replica)
    [entry] = replica.event({"event": "reclassify", "project": name, "classifiers": ["Framework :: Django"]})
    found = document(replica, name)
    assert found["info"]["classifiers"] == ["Framework :: Django"]
    assert found["info"]["version"] == entry["version"]
    assert name not in replica.replica.members("Framework :: Plone")
    assert name in replica.replica.members("Framework :: Django")


def test_yank_and_unyank(replica: Handle) -> None:
    name = member(replica)
    before = document(replica, name)
    version = before["info"]["version"]
    replica.event({"event": "yank", "project": name, "version": version, "reason": "broken"})
    own = json.loads(get(replica.url, f"/pypi/{name}/{version}/json").body)
    assert (own["info"]["yanked"], own["info"]["yanked_reason"]) == (True, "broken")
    assert document(replica, name)["info"]["version"] != version
    replica.event({"event": "unyank", "project": name, "version": version})
    again = document(replica, name)
    assert again["info"] == before["info"]
    assert again["last_serial"] == before["last_serial"] + (replica.replica.serial - before["last_serial"])


def test_delete_release(replica: Handle) -> None:
    name = member(replica)
    version = document(replica, name)["info"]["version"]
    replica.event({"event": "delete-release", "project": name, "version": version})
    assert version not in document(replica, name)["releases"]
    assert get(replica.url, f"/pypi/{name}/{version}/json").status == 404


def test_delete_and_create_again(replica: Handle) -> None:
    name = member(replica)
    replica.event({"event": "delete-project", "project": name})
    assert get(replica.url, f"/pypi/{name}/json").status == 404
    assert get(replica.url, f"/simple/{name}/").status == 404
    assert len(index(replica)) == 199
    assert name not in replica.replica.names()
    replica.event({"event": "create", "project": name.upper(), "version": "1.0"})
    assert index(replica)[name.upper()] == replica.replica.serial
    assert document(replica, name)["info"]["name"] == name.upper()
    assert replica.replica.names() == sorted(replica.replica.names())


def test_create(replica: Handle) -> None:
    for name in ("Zz.Last", "0first", "Middle_One"):
        replica.event(
            {
                "event": "create",
                "project": name,
                "version": "0.1",
                "classifiers": ["Framework :: Plone :: 6.1"],
            }
        )
    replica.event({"event": "create", "project": "hollow"})
    names = replica.replica.names()
    assert names == sorted(names)
    assert {"zz-last", "0first", "middle-one", "hollow"} < set(names)
    assert {"zz-last", "0first", "middle-one"} < set(replica.replica.members("Framework :: Plone"))
    assert get(replica.url, "/pypi/hollow/json").status == 404
    assert document(replica, "middle-one")["info"]["name"] == "Middle_One"


def test_times_come_from_the_clock(replica: Handle) -> None:
    name = member(replica)
    replica.clock("2031-02-03T04:05:06+00:00")
    replica.event(
        {"event": "release", "project": name, "version": "98.0"},
        {"event": "release", "project": name, "version": "99.0"},
    )
    releases = document(replica, name)["releases"]
    times = [min(file["upload_time_iso_8601"] for file in releases[version]) for version in ("98.0", "99.0")]
    assert times == ["2031-02-03T04:05:06Z", "2031-02-03T04:05:07Z"]
    clock = json.loads(get(replica.url, "/_replica/clock").body)
    assert clock == {"now": "2031-02-03T04:05:08+00:00", "serial": replica.replica.serial}
    with pytest.raises(ReplicaError, match="needs a time zone"):
        replica.clock("2031-02-03T04:05:06")


def test_journal(replica: Handle) -> None:
    name = member(replica)
    start = replica.replica.serial
    replica.event({"event": "release", "project": name, "version": "98.0"})
    [second] = replica.event({"event": "yank", "project": name, "version": "98.0"})
    journal = json.loads(get(replica.url, "/_replica/events").body)
    assert [(entry["serial"], entry["event"], entry["version"]) for entry in journal] == [
        (start + 1, "release", "98.0"),
        (start + 2, "yank", "98.0"),
    ]
    assert json.loads(get(replica.url, f"/_replica/events?since={start + 1}").body) == [second]
    assert get(replica.url, "/_replica/events?since=yesterday").status == 400


def test_next_version_of_strange_numbers(replica: Handle) -> None:
    """A reclassified package needs a version above all others; legacy strings count as nothing."""
    replica.event({"event": "create", "project": "odd", "version": "unknown"})
    replica.event({"event": "release", "project": "odd", "version": "3.7"})
    [entry] = replica.event({"event": "reclassify", "project": "odd", "classifiers": []})
    assert entry["version"] == "4.0.0"
    replica.event({"event": "release", "project": "odd", "version": "1!0.1"})
    with pytest.raises(ReplicaError, match="odd numbers with epochs: name the version"):
        replica.event({"event": "reclassify", "project": "odd", "classifiers": []})


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"event": "explode", "project": "x"}, "Invalid enum value 'explode'"),
        ({"event": "yank"}, "missing required field `project`"),
        ({"event": "yank", "project": "MEMBER", "when": 5}, "unknown field `when`"),
        ({"event": "yank", "project": "no-such", "version": "1"}, "there is no project no-such"),
        ({"event": "yank", "project": "MEMBER", "version": "x"}, "has no release x"),
        ({"event": "reclassify", "project": "MEMBER"}, "reclassify needs classifiers"),
        ({"event": "release", "project": "MEMBER", "version": "VERSION"}, "already"),
        ({"event": "create", "project": "MEMBER"}, "there is a project"),
        ({"event": "create", "project": "a b"}, "'a b' is not a valid project name"),
    ],
)
def test_impossible_events_are_refused_in_one_line(
    replica: Handle, event: dict[str, Any], message: str
) -> None:
    name = member(replica)
    version = document(replica, name)["info"]["version"]
    filled = {
        key: value.replace("MEMBER", name).replace("VERSION", version) if isinstance(value, str) else value
        for key, value in event.items()
    }
    serial = replica.replica.serial
    with pytest.raises(ReplicaError) as caught:
        replica.event(filled)
    assert message in str(caught.value)
    assert replica.replica.serial == serial
