"""Packages for the tests of the index: short to write, made of the real records."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
import typesense
import yaml

from pyf_scrapy.metadata.descriptions import Description, render
from pyf_scrapy.metadata.health import Health
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.versions import VersionFields, sortable, version_fields
from pyf_scrapy.parsers.records import DownloadCounts, File, Metadata, ProjectRecord
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.collections import Collection, ensure_collection, import_documents
from pyf_scrapy.search.documents import documents
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.queries import normalize
from pyf_scrapy.search.schema import SCHEMA
from pyf_scrapy.store import RepositoryFacts, RepositoryLink, Standing

DATA = Path(__file__).parent / "data"
TODAY = date(2026, 11, 1)
EVERYTHING = Profile(key="everything", name="Everything", classifiers=("*",))
PYTHONS = ("Programming Language :: Python :: 3", "Programming Language :: Python :: 3.12")
FIELDS = {field.name: field for field in SCHEMA}
KINDS: dict[str, Any] = {"string": str, "int64": int, "bool": bool, "auto": (dict, list), "float": float}


@dataclass
class Made:
    """A package as `documents` wants it; items.PackageItem has more."""

    name: str
    normalized_name: str
    serial: int
    project: ProjectRecord | None
    releases: tuple[Release, ...]
    versions: dict[str, VersionFields] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    health: Health | None = None
    standing: Standing | None = None
    link: RepositoryLink | None = None
    repository: RepositoryFacts | None = None
    downloads: DownloadCounts | None = None


def release(name: str, version: str, *, yanked: bool = False, partial: bool = False, **given: Any) -> Release:
    """One release; `given` are fields of its Metadata, and `files`, `upload_time`, `yanked_reason`."""
    files: tuple[File, ...] = given.pop("files", ())
    upload_time: int | None = given.pop("upload_time", 1_760_000_000)
    reason: str | None = given.pop("yanked_reason", None)
    return Release(
        version=version,
        metadata=Metadata(name=name, version=version, **given),
        files=files,
        partial=partial,
        yanked=yanked,
        yanked_reason=reason,
        upload_time=upload_time,
        sortable=sortable(version, yanked=yanked),
    )


def package(name: str, *releases: Release, **given: Any) -> Made:
    """A package of these releases; `given` are fields of Made."""
    newest_first = tuple(sorted(releases, key=lambda one: one.sortable, reverse=True))
    newest = newest_first[0]
    project = ProjectRecord(name, normalize(name), newest.version, 1000, newest.metadata)
    made = Made(name, normalize(name), 1000, project, newest_first)
    made.versions = {one.version: version_fields(one.version, yanked=one.yanked) for one in newest_first}
    for key, value in given.items():
        setattr(made, key, value)
    return made


def check(document: dict[str, Any]) -> None:
    """What Typesense would reject, or quietly not index."""
    assert {name for name, field in FIELDS.items() if not field.optional} <= set(document)
    for name, value in document.items():
        if name == "id":
            assert value == document["identifier"]
        elif FIELDS[name].type == "string[]":
            assert isinstance(value, list)
            assert all(isinstance(item, str) and item for item in value), name
        else:
            assert isinstance(value, KINDS[FIELDS[name].type]), name
            assert FIELDS[name].type == "bool" or not isinstance(value, bool), name


def classifier(framework_version: str) -> str:
    """The classifier behind a framework version: "Plone 6.0" -> "Framework :: Plone :: 6.0"."""
    framework, _, number = framework_version.rpartition(" ")
    return f"Framework :: {framework} :: {number}"


def described(entry: dict[str, Any]) -> Made:
    """The package of an entry of corpus.yaml, its READMEs rendered by the real renderer."""
    name = entry["name"]
    frameworks = entry.get("frameworks", ["Plone 6.0", "Plone 6.1"])
    listed = entry.get("releases", [{"version": "1.0", "frameworks": frameworks}])
    releases, descriptions = [], {}
    for place, one in enumerate(listed):
        families = dict.fromkeys(f"Framework :: {value.split()[0]}" for value in one["frameworks"])
        claimed = map(classifier, one["frameworks"])
        releases.append(
            release(
                name,
                one["version"],
                summary=one.get("summary", entry["summary"]),
                keywords=tuple(entry.get("keywords", ())),
                author=entry.get("author"),
                license="GPL version 2",
                requires_python=">=3.9" if entry.get("health", 50) >= 95 else ">=3.8",
                classifiers=(*families, *claimed, *PYTHONS),
            )
        )
        readme = one.get("readme", entry.get("readme") if place == 0 else None)
        descriptions[one["version"]] = render(readme, "text/markdown")
    health = Health(score=entry.get("health", 50), breakdown={"recency": {"points": 40, "problems": []}})
    return package(name, *releases, descriptions=descriptions, health=health)


def corpus() -> list[Made]:
    """All packages of corpus.yaml."""
    entries = yaml.safe_load((DATA / "corpus.yaml").read_text(encoding="utf-8"))
    return [described(entry) for entry in entries]


def client_of(server: Server, http_client: httpx.Client | None = None) -> typesense.Client:
    """A client that fails at once instead of trying again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of interfaces that nobody uses
        return typesense.Client(
            {
                "nodes": [{"host": server.host, "port": server.port, "protocol": server.protocol}],
                "api_key": server.api_key,
                "connection_timeout_seconds": 30,
                "num_retries": 0,
            },
            http_client,
        )


def indexed(client: typesense.Client, alias: str, packages: Iterable[Made]) -> Collection:
    """The collection behind `alias` with all documents of the packages in it."""
    collection = ensure_collection(client, alias)
    lines = [
        msgspec.json.encode(document) for made in packages for document in documents(made, EVERYTHING, TODAY)
    ]
    rejected = [reason for reason in import_documents(client, collection.name, lines) if reason]
    assert not rejected
    return collection
