"""What an index must hold, derived from a replica's own truth: no crawl, no store, no cache between."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyf_scrapy.items import PackageItem, health_of
from pyf_scrapy.metadata.descriptions import Description, render
from pyf_scrapy.metadata.releases import combine, text_versions
from pyf_scrapy.metadata.versions import version_fields
from pyf_scrapy.parsers.project_json import parse_project, parse_release
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replica.documents import project_json, release_json
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.search.documents import CALCULATED, documents
from pyf_scrapy.store import Standing

Documents = dict[str, dict[str, Any]]

_rendered: dict[tuple[str, str | None], Description] = {}


def expected(replica: Replica, profile: Profile, now: date) -> Documents:
    """The documents of a profile by id, as they are after PyPI was read in whole, pages included.

    Of releases without JSON of their own nothing is known from earlier, when they were the latest.
    """
    found: Documents = {}
    for classifier in profile.classifiers:
        for name in replica.members(classifier):
            project = replica.project(name)
            assert project is not None, "a member exists"
            if profile.matches(name, project.classifiers):
                for document in documents(_item(replica, project, now), profile, now):
                    document.pop(CALCULATED, None)
                    found[document["id"]] = document
    return found


def comparable(found: Documents) -> Documents:
    """Documents without what depends on when a name's change of owner was noticed."""
    return {
        id_: {name: value for name, value in document.items() if name != "recreated_timestamp"}
        for id_, document in found.items()
    }


def differences(held: Documents, truth: Documents) -> list[str]:
    """What differs between an index and the truth: a line for each document or field."""
    found = [f"{id_}: missing" for id_ in truth.keys() - held.keys()]
    found += [f"{id_}: too many" for id_ in held.keys() - truth.keys()]
    for id_ in held.keys() & truth.keys():
        for name in sorted(held[id_].keys() | truth[id_].keys()):
            is_, should = held[id_].get(name), truth[id_].get(name)
            if is_ != should:
                found.append(f"{id_} {name}: {str(is_)[:80]!r}, not {str(should)[:80]!r}")
    return sorted(found)


def _item(replica: Replica, project: Project, now: date) -> PackageItem:
    seed, some_name = replica.options.seed, replica.some_name
    assert project.latest is not None, "a member has releases"
    record = parse_project(project_json(seed, project, project.latest, some_name))
    own = {
        release.version: parse_release(release_json(seed, project, release, some_name)).metadata
        if release.own_json
        else None
        for release in project.releases
    }
    releases = combine(record, own)
    item = PackageItem(
        name=record.name,
        normalized_name=record.normalized_name,
        serial=project.serial,
        classifiers=record.metadata.classifiers,
        project=record,
        releases=releases,
        standing=Standing(record.normalized_name, status=project.status, reason=project.status_reason),
    )
    item.versions = {r.version: version_fields(r.version, yanked=r.yanked) for r in releases}
    for release in releases:
        source = release.metadata.description
        if source and release.version in text_versions(releases):
            key = source, release.metadata.description_content_type
            if key not in _rendered:
                _rendered[key] = render(*key)
            item.descriptions[release.version] = _rendered[key]
    item.health = health_of(item, now)
    return item
