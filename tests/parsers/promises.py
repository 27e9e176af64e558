"""What every reader of foreign bytes promises, whatever they are: checked on each input of the fuzzer.

A reader returns, or raises its documented error with one line that can be stored and shown. What it returns
can be stored (no NUL, no lone surrogate, numbers of int64, the same after msgpack) and is what it claims.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyf_scrapy.environment import read_env_file, read_environment
from pyf_scrapy.exceptions import ParseError, ProfileError, PyfError, UsageProblem
from pyf_scrapy.metadata.releases import combine, latest_for, listed_versions, python_versions, text_versions
from pyf_scrapy.metadata.versions import MAX_INT64, MAX_SORTABLE, version_fields
from pyf_scrapy.parsers.clickpy import MAX_QUERY, NAMES_PER_QUERY, batches, bulk_query, parse_bulk
from pyf_scrapy.parsers.filenames import ReleaseFinder
from pyf_scrapy.parsers.github import (
    MOST_CONTRIBUTORS,
    RateLimit,
    RepositoryRecord,
    full_name,
    identity,
    license_id,
    parse_contributors,
    parse_message,
    parse_repository,
)
from pyf_scrapy.parsers.github_graphql import MAX_ALIASES, parse_batch, repository_query
from pyf_scrapy.parsers.gunzip import gunzip, gunzip_parts
from pyf_scrapy.parsers.names import package_names
from pyf_scrapy.parsers.project_json import (
    File,
    Metadata,
    ProjectRecord,
    parse_outline,
    parse_project,
    parse_release,
)
from pyf_scrapy.parsers.provenance import parse_provenance
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import DownloadCounts
from pyf_scrapy.parsers.requirements_txt import requirement_names
from pyf_scrapy.parsers.rss import parse_feed
from pyf_scrapy.parsers.simple_index import files_by_version, parse_index, parse_simple_page, parts_of
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.sync.limits import retry_after

T = TypeVar("T")

MAX_ERROR: Final = 2000  # characters of an error's line
MAX_UNPACKED: Final = 10_000  # bytes
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SORTABLE: Final = re.compile(r"[0-9a-z]+")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_SHA256: Final = re.compile(r"([0-9a-f]{64})?")
_NOW: Final = 1_795_255_200.0


@dataclass(frozen=True)
class Reader:
    """Something that reads `kind`s of documents. `read` says whether it took the document."""

    name: str
    kind: str
    functions: tuple[Callable[..., Any], ...]  # the tested ones
    read: Callable[[bytes, Path], bool]
    share: int = 1  # of the inputs


# --- promises that all share


def tried(function: Callable[[], T], *errors: type[PyfError]) -> T | None:
    """What the function returns, None for a documented error."""
    try:
        return function()
    except errors as error:
        check_error(error)
        return None


def check_error(error: PyfError) -> None:
    """One line that can be printed, and stored as the reason of a failure."""
    line = str(error)
    line.encode()
    assert line.strip(), "an error says nothing"
    assert len(line.splitlines()) == 1, "an error has several lines"
    assert "\0" not in line, "an error cannot be stored"
    assert len(line) <= MAX_ERROR or isinstance(error, UsageProblem), "a novel of an error"


def check_storable(record: Any) -> None:
    """It survives msgpack, and PostgreSQL and Typesense can hold it."""
    packed = msgspec.msgpack.encode(record)  # refuses lone surrogates
    assert msgspec.msgpack.decode(packed, type=type(record)) == record, "msgpack changes it"
    assert not _NUL.search(msgspec.json.encode(record)), "a NUL"


def check_name(name: str, normalized_name: str) -> None:
    """The normalized form is PEP 503's, of a name that is one and can be part of a key."""
    assert normalized_name == canonicalize_name(name, validate=True), "not normalized"
    assert normalized_name == canonicalize_name(normalized_name, validate=True), "not canonical"
    assert len(name) <= 255, "a long name"


def check_version(version: str) -> None:
    """It can be part of a key."""
    assert version.strip(), "an empty version"
    assert len(version) <= 512, "a long version"
    assert "\0" not in version


def check_count(count: int | None) -> None:
    """A serial, a size, a time: none or a whole number of int64."""
    assert count is None or (type(count) is int and 0 <= count <= MAX_INT64), "no int64"


def check_files(files: Iterable[File]) -> None:
    for file in files:
        check_count(file.size)
        check_count(file.upload_time)
        assert _SHA256.fullmatch(file.sha256), "no sha256"
        assert file.yanked in (None, True, False)


# --- PyPI's JSON


