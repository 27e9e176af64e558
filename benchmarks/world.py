"""What the server of a benchmark has: names with serials, shared documents, members of the replica."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from packaging.utils import canonicalize_name

from benchmarks.bodies import Packed, Template, packed, templates
from pyf_scrapy.replica.documents import project_json, release_json
from pyf_scrapy.replica.frameworks import FAMILIES
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.simple import Compressed, Row, index_json, page_json
from pyf_scrapy.replica.truth import Project, Release

MONTH = 30 * 86_400_000_000  # microseconds


@dataclass(frozen=True)
class WorldOptions:
    """`members` are packages of a family (`{"plone": 200}`), each with exactly `releases`; the other
    `projects` have no framework and share `templates` documents. `dotted`: members have dots in their names.
    `missing`: so many of the others are listed, but a 404.
    """

    projects: int
    members: dict[str, int] = field(default_factory=dict)
    releases: int = 5
    dotted: bool = False
    templates: int = 1000
    missing: int = 0
    seed: int = 7


class World:
    """All answers, ready to be sent. Changes only by `change`."""

    def __init__(self, options: WorldOptions) -> None:
        self.options = options
        self._replica = Replica(
            Options(
                projects=options.projects,
                seed=options.seed,
                members=options.members,
                only_members=True,
                decoys=0,
                empty=0,
                missing=0,
            )
        )
        self._rows: list[Row] = []
        self.serials: dict[str, int] = {}
        self.members: dict[str, Project] = {}
        self.rendered: dict[str, tuple[Packed, int]] = {}
        """Path -> answer and serial, for what only one project has."""
        self._of_original: dict[str, Project] = {}
        for family in options.members:
            for name in self._replica.members(FAMILIES[family].classifier):
                self._add_member(name)
        for row in self._replica.rows():
            name = str(canonicalize_name(row.name))
            if member := self._of_original.get(name):
                row = Row(member.name, row.serial)
                name = member.normalized_name
            else:
                row = Row(name, row.serial)  # no redirects for the baseline: its CPU is to be at its best
            self.serials[name] = row.serial
            self._rows.append(row)
        if options.dotted:
            self._rows.sort(key=lambda row: str(canonicalize_name(row.name)))
        others = [name for name in self.serials if name not in self.members]
        shared = min(options.templates, len(others))
        self._templates: list[Template] = templates(shared, options.seed) if shared else []
        self._missing = frozenset(others[: options.missing])
        self.last_serial = self._replica.serial
        self.index: Compressed = index_json(iter(self._rows), self.last_serial)

    def project(self, name: str) -> tuple[Packed, int] | None:
        """The JSON of a project that has no document of its own, by its normalized name, and its serial."""
        serial = self.serials.get(name)
        if serial is None or name in self._missing:
            return None
        template = self._templates[zlib.crc32(name.encode()) % len(self._templates)]
        return template.packed(name, serial), serial

    def retag(self) -> None:
        """Give the index another ETag, so that it is read again, and says the same."""
        self.index = self.index._replace(etag=f'{self.index.etag[:-1]}+"')

    def change(self, count: int) -> None:
        """Give so many projects without a framework, spread over the index, a new serial."""
        candidates = [
            place for place, row in enumerate(self._rows) if canonicalize_name(row.name) not in self.members
        ]
        step = len(candidates) / count if count else 1
        for number in range(count):
            place = candidates[int(number * step)]
            self.last_serial += 1
            row = Row(self._rows[place].name, self.last_serial)
            self._rows[place] = row
            self.serials[str(canonicalize_name(row.name))] = row.serial
        self.index = index_json(iter(self._rows), self.last_serial)

    def _add_member(self, original: str) -> None:
        if original in self._of_original:
            return
        project = self._replica.project(original)
        assert project is not None, "the replica listed it"
        name = f"collective.{project.words[1]}" if self.options.dotted else project.name
        project = msgspec.structs.replace(
            project,
            name=name,
            normalized_name=str(canonicalize_name(name)),
            releases=_releases(project, self.options.releases),
            status="active",
        )
        self._of_original[original] = project
        self.members[project.normalized_name] = project
        for path, plain in self._render(project):
            self.rendered[path] = packed(plain), project.serial

    def _render(self, project: Project) -> Iterator[tuple[str, bytes]]:
        seed, some_name = self.options.seed, self._replica.some_name
        name, latest = project.normalized_name, project.latest
        assert latest is not None, "members have releases"
        yield f"/pypi/{name}/json", project_json(seed, project, latest, some_name)
        yield f"/simple/{name}/", page_json(seed, project)
        for release in project.releases:
            yield f"/pypi/{name}/{release.version}/json", release_json(seed, project, release, some_name)


def _releases(project: Project, count: int) -> tuple[Release, ...]:
    """Exactly so many releases, the latest among them; those that lack are made of it, a month older each."""
    latest = project.latest
    assert latest is not None, "members have releases"
    others = [release for release in project.releases if release is not latest]
    kept = others[len(others) - count + 1 :] if len(others) >= count else others
    oldest = min(release.uploaded for release in (*kept, latest))
    made = [
        msgspec.structs.replace(latest, version=f"0.0.0.{age}", uploaded=oldest - age * MONTH)
        for age in range(count - 1 - len(kept), 0, -1)
    ]
    return (*made, *kept, latest)
