"""PyPI and its CDN as a pure model: a virtual clock, no network, faults on demand.

The facts are those of the reference on PyPI's interfaces, sections 1 to 3: a journal of serials, what bumps
one and what does not; an index that is never purged; pages that are purged softly, or not at all when a purge
is lost. The bodies are the records that the parsers make of PyPI's answers. Where the facts leave a choice,
the model takes the worse one: the first asker after a purge always gets the old body.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from pyf_scrapy.parsers.records import File, Metadata, ProjectRecord, Role, Vulnerability
from pyf_scrapy.parsers.rss import FeedEntry
from pyf_scrapy.parsers.simple_index import SimplePage

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
STALE_WHILE_REVALIDATE = 300.0
STALE_IF_ERROR = DAY
NOT_FOUND_TTL = 60.0
TTL = {"index": 30 * MINUTE, "json": DAY, "release": DAY, "page": DAY, "updates": DAY, "packages": DAY}
WINDOWS = {"updates": 100, "packages": 40}
QUARANTINED = "quarantined"

#: What is asked for: ("index",), ("json", name), ("release", name, version), ("page", name), ("updates",) ...
Key = tuple[str, ...]


class IndexBody(NamedTuple):
    """The simple index: its last serial, and (name, serial) sorted by name."""

    serial: int
    projects: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ModelRelease:
    """`made` is a number that only this release has, `life` that of its project; its profiles stand for the
    classifiers."""

    version: str
    made: int
    life: int
    profiles: tuple[str, ...]
    files: tuple[File, ...]
    yanked: bool = False

    def metadata(self, name: str) -> Metadata:
        return Metadata(
            name=name,
            version=self.version,
            summary=str(self.made),
            author=str(self.life),
            classifiers=self.profiles,
        )


@dataclass
class ModelProject:
    """A project as PyPI has it now. `life` counts the projects that had the name."""

    name: str
    life: int
    owner: str
    serial: int = 0
    releases: dict[str, ModelRelease] = field(default_factory=dict)
    marker: str = "active"
    advisories: int = 0

    @property
    def is_shown(self) -> bool:
        return self.marker != QUARANTINED

    @property
    def latest(self) -> ModelRelease:
        return max(self.releases.values(), key=lambda release: (not release.yanked, int(release.version)))

    def files(self) -> dict[str, tuple[File, ...]]:
        return {version: release.files for version, release in self.releases.items()}

    def record(self) -> ProjectRecord:
        latest = self.latest
        return ProjectRecord(
            name=self.name,
            normalized_name=self.name,
            version=latest.version,
            serial=self.serial,
            metadata=latest.metadata(self.name),
            files=self.files(),
            vulnerabilities=self.vulnerabilities(),
            roles=(Role("Owner", self.owner),),
        )

    def release_record(self, version: str) -> ProjectRecord:
        """The JSON of one release: as that of a project, but it does not list releases."""
        release = self.releases[version]
        return ProjectRecord(
            name=self.name,
            normalized_name=self.name,
            version=version,
            serial=self.serial,
            metadata=release.metadata(self.name),
            latest_files=release.files,
            vulnerabilities=self.vulnerabilities(),
            roles=(Role("Owner", self.owner),),
        )

    def page(self) -> SimplePage:
        shown = self.releases if self.is_shown else {}
        files = tuple(file for release in shown.values() for file in release.files)
        return SimplePage(self.name, self.serial, tuple(shown), files, self.marker)

    def vulnerabilities(self) -> tuple[Vulnerability, ...]:
        return tuple(Vulnerability(f"PYSEC-{number}") for number in range(self.advisories))


class ModelPyPI:
    """The journal and the projects; `purge` is called with each change that a cache is told about."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.serial = 0
        self.projects: dict[str, ModelProject] = {}
        self.lives: dict[str, int] = {}
        #: name -> serial of the last removal or quarantine
        self.gone: dict[str, int] = {}
        self.entries: dict[str, list[FeedEntry]] = {"updates": [], "packages": []}
        self.purge: Callable[[str], None] = lambda name: None
        self._made = 0

    # -- what happens ------------------------------------------------------------------------------

    def create(self, name: str, owner: str = "ann") -> None:
        self.lives[name] = self.lives.get(name, 0) + 1
        self.projects[name] = ModelProject(name, self.lives[name], owner)
        self._journal(name)
        self._announce("packages", name, None)

    def release(self, name: str, version: str, profiles: tuple[str, ...], owner: str = "ann") -> None:
        """A new release, in a new project if there is none."""
        if name not in self.projects:
            self.create(name, owner)
        project = self.projects[name]
        if version not in project.releases and project.is_shown:
            self._made += 1
            filename = f"{name}-{version}-{self._made}.tar.gz"
            file = File(filename, sha256=str(self._made), upload_time=int(self.now))
            project.releases[version] = ModelRelease(version, self._made, project.life, profiles, (file,))
            self._journal(name)
            self._announce("updates", name, version)

    def yank(self, name: str, version: str) -> None:
        """Yank a release, or take it back."""
        project = self._open(name)
        if project and (release := project.releases.get(version)):
            files = tuple(_yanked(file, not release.yanked) for file in release.files)
            project.releases[version] = replace(release, files=files, yanked=not release.yanked)
            self._journal(name)

    def delete_release(self, name: str, version: str) -> None:
        project = self._open(name)
        if project and project.releases.pop(version, None):
            self._forget(name, version)
            self._journal(name)

    def delete_project(self, name: str) -> None:
        if self.projects.get(name):
            self._journal(name)
            del self.projects[name]
            self.gone[name] = self.serial
            self._forget(name)

    def transfer(self, name: str) -> None:
        """Hand a project over to its other owner."""
        if project := self._open(name):
            project.owner = "bob" if project.owner == "ann" else "ann"
            self._journal(name)

    def quarantine(self, name: str) -> None:
        if self._open(name):
            self.projects[name].marker = QUARANTINED
            self._journal(name)
            self.gone[name] = self.serial

    def clear_quarantine(self, name: str) -> None:
        project = self.projects.get(name)
        if project and not project.is_shown:
            project.marker = "active"
            self._journal(name)

    def archive(self, name: str) -> None:
        """Archive, or take it back: no serial moves."""
        if project := self._open(name):
            project.marker = "active" if project.marker == "archived" else "archived"
            self._tell(name)

    def advise(self, name: str) -> None:
        """Publish an advisory: no serial moves."""
        if project := self._open(name):
            project.advisories += 1
            self._tell(name)

    # -- what the origin answers -------------------------------------------------------------------

    def render(self, key: Key) -> Any:
        """The body of an answer as of now, None for a 404."""
        kind, *rest = key
        if kind == "index":
            return self.index()
        if kind in self.entries:
            return tuple(self.entries[kind][-WINDOWS[kind] :])
        project = self.projects.get(rest[0])
        if project is None:
            return None
        if kind == "page":
            return project.page()
        if not project.is_shown or not project.releases:
            return None
        if kind == "json":
            return project.record()
        return project.release_record(rest[1]) if rest[1] in project.releases else None

    def index(self) -> IndexBody:
        shown = ((project.name, project.serial) for project in self.projects.values() if project.is_shown)
        return IndexBody(self.serial, tuple(sorted(shown)))

    # -- inside -------------------------------------------------------------------------------------

    def _open(self, name: str) -> ModelProject | None:
        project = self.projects.get(name)
        return project if project and project.is_shown else None

    def _journal(self, name: str) -> None:
        self.serial += 1
        self.projects[name].serial = self.serial
        self._tell(name)

    def _tell(self, name: str) -> None:
        self.now += 1
        self.purge(name)

    def _announce(self, feed: str, name: str, version: str | None) -> None:
        self.entries[feed].append(FeedEntry(name, version, int(self.now)))

    def _forget(self, name: str, version: str | None = None) -> None:
        for feed, entries in self.entries.items():
            self.entries[feed] = [
                entry
                for entry in entries
                if entry.normalized_name != name or (version and entry.version != version)
            ]


