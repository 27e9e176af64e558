"""What a fetched package changes in the stored one: pure, no database."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from pyf_scrapy.metadata.releases import listed_versions
from pyf_scrapy.parsers.project_json import Metadata, ProjectRecord, Vulnerability
from pyf_scrapy.store.records import ACTIVE, EMPTY, GONE, VANISHED, PackageFacts, StoredVersion
from pyf_scrapy.sync.removal import is_recreated

_encoder = msgspec.msgpack.Encoder()
_project_decoder = msgspec.msgpack.Decoder(ProjectRecord)
_metadata_decoder = msgspec.msgpack.Decoder(Metadata)

_LONGEST_SUMMARY = 300  # characters of an advisory's in an event

ALL = -1  # the depth of a package of which every listed release is stored

T = TypeVar("T")


class Known(NamedTuple):
    """What is stored of a member before a save."""

    project: ProjectRecord
    packed: bytes
    serial: int
    classifiers: tuple[str, ...]
    listed: Sequence[str]
    releases: Mapping[str, StoredVersion]
    checked_at: int
    status: str


class Happened(NamedTuple):
    """An event to be noted."""

    kind: str
    version: str | None = None
    detail: dict[str, Any] | None = None


class NewRelease(NamedTuple):
    """A release to be written. `metadata` None = partial."""

    version: str
    metadata: bytes | None
    serial: int
    fetched_at: int


@dataclass
class Change:
    """What has to be written, and whether any of it matters to a document (`changed`).

    `gone` are to be deleted before `releases` are written. `recreated`: the name is another project's now.
    """

    project: bytes
    listed: tuple[str, ...]
    depth: int
    changed: bool
    recreated: bool = False
    releases: list[NewRelease] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)


def pack(record: msgspec.Struct | tuple[msgspec.Struct, ...]) -> bytes:
    """Compress a record, or several; the same give the same bytes."""
    return zlib.compress(_encoder.encode(record))


def unpack_project(packed: bytes) -> ProjectRecord:
    """The record of `pack`."""
    return _project_decoder.decode(zlib.decompress(packed))


def unpack_metadata(packed: bytes) -> Metadata:
    """The record of `pack`."""
    return _metadata_decoder.decode(zlib.decompress(packed))


def change(facts: PackageFacts, known: Known | None, same: Mapping[str, bytes | None]) -> Change:
    """Compare what was fetched with what is known (None: the package is new).

    `same`: the stored metadata of those releases that were fetched again.
    """
    project = _with_files(facts.project, known.project if known else None)
    packed = pack(project)
    listed = listed_versions(project)
    recreated = (
        known is not None
        and known.packed != packed
        and is_recreated(known.project, project, gap=known.status in GONE)
    )
    kept = None if recreated else known  # even a release of the same version is another one then
    stored = kept.releases if kept else {}
    among = frozenset(listed)
    gone = [version for version in (known.releases if known else ()) if recreated or version not in among]
    new = _new_releases(facts, project, kept, among, same if kept else {})
    learnt = any(version not in stored or release.metadata for version, release in new.items())
    changed = known is None or bool(
        known.status != ACTIVE
        or gone
        or learnt
        or known.packed != packed
        or known.serial != facts.serial
        or known.classifiers != project.metadata.classifiers
    )
    return Change(
        project=packed,
        listed=listed,
        depth=stored_depth(listed, stored.keys() | new.keys() | {project.version}),
        changed=changed,
        recreated=recreated,
        releases=list(new.values()),
        gone=gone,
        events=list(_events(project, known, listed, recreated=recreated)) if changed else [],
    )


def moved(before: str, now: str) -> Iterator[Happened]:
    """The events of a package whose status changes."""
    if now == before:
        return
    if now == VANISHED:
        yield Happened("vanished")
        return
    if before in GONE:
        yield Happened("returned")
    if now == EMPTY:
        yield Happened("emptied")
    elif before == EMPTY:
        yield Happened("filled")


def reclassified(old: Collection[str], new: Collection[str]) -> Happened | None:
    """The event of a project whose latest release has other classifiers."""
    added, removed = set(new) - set(old), set(old) - set(new)
    if not (added or removed):
        return None
    return Happened("reclassified", detail={"added": sorted(added), "removed": sorted(removed)})


def deep_enough(depth: int, releases: int | None) -> bool:
    """Whether the newest `releases` (None = all) releases are stored."""
    return depth == ALL or (releases is not None and depth >= releases)


def _with_files(project: ProjectRecord, old: ProjectRecord | None) -> ProjectRecord:
    """An answer that does not say which releases there are takes none away."""
    if project.files is not None or old is None or old.files is None:
        return project
    return msgspec.structs.replace(project, files={**old.files, project.version: project.latest_files})


def _new_releases(
    facts: PackageFacts,
    project: ProjectRecord,
    known: Known | None,
    listed: Collection[str],
    same: Mapping[str, bytes | None],
) -> dict[str, NewRelease]:
    new: dict[str, NewRelease] = {}
    for version, metadata in facts.releases.items():
        if version not in listed or (version == project.version and metadata == project.metadata):
            continue  # the metadata of the latest release stands in the project
        packed = pack(metadata) if metadata is not None else None
        if packed is None and same.get(version) is not None:
            continue  # a release does not change: what its JSON once said still holds
        if packed is None or same.get(version) != packed:
            new[version] = NewRelease(version, packed, facts.serial, facts.at)
    # What was the latest release keeps its metadata when another one takes its place.
    if known and known.project.version in listed and known.project.version != project.version:
        version = known.project.version
        kept = known.releases.get(version)
        if (kept is None or kept.partial) and facts.releases.get(version) is None:
            packed = pack(known.project.metadata)
            new[version] = NewRelease(version, packed, known.serial, known.checked_at)
    return new


def stored_depth(listed: Sequence[str], have: Collection[str]) -> int:
    """How many of the newest releases `have` covers without a gap; ALL if all."""
    for depth, version in enumerate(listed):
        if version not in have:
            return depth
    return ALL


def _events(
    project: ProjectRecord, known: Known | None, listed: Sequence[str], *, recreated: bool
) -> Iterator[Happened]:
    if known is None:
        yield Happened("created", project.version)
        yield from _advisories(None, project)
        return
    if recreated:
        yield Happened("recreated")
    else:
        yield from moved(known.status, ACTIVE)
        yield from _owners(known.project, project)
    before, now = set(known.listed), set(listed)
    yield from (Happened("released", version) for version in reversed(listed) if version not in before)
    yield from (Happened("removed", version) for version in known.listed if version not in now)
    old, new = _yanked(known.project), _yanked(project)
    yield from (Happened("yanked", v, {"reason": new[v]}) for v in new if v in before and v not in old)
    yield from (Happened("unyanked", v) for v in old if v in now and v not in new)
    yield from _advisories(None if recreated else known.project, project)
    event = reclassified(known.classifiers, project.metadata.classifiers)
    if event is not None:
        yield event


def _owners(old: ProjectRecord, new: ProjectRecord) -> Iterator[Happened]:
    """The event of other people or another organization; an answer that does not name them says nothing."""
    if old.roles is None or new.roles is None:
        return
    before, now = ({(role.role, role.user) for role in record.roles or ()} for record in (old, new))
    if before == now and old.organization == new.organization:
        return
    yield Happened(
        "owners_changed",
        detail={
            "added": [list(role) for role in sorted(now - before)],
            "removed": [list(role) for role in sorted(before - now)],
            "organization": {"from": old.organization, "to": new.organization},
        },
    )


def _advisories(old: ProjectRecord | None, new: ProjectRecord) -> Iterator[Happened]:
    """The events of advisories on the latest release that were not there before, or are not any more: it was
    withdrawn, or another release is the latest."""
    if new.vulnerabilities is None:
        return
    before, now = _standing_advisories(old), _standing_advisories(new)
    for number in sorted(now.keys() - before.keys()):
        advisory = now[number]
        summary = (advisory.summary or "")[:_LONGEST_SUMMARY] or None
        detail = {"id": number, "summary": summary, "fixed_in": list(advisory.fixed_in)}
        yield Happened("advisory", new.version, detail)
    for number in sorted(before.keys() - now.keys()):
        yield Happened("advisory_ended", new.version, {"id": number})


def _standing_advisories(project: ProjectRecord | None) -> dict[str, Vulnerability]:
    if project is None:
        return {}
    return {found.id: found for found in project.vulnerabilities or () if not found.withdrawn}


def _yanked(project: ProjectRecord) -> dict[str, str | None]:
    """Yanked versions and why."""
    return {
        version: next((file.yanked_reason for file in files if file.yanked_reason), None)
        for version, files in (project.files or {}).items()
        if any(file.yanked for file in files)
    }
