"""Cursors: how far somebody has read a store's facts and events. Pure.

A copy is made in two stages. The *snapshot* is the projects in the order of their names, a page at a time;
each page is what the store holds when it is read, so the whole is of no single moment. But the cursor keeps
the number of the last change from before the first page, and the second stage is the *changes* since then:
each project that changed meanwhile is sent as it is now. A project's last line was therefore read after its
last change, whenever that was; when there are no changes left, the copy equals the store.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from pyf_scrapy.exceptions import RequestProblem
from pyf_scrapy.profiles import Profile
from pyf_scrapy.store import Event

#: Follows every normalized name, and precedes none.
LAST = "~"
#: Instead of a fingerprint: no event was read yet; the scope is everything.
NONE = "-"

_CURSOR = re.compile(
    r"1\.(?P<store>[0-9a-f]{1,32})\.(?P<scope>-|[0-9a-f]{16})\.(?P<stage>[sc])\.(?P<change>[0-9]{1,18})"
    r"\.(?P<event>[0-9]{1,18})\.(?P<seen>-|[0-9a-f]{16})\.(?P<name>~|[a-z0-9-]{0,255})"
)
LONGEST = 400  # characters


class Stage(StrEnum):
    """What a copy reads first, and what it reads then."""

    SNAPSHOT = "s"
    CHANGES = "c"


class Cursor(NamedTuple):
    """A place in a store's facts (`change`, `name`) and events (`event`, of which `seen` is the fingerprint).

    In the snapshot `name` is the last one read, and `change` the number of the last change before it began.
    Among the changes the two are the place of the last project that was read.
    """

    store: str
    scope: str
    stage: Stage = Stage.SNAPSHOT
    change: int = 0
    event: int = 0
    seen: str = NONE
    name: str = ""

    def __str__(self) -> str:
        return f"1.{self.store}.{self.scope}.{self.stage}.{self.change}.{self.event}.{self.seen}.{self.name}"


def parse_cursor(text: str) -> Cursor:
    """The cursor of a text. Raises RequestProblem for what none can be."""
    found = _CURSOR.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise RequestProblem(f"{text[:80]!r} is not a cursor; take one that a page of lines ended with")
    return Cursor(
        found["store"],
        found["scope"],
        Stage(found["stage"]),
        int(found["change"]),
        int(found["event"]),
        found["seen"],
        found["name"],
    )


def fingerprint(event: Event) -> str:
    """What tells an event from another of its number, in a store that was set back to an older state."""
    return _digest([event.seq, event.at, event.normalized_name, event.kind, event.version])


def scope_fingerprint(profiles: Iterable[Profile] | None) -> str:
    """What tells the same profiles from others: which packages they take. None is everything."""
    if profiles is None:
        return NONE
    shown = ([p.key, p.classifiers, p.include, p.exclude] for p in profiles)
    return _digest(sorted(shown))


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:16]
