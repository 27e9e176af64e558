"""The repositories of the replica's GitHub: computed like its projects; only what changed is kept."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from pyf_scrapy.replica.packaging_files import pyproject

if TYPE_CHECKING:
    from pyf_scrapy.replica.replica import Replica

SHARED_OWNER = "replica-monorepos"

_OF_PROJECTS, _STEP = 20_000_000, 7
_OF_SHARED = 600_000_000
_OF_EXTRA = 700_000_000
_OF_CREATED = 800_000_000
"""Where the ids of each kind of repository begin; those of projects tell the project's number."""

_EXTRA = re.compile(r"^load-([1-9]\d{0,7})/repo-\1$")
_SHARED = re.compile(rf"^{SHARED_OWNER}/packages-(0|[1-9]\d{{0,6}})$")
_MEMBER_FILE = re.compile(r"^packages/([^/]+)/pyproject\.toml$")


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One repository. Times are seconds since 1970 UTC."""

    id: int
    owner: str
    name: str
    created: int
    pushed: int
    updated: int
    description: str | None = None
    homepage: str | None = None
    language: str | None = "Python"
    stars: int = 0
    watchers: int = 0
    """People who are notified; GitHub's REST calls them subscribers, and the stars watchers."""
    forks: int = 0
    issues: int = 0
    """Open ones, without pull requests."""
    pulls: int = 0
    archived: int | None = None
    """When it was archived."""
    disabled: bool = False
    parent: str | None = None
    """Full name of what it is a fork of."""
    license: str | None = None
    """An SPDX id as GitHub writes it, `NOASSERTION`: a text that it does not know."""
    topics: tuple[str, ...] = ()
    branch: str = "main"
    contributors: int = 1
    """With an account; 0 in an empty repository."""
    anonymous: int = 0
    tag: str | None = None
    """Of the latest release, None: no releases."""
    released: int = 0
    files: dict[str, str] = {}
    too_large: bool = False
    """GitHub refuses to list its contributors."""
    state: Literal["", "deleted", "dmca", "tos"] = ""
    blocked: int = 0

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def node_id(self) -> str:
        """The id that GraphQL knows: `R_` and [0, id] in MessagePack, as GitHub makes it."""
        return "R_" + _packed(self.id)

    @property
    def empty(self) -> bool:
        """True before the first commit."""
        return self.contributors == 0


def _packed(number: int) -> str:
    return base64.urlsafe_b64encode(b"\x92\x00\xce" + number.to_bytes(4, "big")).decode().rstrip("=")


def id_of(node_id: str) -> int | None:
    """The number in a node id of a repository, None for anything else."""
    try:
        packed = base64.urlsafe_b64decode(node_id.removeprefix("R_") + "==")
    except (ValueError, binascii.Error):
        return None
    number = int.from_bytes(packed[3:7], "big")
    return number if node_id == "R_" + _packed(number) else None


class Repositories:
    """Finds repositories by name, also by one of before a renaming, and by id.

    Those that were deleted or blocked are given, too: see `state`.
    """

    def __init__(self, world: Replica) -> None:
        self._world = world
        self.extra = 0
        """So many repositories `load-N/repo-N` exist."""
        self._changed: dict[int, Repository] = {}
        self._places: dict[str, int] = {}
        """The id behind each name that an event gave or took."""
        self._created = 0

    def find(self, full_name: str) -> Repository | None:
        """The repository that has this name, in any case, or had it as the last one."""
        key = full_name.lower()
        if key in self._places:
            return self.by_id(self._places[key])
        original = self._original(key)
        return original and self._changed.get(original.id, original)

    def of_project(self, name: str) -> Repository | None:
        """The repository of a project, which its metadata name unless they name none."""
        project = self._world.project(name)
        return self.find(project.repository) if project else None

    def by_id(self, number: int) -> Repository | None:
        """The repository with GitHub's `databaseId`."""
        from pyf_scrapy.replica.repository_facts import invent_extra, invent_repository, invent_shared

        if number in self._changed:
            return self._changed[number]
        options = self._world.options
        if number >= _OF_CREATED:
            return None
        if number >= _OF_EXTRA:
            rank = number - _OF_EXTRA
            return invent_extra(options, number, rank) if 1 <= rank <= self.extra else None
        if number >= _OF_SHARED:
            rank = number - _OF_SHARED
            return invent_shared(options, number, rank) if rank < options.shared_repositories else None
        rank, rest = divmod(number - _OF_PROJECTS, _STEP)
        project = None if rest or rank < 0 else self._world.numbered(rank)
        if project is None or project.shared_repository:
            return None
        return invent_repository(options, number, project, self._world.some_name)

    def text(self, repository: Repository, path: str) -> str | None:
        """A file on the default branch."""
        if repository.empty:
            return None
        match = _MEMBER_FILE.match(path)
        if match and repository.owner == SHARED_OWNER:
            project = self._world.project(match[1])
            if project and project.name == match[1] and project.shared_repository == repository.full_name:
                return pyproject(project.name)
        return repository.files.get(path)

    def change(self, repository: Repository) -> None:
        """Puts a new truth in the place of the repository with its id; an old name goes on leading to it."""
        before = self.by_id(repository.id)
        self._changed[repository.id] = repository
        for name in {(before or repository).full_name, repository.full_name}:
            if name.lower() not in self._places or name == repository.full_name:
                self._places[name.lower()] = repository.id

    def next_id(self) -> int:
        """The id of a repository that an event creates."""
        self._created += 1
        return _OF_CREATED + self._created

    def _original(self, key: str) -> Repository | None:
        """What had the name from the start, as it was then."""
        if match := _EXTRA.match(key):
            return self.by_id(_OF_EXTRA + int(match[1]))
        if match := _SHARED.match(key):
            return self.by_id(_OF_SHARED + int(match[1]))
        from pyf_scrapy.replica.repository_facts import invent_repository

        for project in self._world.lives(key.partition("/")[2]):
            if project.shared_repository:
                continue
            number = _OF_PROJECTS + _STEP * project.number
            repository = invent_repository(self._world.options, number, project, self._world.some_name)
            if key in (project.repository.lower(), repository.full_name.lower()):
                return repository
        return None
