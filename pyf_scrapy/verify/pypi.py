"""What PyPI says of a package now, and how that differs from what the store says. Nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pyf_scrapy.exceptions import FetchError
from pyf_scrapy.metadata.releases import combine, listed_versions
from pyf_scrapy.parsers.project_json import ProjectRecord
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version
from pyf_scrapy.search.documents import document_id
from pyf_scrapy.store import Standing, StoredPackage
from pyf_scrapy.store.records import ACTIVE
from pyf_scrapy.sync.removal import QUARANTINED
from pyf_scrapy.verify.differences import Difference, Kind

_NAMED = 5  # releases or classifiers named in one line


class Said(NamedTuple):
    """PyPI's two answers about a package; None = a real 404."""

    project: ProjectRecord | None
    page: SimplePage | None


def compare(stored: StoredPackage, said: Said, depth: int | None) -> list[Difference]:
    """The differences of a package; `depth` is how many of its newest releases are wanted (None: all).

    Raises FetchError when the answers contradict each other or are older than what is stored: caches.
    """
    name, (project, page) = stored.normalized_name, said
    if page is None:
        if project is None:
            return [Difference(name, None, Kind.GONE, "its JSON and its simple page are a 404")]
        raise FetchError("its simple page is a 404, its JSON is not")
    if page.status == QUARANTINED:
        return [Difference(name, None, Kind.QUARANTINED, page.status_reason or "no reason given")]
    if project is None and (page.files or page.versions):
        raise FetchError("its JSON is a 404, but its simple page has releases")
    newest = _newest_serial(project, page)
    if newest < stored.serial:
        raise FetchError(f"the answers are older than the store: serial {newest}, stored {stored.serial}")
    found = list(_status(stored.standing, page))
    if newest > stored.serial:
        found.append(
            Difference(name, None, Kind.BEHIND, f"PyPI is at serial {newest}, the store at {stored.serial}")
        )
    elif project is None:
        found.append(Difference(name, None, Kind.RELEASES, "PyPI has none of them"))
    elif project.serial != stored.serial:
        raise FetchError(f"its JSON is older than its simple page: serial {project.serial}, not {newest}")
    else:
        record = project
        if project.files is None:
            record = msgspec.structs.replace(project, files=files_by_version(page))
        found += [
            *_releases(stored, record, depth),
            *_yanked(stored, record),
            *_classifiers(stored, record),
            *_blind(stored, record),
        ]
    return found


def _newest_serial(project: ProjectRecord | None, page: SimplePage) -> int:
    serials = [said.serial for said in (project, page) if said is not None and said.serial is not None]
    if not serials:
        raise FetchError("the answers have no serial")
    return max(serials)


def _status(standing: Standing, page: SimplePage) -> Iterator[Difference]:
    """Compares marker and reason. A page without a marker says nothing; one that is not known counts as
    active, as nearly all are."""
    if page.status is None:
        return
    said, known = (page.status, page.status_reason), (standing.status or ACTIVE, standing.reason)
    if said != known:
        unknown = " (not asked yet: a refresh does)" if standing.status is None else ""
        detail = f"PyPI says {_marker(*said)}, the store {_marker(*known)}{unknown}"
        yield Difference(standing.normalized_name, None, Kind.STATUS, detail)


def _marker(status: str, reason: str | None) -> str:
    return f"{status} ({reason})" if reason else status


def _releases(stored: StoredPackage, record: ProjectRecord, depth: int | None) -> Iterator[Difference]:
    listed, known = listed_versions(record), listed_versions(stored.project)
    among_listed, among_known = frozenset(listed), frozenset(known)
    kept = {release.version for release in combine(stored.project, stored.releases)}
    differing = {
        "only PyPI has": [version for version in listed if version not in among_known],
        "only the store has": [version for version in known if version not in among_listed],
        "without metadata in the store": [
            version for version in listed[:depth] if version in among_known and version not in kept
        ],
    }
    detail = "; ".join(f"{what} {_some(versions)}" for what, versions in differing.items() if versions)
    if detail:
        yield Difference(stored.normalized_name, None, Kind.RELEASES, detail)


def _yanked(stored: StoredPackage, record: ProjectRecord) -> Iterator[Difference]:
    # Metadata of the releases from the store on both sides: what differs is what PyPI says of the files.
    now = {release.version: release for release in combine(record, stored.releases)}
    name = stored.normalized_name
    for release in combine(stored.project, stored.releases):
        other = now.get(release.version)
        if other is not None:
            said, known = (other.yanked, other.yanked_reason), (release.yanked, release.yanked_reason)
            if said != known:
                detail = f"PyPI says {_yank(*said)}, the store {_yank(*known)}"
                yield Difference(name, document_id(name, release.version), Kind.YANKED, detail)


def _yank(yanked: bool, reason: str | None) -> str:
    word = "yanked" if yanked else "not yanked"
    return f"{word} ({reason})" if reason else word


def _classifiers(stored: StoredPackage, record: ProjectRecord) -> Iterator[Difference]:
    said, known = set(record.metadata.classifiers), set(stored.classifiers)
    differing = {"only PyPI has": sorted(said - known), "only the store has": sorted(known - said)}
    detail = "; ".join(f"{what} {_some(values)}" for what, values in differing.items() if values)
    if detail:
        yield Difference(stored.normalized_name, None, Kind.CLASSIFIERS, detail)


def _blind(stored: StoredPackage, record: ProjectRecord) -> Iterator[Difference]:
    """What changes without a new serial."""
    name, known = stored.normalized_name, stored.project
    if record.organization != known.organization:
        detail = f"PyPI says {record.organization or 'none'}, the store {known.organization or 'none'}"
        yield Difference(name, None, Kind.ORGANIZATION, detail)
    if record.vulnerabilities != known.vulnerabilities:
        detail = f"PyPI knows {_advisories(record)}, the store {_advisories(known)}"
        yield Difference(name, None, Kind.VULNERABILITIES, detail)


def _advisories(record: ProjectRecord) -> str:
    known = (f"{one.id} (withdrawn)" if one.withdrawn else one.id for one in record.vulnerabilities or ())
    return _some(sorted(known)) or "none"


def _some(values: list[str]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(values[:_NAMED]) + more