def read_project(body: bytes, _: Path) -> bool:
    project = tried(lambda: parse_project(body), ParseError)
    outline = tried(lambda: parse_outline(body), ParseError)
    if outline is not None:
        check_storable(outline)
    if project is None:
        return False
    assert outline == project.outline, "membership depends on what the outline leaves out"
    check_storable(project)
    check_name(project.name, project.normalized_name)
    check_version(project.version)
    check_count(project.serial)
    check_files(project.latest_files)
    for version, files in (project.files or {}).items():
        check_version(version)
        check_files(files)
    check_releases(project, Random(zlib.crc32(body)))
    return True


def check_releases(project: ProjectRecord, dice: Random) -> None:
    """The releases of a project of which the store knows some, some as a 404, and some that PyPI deleted."""
    listed = listed_versions(project)
    assert sorted(listed) == sorted({*(project.files or ()), project.version})
    stored: dict[str, Metadata | None] = {
        version: dice.choice((None, project.metadata)) for version in listed[:500] if dice.random() < 0.7
    }
    stored["0.0.1-deleted"] = project.metadata
    releases = combine(project, stored)
    versions = [release.version for release in releases]
    assert len(versions) == len(set(versions)), "a release twice"
    expected = {*stored, project.version} - (
        {"0.0.1-deleted"} - set(listed) if project.files is not None else set()
    )
    assert set(versions) == expected
    keys = [release.sortable for release in releases]
    assert keys == sorted(keys, reverse=True), "not the latest first"
    for release in releases:
        check_count(release.upload_time)
        assert _SORTABLE.fullmatch(release.sortable)
        python_versions(release.metadata.classifiers)
    assert set(latest_for(releases)) <= set(text_versions(releases)) <= set(versions)


def read_release(body: bytes, _: Path) -> bool:
    release = tried(lambda: parse_release(body), ParseError)
    if release is None:
        return False
    check_storable(release)
    check_name(release.name, release.normalized_name)
    check_version(release.version)
    check_count(release.serial)
    check_files(release.files)
    return True


def read_index(body: bytes, _: Path) -> bool:
    index = tried(lambda: parse_index(body), ParseError)
    if index is None:
        return False
    check_storable(index)
    check_count(index.last_serial)
    check_count(index.skipped)
    for entry in index.projects:
        check_name(entry.name, canonicalize_name(entry.name))
        check_count(entry.serial)
    return True


def read_page(body: bytes, _: Path) -> bool:
    page = tried(lambda: parse_simple_page(body), ParseError)
    if page is None:
        return False
    check_storable(page)
    check_name(page.name, canonicalize_name(page.name))
    check_count(page.serial)
    check_files(page.files)
    for version in page.versions or ():
        check_version(version)
    found = files_by_version(page)
    if page.versions:
        assert tuple(found) == tuple(dict.fromkeys(page.versions)), "not as listed"
    assert sum(map(len, found.values())) <= len(page.files)
    return True


# --- feeds


def read_feed(body: bytes, _: Path) -> bool:
    entries = tried(lambda: parse_feed(body), ParseError)
    if entries is None:
        return False
    for entry in entries:
        check_storable(entry)
        check_name(entry.normalized_name, entry.normalized_name)
        if entry.version is not None:
            check_version(entry.version)
        check_count(entry.published)
    return True


# --- GitHub


def check_line(line: str) -> None:
    """What a service says, as it is shown and stored."""
    assert line.isprintable(), "not printable"
    assert len(line) <= 300, "a novel"
    assert line == line.strip()


def check_repository(record: RepositoryRecord) -> None:
    check_storable(record)
    assert _REPOSITORY.fullmatch(f"{record.owner}/{record.name}"), "no part of a URL"
    assert record.parent is None or _REPOSITORY.fullmatch(record.parent), "no repository"
    for name in ("created_at", "pushed_at", "updated_at", "stars", "forks", "watchers", "open_issues"):
        check_count(getattr(record, name))
    for name in ("open_pull_requests", "open_issues_and_pulls", "latest_release_at"):
        check_count(getattr(record, name))
    assert record.license != "NOASSERTION"
    assert record.packages is None


def read_repository(body: bytes, _: Path) -> bool:
    check_line(parse_message(body))
    record = tried(lambda: parse_repository(body), ParseError)
    if record is not None:
        check_repository(record)
    return record is not None


def read_contributors(body: bytes, _: Path) -> bool:
    people = tried(lambda: parse_contributors(body), ParseError)
    for person in people or ():
        check_storable(person)
        check_count(person.contributions)
        assert person.login.strip()
    assert people is None or len(people) <= MOST_CONTRIBUTORS
    return people is not None