def _yanked(file: File, yanked: bool) -> File:
    return File(file.filename, sha256=file.sha256, upload_time=file.upload_time, yanked=yanked)


Event = Callable[[], None]


class Answer(NamedTuple):
    """`status` 503 stands for every way not to answer. The ETag of a body is the body itself."""

    status: int
    body: Any = None


@dataclass
class Cached:
    """What a node keeps; `expires` is brought forward by a purge."""

    body: Any
    expires: float
    swr: float

    @property
    def is_found(self) -> bool:
        return self.body is not None


@dataclass
class Lost:
    """Purges that get lost: on these nodes, for these kinds of objects."""

    nodes: Collection[int] = ()
    kinds: Collection[str] = ()


class ModelCDN:
    """Nodes in front of a ModelPyPI. Faults are attributes, in force until they are set back.

    `is_down`: nothing answers; `origin_down`: what is cached is served, even if it is old; `stuck`: nodes
    that neither hear of purges nor expire anything; `lost`: purges that do not arrive; `cut`: names that the
    index lacks.
    """

    def __init__(self, pypi: ModelPyPI, nodes: int = 2) -> None:
        self.pypi = pypi
        self.nodes: list[dict[Key, Cached]] = [{} for _ in range(nodes)]
        self.is_down = self.origin_down = False
        self.stuck: set[int] = set()
        self.lost = Lost()
        self.cut: Collection[str] = ()
        #: when the last object has expired that missed a purge
        self.healed_at = 0.0
        pypi.purge = self.purge

    def purge(self, name: str) -> None:
        """PyPI's answer to a change: soft purges of the project's objects, and of the feeds."""
        for number, node in enumerate(self.nodes):
            for key, cached in node.items():
                concerned = key[0] in WINDOWS or (len(key) > 1 and key[1] == name)
                if not concerned or not cached.is_found:
                    continue  # a 404 has no key to be purged by
                if number in self.stuck or (number in self.lost.nodes and key[0] in self.lost.kinds):
                    self.healed_at = max(self.healed_at, cached.expires)
                else:
                    cached.expires = min(cached.expires, self.pypi.now)

    def get(self, key: Key, node: int = 0, etag: Any = None) -> Answer:
        """The answer of a node; `etag` asks for a 304."""
        now, objects = self.pypi.now, self.nodes[node]
        if self.is_down:
            return Answer(503)
        cached = objects.get(key)
        if cached is None:
            return self._answer(self._fetch(key, objects), etag)
        if node in self.stuck:
            self.healed_at = max(self.healed_at, now + STALE_WHILE_REVALIDATE)
            return self._answer(cached, etag)
        if now < cached.expires:
            return self._answer(cached, etag)
        if now < cached.expires + cached.swr:
            self._fetch(key, objects)  # beside the answer
            return self._answer(cached, etag)
        fresh = self._fetch(key, objects)
        if fresh is None and cached.is_found and now < cached.expires + STALE_IF_ERROR:
            fresh = cached
        return self._answer(fresh, etag)

    def _fetch(self, key: Key, objects: dict[Key, Cached]) -> Cached | None:
        if self.origin_down:
            return None
        body = self.pypi.render(key)
        if key[0] == "index" and self.cut:
            body = IndexBody(body.serial, tuple(pair for pair in body.projects if pair[0] not in self.cut))
        if body is None:
            objects[key] = Cached(None, self.pypi.now + NOT_FOUND_TTL, 0.0)
        else:
            objects[key] = Cached(body, self.pypi.now + TTL[key[0]], STALE_WHILE_REVALIDATE)
        return objects[key]

    def _answer(self, cached: Cached | None, etag: Any) -> Answer:
        if cached is None:
            return Answer(503)
        if not cached.is_found:
            return Answer(404)
        if etag is not None and etag == cached.body:
            return Answer(304, cached.body)
        return Answer(200, cached.body)


def events(pypi: ModelPyPI, name: str, version: str, profiles: tuple[str, ...]) -> dict[str, Event]:
    """What may happen to a name, by the name of the event; what is not possible just now does nothing.

    The events that need something to be there take another one when the one that was named is not.
    """
    project = pypi.projects.get(name)
    hidden = [other for other, project in pypi.projects.items() if not project.is_shown]
    present = version if project is None or version in project.releases else next(iter(project.releases), "")
    return {
        "release": partial(pypi.release, name, version, profiles),
        "release by bob": partial(pypi.release, name, version, profiles, "bob"),
        "yank": partial(pypi.yank, name, present),
        "delete release": partial(pypi.delete_release, name, present),
        "delete project": partial(pypi.delete_project, name),
        "transfer": partial(pypi.transfer, name),
        "quarantine": partial(pypi.quarantine, name),
        "clear quarantine": partial(pypi.clear_quarantine, hidden[0] if hidden else name),
        "archive": partial(pypi.archive, name),
        "advise": partial(pypi.advise, name),
    }
