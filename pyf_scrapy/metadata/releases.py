"""The releases of a project: put together from stored facts, in order, with what they claim to run on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from pyf_scrapy.metadata.versions import sortable
from pyf_scrapy.parsers.project_json import File, Metadata, ProjectRecord

_KEPT = 256
_LONGEST_KEPT = 10_000  # characters
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")


class Release(Struct, frozen=True):
    """One release of a project.

    `partial`: PyPI lists it but has no JSON of its own for it, so its metadata holds what its files tell.
    `upload_time` is that of its first file in epoch seconds (UTC), None when no file has one.
    `sortable` is the key of `versions.sortable`: the greatest of a project is its latest release.
    """

    version: str
    metadata: Metadata
    files: tuple[File, ...]
    partial: bool
    yanked: bool
    yanked_reason: str | None
    upload_time: int | None
    sortable: str


def combine(project: ProjectRecord, stored: Mapping[str, Metadata | None]) -> tuple[Release, ...]:
    """Return the releases that are known, the latest first.

    `stored` maps versions as PyPI lists them to the metadata of their own JSON, None where PyPI answered 404
    (the release is then partial). The version that PyPI calls latest needs no entry: its metadata is that
    of the project. Listed versions without an entry are left out, and so are entries that PyPI no longer
    lists (when the project's JSON lists versions at all).
    """
    listed = listed_files(project)
    known = stored if project.files is None else [version for version in listed if version in stored]
    releases = [
        _release(project, version, listed.get(version, ()), stored.get(version))
        for version in {*known, project.version}
    ]
    return tuple(sorted(releases, key=lambda release: release.sortable, reverse=True))


def listed_versions(project: ProjectRecord) -> tuple[str, ...]:
    """Return all versions that PyPI lists, the latest first."""
    keys = {
        version: sortable(version, yanked=_yank(files, _own_metadata(project, version))[0])
        for version, files in listed_files(project).items()
    }
    return tuple(sorted(keys, key=keys.__getitem__, reverse=True))


def listed_files(project: ProjectRecord) -> dict[str, tuple[File, ...]]:
    """Return the files of all versions that PyPI lists, those of the latest one whatever the answer held."""
    files = dict(project.files or {})
    files[project.version] = files.get(project.version) or project.latest_files
    return files


def framework_versions(classifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the framework versions that classifiers name, by framework, the newest last.

    "Framework :: Django CMS :: 3.11" is "Django CMS 3.11"; of a longer path the last name counts
    ("Framework :: Jupyter :: JupyterLab :: 4" is "JupyterLab 4"). What does not end with numbers names none.
    """
    given = tuple(classifiers)
    return _framework_versions(given) if _is_short(given) else _find_framework_versions(given)


def python_versions(classifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the Python versions that classifiers name ("Python 3", "Python 3.11"), the newest last."""
    given = tuple(classifiers)
    return _python_versions(given) if _is_short(given) else _find_python_versions(given)


def latest_for(releases: Sequence[Release]) -> dict[str, tuple[str, ...]]:
    """Return the framework versions for which a release is the newest one that claims them, by version.

    A pre-release or a yanked release is it only where no other release claims that framework version.
    Releases that are the newest for nothing are absent; the order is the latest release first.
    """
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for release in sorted(releases, key=lambda release: release.sortable, reverse=True):
        claimed = framework_versions(release.metadata.classifiers)
        first = tuple(framework for framework in claimed if framework not in taken)
        if first:
            found[release.version] = first
            taken.update(first)
    return found


def text_versions(releases: Sequence[Release]) -> tuple[str, ...]:
    """Return the versions whose documents carry long text: the latest, then those of `latest_for`."""
    latest = max(releases, key=lambda release: release.sortable, default=None)
    if latest is None:
        return ()
    return tuple(dict.fromkeys((latest.version, *latest_for(releases))))


def _own_metadata(project: ProjectRecord, version: str) -> Metadata | None:
    return project.metadata if version == project.version else None


def _release(
    project: ProjectRecord, version: str, files: tuple[File, ...], stored: Metadata | None
) -> Release:
    metadata = stored or _own_metadata(project, version)
    yanked, reason = _yank(files, metadata)
    return Release(
        version=version,
        metadata=metadata or _partial_metadata(project, version, files, yanked),
        files=files,
        partial=metadata is None,
        yanked=yanked,
        yanked_reason=reason,
        upload_time=min((file.upload_time for file in files if file.upload_time is not None), default=None),
        sortable=sortable(version, yanked=yanked),
    )


def _yank(files: tuple[File, ...], metadata: Metadata | None) -> tuple[bool, str | None]:
    """Return whether a release is yanked, and why: its files tell, or its metadata where they do not."""
    own_reason = metadata.yanked_reason if metadata else None
    if any(file.yanked is not None for file in files):
        yanked = [file for file in files if file.yanked]
        reasons = (file.yanked_reason for file in yanked if file.yanked_reason)
        return bool(yanked), next(reasons, own_reason) if yanked else None
    if metadata is not None and metadata.yanked:
        return True, own_reason
    return False, None


def _partial_metadata(
    project: ProjectRecord, version: str, files: tuple[File, ...], yanked: bool
) -> Metadata:
    requirements = (file.requires_python for file in files if file.requires_python)
    return Metadata(
        name=project.name, version=version, requires_python=next(requirements, None), yanked=yanked
    )


def _find_framework_versions(classifiers: tuple[str, ...]) -> tuple[str, ...]:
    paths = map(_path, classifiers)
    return _ordered((path[-2], path[-1]) for path in paths if len(path) > 2 and path[0] == "Framework")


def _find_python_versions(classifiers: tuple[str, ...]) -> tuple[str, ...]:
    paths = map(_path, classifiers)
    return _ordered(
        ("Python", path[-1])
        for path in paths
        if len(path) == 3 and path[:2] == ["Programming Language", "Python"]
    )


# Asked several times about each release, and those of a package mostly have the same classifiers.
_framework_versions = lru_cache(_KEPT)(_find_framework_versions)
_python_versions = lru_cache(_KEPT)(_find_python_versions)


def _is_short(classifiers: tuple[str, ...]) -> bool:
    """Others are not kept, so that hostile ones cannot fill the memory."""
    return sum(map(len, classifiers)) <= _LONGEST_KEPT


def _path(classifier: str) -> list[str]:
    return [part.strip() for part in classifier.split("::")]


def _ordered(named: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Join names and versions, each once, by name and then as numbers; what is no version is dropped."""
    versions = {(name, version) for name, version in named if name and _NUMBERS.fullmatch(version)}
    ordered = sorted(versions, key=lambda pair: (pair[0].casefold(), pair[0], sortable(pair[1])))
    return tuple(f"{name} {version}" for name, version in ordered)
