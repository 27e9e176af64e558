"""What may happen to a repository while a replica runs.

| event | needs | what changes |
|---|---|---|
| `create-repository` | | a new one, with the `facts` given |
| `change-repository` | `facts` | any value of Repository (repositories.py) but id, owner, name |
| `rename-repository` | `name` | `new-name` or `new-owner/new-name`; the old name leads to it, until taken |
| `archive-repository` | | |
| `delete-repository` | | |
| `block-repository` | | `reason`: `dmca` (451, the default) or `tos` (403) |
| `star` | | `stars` (else one more), the time of the last change |
| `push` | | time of the last commit; with `tag` a release |

`repository` is `owner/name`. These events have no serial, and PyPI does not know of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.events import Event
from pyf_scrapy.replica.repositories import Repositories, Repository

RepositoryKind = Literal[
    "create-repository",
    "change-repository",
    "rename-repository",
    "archive-repository",
    "delete-repository",
    "block-repository",
    "star",
    "push",
]

_FULL_NAME = re.compile(r"^[A-Za-z0-9-]{1,60}/[A-Za-z0-9._-]{1,100}$")
_FIXED = ("id", "owner", "name")


class RepositoryEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens to a repository. Which of the optional values count: see the module."""

    event: RepositoryKind
    repository: str
    name: str | None = None
    reason: Literal["dmca", "tos"] = "dmca"
    stars: int | None = None
    tag: str | None = None
    facts: dict[str, Any] = {}


def parse_happening(text: bytes) -> list[Event | RepositoryEvent]:
    """One event or a list of events, of projects and repositories, from JSON. Raises ReplicaError."""
    try:
        happening = msgspec.json.decode(text)
        if not isinstance(happening, list):
            return [_event(happening)]
        return [_event(one) for one in happening]
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"events: {error}") from error


def _event(value: Any) -> Event | RepositoryEvent:
    kind = value.get("event") if isinstance(value, dict) else None
    if kind in get_args(RepositoryKind):
        return msgspec.convert(value, RepositoryEvent)
    return msgspec.convert(value, Event)


def happen_to_repository(repositories: Repositories, event: RepositoryEvent, now: datetime) -> Repository:
    """Lets it happen; gives the repository as it is then. Raises ReplicaError: cannot happen."""
    seconds = int(now.timestamp())
    known = repositories.find(event.repository)
    if event.event == "create-repository":
        changed = _created(repositories, event, known, seconds)
    elif known is None or known.state == "deleted":
        raise ReplicaError(f"events: there is no repository {event.repository}")
    else:
        changed = _changed(event, known, seconds)
        taken = repositories.find(changed.full_name)
        if taken and taken.id != changed.id and _has_name(taken, changed.full_name):
            raise ReplicaError(f"events: there is a repository {changed.full_name} already")
    repositories.change(changed)
    return changed


def _has_name(repository: Repository, full_name: str) -> bool:
    return repository.state != "deleted" and repository.full_name.lower() == full_name.lower()


def _created(
    repositories: Repositories, event: RepositoryEvent, known: Repository | None, now: int
) -> Repository:
    if known and _has_name(known, event.repository):
        raise ReplicaError(f"events: there is a repository {event.repository} already")
    owner, name = _parts(event.repository)
    new = Repository(repositories.next_id(), owner, name, created=now, pushed=now, updated=now)
    return _with_facts(new, event.facts)


def _changed(event: RepositoryEvent, known: Repository, now: int) -> Repository:
    replace = msgspec.structs.replace
    match event.event:
        case "rename-repository":
            if not event.name:
                raise ReplicaError("events: rename-repository needs name")
            owner, name = _parts(event.name if "/" in event.name else f"{known.owner}/{event.name}")
            return replace(known, owner=owner, name=name, updated=now)
        case "archive-repository":
            return replace(known, archived=now, updated=now)
        case "delete-repository":
            return replace(known, state="deleted")
        case "block-repository":
            return replace(known, state=event.reason, blocked=now)
        case "star":
            return replace(known, stars=known.stars + 1 if event.stars is None else event.stars, updated=now)
        case "push":
            released = {} if event.tag is None else {"tag": event.tag, "released": now}
            return replace(known, pushed=now, updated=now, contributors=known.contributors or 1, **released)
        case _:
            return _with_facts(known, event.facts)


def _with_facts(repository: Repository, facts: dict[str, Any]) -> Repository:
    for key in _FIXED:
        if key in facts:
            raise ReplicaError(f"events: {key} is no fact that can be changed")
    try:
        return msgspec.convert({**msgspec.to_builtins(repository), **facts}, Repository)
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"events: facts: {error}") from error


def _parts(full_name: str) -> tuple[str, str]:
    if not _FULL_NAME.match(full_name):
        raise ReplicaError(f"events: {full_name!r} is not owner/name of a repository")
    owner, _, name = full_name.partition("/")
    return owner, name