def read_batch(body: bytes, _: Path) -> bool:
    check_line(parse_message(body))
    batch = tried(lambda: parse_batch(body, 4), ParseError)
    if batch is None:
        return False
    check_storable(batch)
    assert sorted([*batch.records, *batch.missing]) == [0, 1, 2, 3], "forgotten, or twice"
    assert set(batch.missing.values()) <= {"not_found", "blocked", "error"}
    assert set(batch.files) <= set(batch.records)
    for texts in batch.files.values():
        assert set(texts) <= {"pyproject.toml", "setup.cfg", "setup.py"}
        assert all(texts.values())
    for record in batch.records.values():
        check_repository(record)
    for line in batch.errors:
        check_line(line)
    rate = batch.rate or RateLimit(0)
    for count in (rate.remaining, rate.limit, rate.reset, rate.cost):
        check_count(count)
    return True


def read_repository_names(body: bytes, _: Path) -> bool:
    """Lines: owners and names in turn. Whatever they are, they stay values."""
    lines = body.decode("utf-8", "replace").split("\n")
    pairs = list(zip(lines[::2], lines[1::2], strict=False))[:200]
    if not 1 <= len(pairs) <= MAX_ALIASES:
        return False
    asked = msgspec.json.decode(repository_query(pairs))
    usual = msgspec.json.decode(repository_query([("k", "k")] * len(pairs)))
    assert asked["query"] == usual["query"], "a name changed the query"
    variables = asked["variables"]
    places = range(len(pairs))
    assert [(variables[f"o{place}"], variables[f"n{place}"]) for place in places] == pairs
    return True


# --- downloads and provenance


def check_downloads(counts: DownloadCounts) -> None:
    check_storable(counts)
    figures = (counts.last_day, counts.last_week, counts.last_month, counts.total)
    for figure in figures:
        check_count(figure)
    assert any(figure is not None for figure in figures), "it tells nothing"
    assert counts.as_of % 86_400 == 0, "no day"
    check_count(counts.as_of)


def read_recent(body: bytes, _: Path) -> bool:
    counts = tried(lambda: parse_recent(body, 1_795_219_200), ParseError)
    if counts is not None:
        check_downloads(counts)
    return counts is not None


def read_bulk(body: bytes, _: Path) -> bool:
    found = tried(lambda: parse_bulk(body, 1_795_219_200), ParseError)
    for name, counts in (found or {}).items():
        check_name(name, name)
        check_downloads(counts)
    return found is not None


def read_package_names(body: bytes, _: Path) -> bool:
    """Lines: names to ask for. One that could change the query is refused."""
    names = body.decode("utf-8", "surrogateescape").split("\n")
    try:
        queries = [bulk_query(batch, date(2026, 11, 22)) for batch in batches(names)]
    except ValueError:
        return False
    asked: list[str] = []
    for query in queries:
        assert len(query.encode()) <= MAX_QUERY
        asked += query.partition(" IN (")[2].partition(")")[0].split(",")
        assert query.count("'") == 4 + 2 * query.count("','") + 2, "a quote"
    assert asked == [f"'{name}'" for name in names]
    assert len(names) <= NAMES_PER_QUERY * len(queries)
    return True


def read_typed_names(body: bytes, _: Path) -> bool:
    """Lines: names as a person types them."""
    lines = body.decode("utf-8", "surrogateescape").split("\n")
    names = tried(lambda: package_names(lines), UsageProblem)
    for name in names or ():
        assert name == canonicalize_name(name, validate=True), "not normalized"
    return bool(names)


def read_provenance(body: bytes, _: Path) -> bool:
    publishers = tried(lambda: parse_provenance(body), ParseError)
    for publisher in publishers or ():
        check_storable(publisher)
        assert publisher.kind
        parts = (publisher.repository or "a/b").split("/")
        assert len(parts) >= 2, "no repository"
        assert all(re.fullmatch(r"[\w.-]+", part, re.ASCII) for part in parts), "no repository"
    assert len(set(publishers or ())) == len(publishers or ())
    return publishers is not None


# --- names and versions


def read_file_names(body: bytes, _: Path) -> bool:
    """Lines: a project, its versions, file names; name and versions as long as a page may have them."""
    lines = body.decode("utf-8", "surrogateescape").split("\n")
    versions = [version[:512] for version in "".join(lines[1:2]).split(" ")[:300] if version]
    finder = ReleaseFinder(lines[0][:255], versions)
    found = [finder.version(filename) for filename in lines[2:300]]
    for version in found:
        assert version is None or version in versions or not versions, "a version that is not listed"
    return any(found)


