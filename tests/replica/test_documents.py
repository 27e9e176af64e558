"""The documents: shaped like those of PyPI, readable by our parsers, true to the world."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyf_scrapy.parsers.project_json import parse_project, parse_release
from pyf_scrapy.parsers.simple_index import parse_index, parse_simple_page
from pyf_scrapy.replica import Handle, Options, Replica
from pyf_scrapy.replica.documents import project_json, release_json
from pyf_scrapy.replica.readmes import HOSTILE
from pyf_scrapy.replica.simple import page_json
from pyf_scrapy.replica.truth import Project, Release, latest_of

from .client import SIMPLE_JSON, get


def with_files(replica: Replica) -> Project:
    """A project with several releases and files."""
    for name in replica.names():
        project = replica.project(name)
        if project and len(project.releases) > 3 and all(release.kinds for release in project.releases):
            return project
    raise AssertionError("no such project")


def shape(document: dict[str, Any]) -> dict[str, list[str]]:
    return {
        "document": sorted(document),
        "info": sorted(document["info"]),
        "file": sorted(document["urls"][0]),
        "ownership": sorted(document["ownership"]),
        "roles": sorted(document["ownership"]["roles"][0]),
    }


def test_project_has_the_keys_of_the_newest_recordings(shared: Handle, real_data: Path) -> None:
    project = with_files(shared.replica)
    ours = json.loads(get(shared.url, f"/pypi/{project.normalized_name}/json").body)
    with gzip.open(real_data / "pypi_json" / "_corpus_latest.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line)["doc"] for line in lines]
    newest = [
        document
        for document in documents
        if len(document["info"]) == 30
        and document.get("urls")
        and "core-metadata" in document["urls"][0]
        and document.get("ownership", {}).get("roles")
    ]
    assert newest
    assert shape(ours) in [shape(document) for document in newest]


def test_release_has_the_keys_of_a_recording(shared: Handle, real_data: Path) -> None:
    project = with_files(shared.replica)
    version = project.releases[0].version
    ours = json.loads(get(shared.url, f"/pypi/{project.normalized_name}/{version}/json").body)
    recorded = json.loads((real_data / "pypi_json" / "aiohttp@3.12.15.version.json").read_bytes())
    assert sorted(ours) == sorted(recorded)
    weak = next(found for name in shared.replica.names() if (found := vulnerabilities(shared, name)))
    assert sorted(weak[0]) == sorted(recorded["vulnerabilities"][0])


def vulnerabilities(handle: Handle, name: str) -> list[dict[str, Any]]:
    project = handle.replica.project(name)
    if not project or not project.latest or (project.number + handle.replica.options.seed) % 97:
        return []
    return list(json.loads(get(handle.url, f"/pypi/{name}/json").body)["vulnerabilities"])


def test_simple_page_has_the_keys_of_a_recording(shared: Handle, real_data: Path) -> None:
    project = with_files(shared.replica)
    ours = json.loads(page_json(3, project))
    recorded = json.loads((real_data / "pypi_simple" / "flask.osv-scanner.v1.4.json").read_bytes())
    assert sorted(ours) == sorted(recorded)
    assert sorted(ours["files"][0]) == sorted(recorded["files"][0])


def test_every_document_is_understood_and_true(shared: Handle) -> None:
    """All that our parsers read in the invented documents is what the world holds."""
    replica = shared.replica
    for name in replica.names()[::3]:
        project = replica.project(name)
        assert project is not None
        if not project.latest:
            continue
        record = parse_project(project_json(3, project, project.latest, replica.some_name))
        assert (record.name, record.serial, record.version) == (
            project.name,
            project.serial,
            project.latest.version,
        )
        assert record.metadata.classifiers == project.classifiers
        assert record.files is not None
        assert {version: len(files) for version, files in record.files.items()} == {
            release.version: len(release.kinds) for release in project.releases
        }
        release = project.releases[0]
        own = parse_release(release_json(3, project, release, replica.some_name))
        assert (own.version, own.metadata.yanked) == (release.version, release.yanked)
        page = parse_simple_page(page_json(3, project))
        assert page.serial == project.serial
        assert set(page.versions or ()) == {release.version for release in project.releases if release.kinds}
        assert page.status == project.status


def test_index_is_understood_and_complete(shared: Handle) -> None:
    index = parse_index(get(shared.url, "/simple/", accept=SIMPLE_JSON).body)
    assert index.last_serial == shared.replica.serial
    assert [(entry.name, entry.serial) for entry in index.projects] == [
        (row.name, row.serial) for row in shared.replica.rows()
    ]


def test_keys_and_releases_are_in_string_order(shared: Handle) -> None:
    project = with_files(shared.replica)
    document = json.loads(get(shared.url, f"/pypi/{project.normalized_name}/json").body)
    assert list(document["releases"]) == sorted(document["releases"])
    assert list(document["info"]) == sorted(document["info"])


def test_readmes_hold_the_own_words_of_their_project() -> None:
    """Searches of the demo and of tests find a package by a word that only its README has."""
    replica = Replica(Options(projects=300))
    texts = {}
    for name in replica.names():
        project = replica.project(name)
        if project and project.latest:
            document = json.loads(project_json(7, project, project.latest, replica.some_name))
            texts[project.words[0]] = document["info"]["description"] or ""
    found = [sum(word in text for text in texts.values()) for word in texts]
    assert max(found) == 1
    assert sum(found) > 0.95 * len(found)


def test_hostile_content_can_be_switched_off() -> None:
    for hostile in (True, False):
        replica = Replica(Options(projects=500, hostile=hostile))
        projects = [
            project for name in replica.names() if (project := replica.project(name)) and project.latest
        ]
        text = b"".join(project_json(7, one, one.latest, replica.some_name) for one in projects if one.latest)
        assert (b"javascript:" in text) is hostile
        assert (b"\\u001b[31m" in text) is hostile
        assert any(part.split("\n")[0].replace('"', '\\"').encode() in text for part in HOSTILE) is hostile


def release(version: str, *, yanked: bool = False) -> Release:
    return Release(version, 0, (), (), yanked=yanked)


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        (["1.9", "1.10", "2.0a1"], "1.10"),
        (["1.0a1", "1.0b1"], "1.0b1"),
        (["!2.0", "1.0a1"], "1.0a1"),
        (["!1.0", "!2.0", "!3.0rc1"], "2.0"),
        (["1.0", "2004d", "unknown"], "1.0"),
        (["2004d", "2004e"], "2004e"),
        (["1!0.1", "2026.1"], "1!0.1"),
    ],
)
def test_latest_is_chosen_as_pypi_does(versions: list[str], latest: str) -> None:
    """`!` marks a yanked release."""
    releases = [release(text.removeprefix("!"), yanked=text.startswith("!")) for text in versions]
    chosen = latest_of(releases)
    assert chosen is not None
    assert chosen.version == latest


def test_a_version_is_found_by_another_spelling_unless_two_share_it() -> None:
    replica = Replica(Options(projects=50))
    base = with_files(replica)
    project = msgspec.structs.replace(base, releases=(release("1.0"), release("0.12.1"), release("0.12.01")))
    found = {text: project.release(text) for text in ("1.0", "1.0.0", "0.12.1", "0.12.01", "0.12.1.0", "2.0")}
    assert {text: one.version if one else None for text, one in found.items()} == {
        "1.0": "1.0",
        "1.0.0": "1.0",
        "0.12.1": "0.12.1",
        "0.12.01": "0.12.01",
        "0.12.1.0": None,
        "2.0": None,
    }