def read_versions(body: bytes, _: Path) -> bool:
    """Lines: versions."""
    pairs: list[tuple[Version, str]] = []
    for raw in body.decode("utf-8", "surrogateescape").split("\n")[:100]:
        fields, yanked = version_fields(raw), version_fields(raw, yanked=True)
        assert fields.raw == raw
        for key in (fields.sortable, yanked.sortable):
            assert _SORTABLE.fullmatch(key), "a key that Typesense changes"
            assert len(key) <= MAX_SORTABLE, "a key that is cut"
        assert yanked.sortable < fields.sortable, "a yanked one is the latest"
        for number in (fields.major, fields.minor, fields.bugfix):
            check_count(number)
        if len(raw) < 100:  # longer ones may be cut, and are ordered by what is left
            try:
                pairs.append((Version(raw), fields.sortable))
            except InvalidVersion:
                continue
    tiers = [pair for pair in pairs if not pair[0].is_prerelease]
    by_key = [version for version, _ in sorted(tiers, key=lambda pair: pair[1])]
    assert by_key == sorted(by_key), "not in the order of PEP 440"
    return bool(pairs)


def read_retry_after(body: bytes, _: Path) -> bool:
    seconds = retry_after(body[:8000], _NOW)
    assert seconds is None or 0 <= seconds < 1e12
    return seconds is not None


# --- files of the user


def read_requirements(body: bytes, folder: Path) -> bool:
    (folder / "more.txt").write_bytes(b"Nested.Name\n")
    path = folder / "requirements.txt"
    path.write_bytes(body)
    names = tried(lambda: requirement_names(path), UsageProblem)
    for name in names or ():
        assert name == canonicalize_name(name, validate=True), "not normalized"
    assert names is None or len(set(names)) == len(names) > 0
    return names is not None


def read_profiles(body: bytes, folder: Path) -> bool:
    path = folder / "profiles.yaml"
    path.write_bytes(body)
    profiles = tried(lambda: load_profiles(path), ProfileError)
    for key, profile in (profiles or {}).items():
        assert profile.key == key
        assert profile.name.isprintable()
        profile.matches("collective-kelp", ["Framework :: Plone", "Framework :: Django :: 5.2"])
        profile.hinted("collective-kelp")
        check_storable(profile.definition())
    return profiles is not None


def read_env(body: bytes, folder: Path) -> bool:
    path = folder / "settings"
    path.write_bytes(body)
    values = tried(lambda: read_env_file(path), UsageProblem)
    if values is None:
        return False
    assert all(isinstance(text, str) for pair in values.items() for text in pair)
    tried(lambda: read_environment(values, folder), UsageProblem)
    return True


def read_packed(body: bytes, _: Path) -> bool:
    try:
        content = gunzip(body, MAX_UNPACKED)
    except (ValueError, EOFError):
        return False
    assert len(content) <= MAX_UNPACKED
    assert b"".join(gunzip_parts(body, MAX_UNPACKED)) == content
    return True


READERS: Final = (
    Reader(
        "project JSON",
        "project_json",
        (parse_project, parse_outline, combine, listed_versions),
        read_project,
        5,
    ),
    Reader("release JSON", "release_json", (parse_release,), read_release, 2),
    Reader("simple index", "simple_index", (parse_index, parts_of), read_index, 2),
    Reader("simple page", "simple_page", (parse_simple_page, files_by_version), read_page, 4),
    Reader("feed", "feed", (parse_feed,), read_feed, 4),
    Reader(
        "GitHub repository",
        "github_repository",
        (parse_repository, parse_message, identity, full_name, license_id),
        read_repository,
        3,
    ),
    Reader("GitHub contributors", "github_contributors", (parse_contributors,), read_contributors, 2),
    Reader("GitHub batch", "github_batch", (parse_batch,), read_batch, 3),
    Reader("repository names", "package_names", (repository_query,), read_repository_names),
    Reader("pypistats", "pypistats", (parse_recent,), read_recent, 2),
    Reader("ClickPy", "clickpy", (parse_bulk,), read_bulk),
    Reader("package names", "package_names", (batches, bulk_query), read_package_names),
    Reader("typed names", "package_names", (package_names,), read_typed_names),
    Reader("provenance", "provenance", (parse_provenance,), read_provenance, 3),
    Reader("file names", "filenames", (ReleaseFinder,), read_file_names),
    Reader("versions", "versions", (version_fields,), read_versions),
    Reader("Retry-After", "retry_after", (retry_after,), read_retry_after),
    Reader("requirements file", "requirements", (requirement_names,), read_requirements, 2),
    Reader("profiles file", "profiles", (load_profiles,), read_profiles, 2),
    Reader("packed body", "packed", (gunzip, gunzip_parts), read_packed),
    Reader(".env file", "env", (read_env_file, read_environment), read_env),
)
