"""A store's facts and events as lines, from a cursor on, while others write to it. See `cursors` for why that
is consistent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pyf_scrapy.exceptions import RequestProblem, SourceReplacedError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replication.cursors import (
    LAST,
    NONE,
    Cursor,
    Stage,
    fingerprint,
    parse_cursor,
    scope_fingerprint,
)
from pyf_scrapy.replication.lines import (
    FORMAT,
    PAGE_BYTES,
    PAGE_LINES,
    EventLine,
    Gone,
    Head,
    PageEnd,
    encode,
    encode_project,
)
from pyf_scrapy.store import Store
from pyf_scrapy.store.copies import FORGOTTEN, Changed, CopiedProject, Position
from pyf_scrapy.store.copying import is_member

_NAMES = 500  # looked at in one go
_EVENTS = 1_000


@dataclass(frozen=True)
class Source:
    """What of a store is copied: what these profiles take, None = everything that is known. `names` are the
    profiles as they were asked for, by default those of their collections."""

    store: Store
    profiles: Sequence[Profile] | None = None
    names: Sequence[str] | None = None

    def begin(self) -> Cursor:
        """The cursor of a copy that has nothing yet."""
        return Cursor(self.store.store_id(), scope_fingerprint(self.profiles))

    def resume(self, text: str) -> Cursor:
        """The cursor of a text. Raises RequestProblem for what is none; SourceReplacedError when what was
        read up to there is not what this store held then."""
        cursor, own, now = parse_cursor(text), self.begin(), self.store.position()
        if cursor.store != own.store:
            raise SourceReplacedError("this is another store than the one that the cursor is of")
        if cursor.scope != own.scope:
            raise SourceReplacedError("the profiles are others than those that the cursor is of")
        is_ahead = cursor.change > now.change or cursor.event > now.event
        if is_ahead or (
            cursor.seen != NONE and not self.store.event_is(cursor.event, fingerprint, cursor.seen)
        ):
            raise SourceReplacedError("this store was set back to an older state than that of the cursor")
        return cursor

    def replicate(self, cursor: Cursor) -> Iterator[bytes]:
        """The lines that bring a copy from a cursor to now; an empty piece behind each page."""
        yield from self._head()
        if cursor.stage is Stage.SNAPSHOT:
            if not cursor.name:
                cursor = cursor._replace(change=self.store.position().change)
            yield from self._snapshot(cursor)
            cursor = _behind(cursor)
        yield from self._changes(cursor, self.store.position(), facts=True)

    def changes(self, cursor: Cursor, *, facts: bool) -> Iterator[bytes]:
        """The lines of what happened since a cursor; with the facts that changed, or the events alone.

        Raises RequestProblem for facts behind a cursor in the middle of a snapshot.
        """
        if facts and cursor.stage is Stage.SNAPSHOT:
            if cursor.name:
                raise RequestProblem("that copy is not complete: go on with /replicate")
            cursor = cursor._replace(stage=Stage.CHANGES)
        return chain(self._head(), self._changes(cursor, self.store.position(), facts=facts))

    def facts(self) -> Iterator[bytes]:
        """The lines of all projects by name, and no others; each as it is when its line is made."""
        last = ""
        while found := self.store.projects_after(last, _NAMES):
            for _, line in self._lines(found, self._is_copied, _nothing, encode):
                if line:
                    yield line
            last = found[-1].normalized_name

    def _head(self) -> Iterator[bytes]:
        state = self.store.copy_state()
        scope = None
        if self.profiles is not None:
            scope = tuple(self.names or (profile.collection for profile in self.profiles))
        copy_of = None if state is None else state.source
        yield encode(Head(FORMAT, self.store.store_id(), self.store.pypi_url, scope, copy_of))
        yield b""

    def _snapshot(self, cursor: Cursor) -> Iterator[bytes]:
        last, page = cursor.name, _Page()
        while found := self.store.projects_after(last, _NAMES):
            for one, line in self._lines(found, self._is_copied, _nothing):
                page.add(line)
                if page.is_full or one is found[-1]:
                    name = one.normalized_name
                    yield from page.end(cursor._replace(name=name), after=last, until=name)
                    last, page = name, _Page()
        yield from page.end(_behind(cursor), after=last)

    def _changes(self, cursor: Cursor, until: Position, *, facts: bool) -> Iterator[bytes]:
        while found := self.store.events_between(cursor.event, until.event, _EVENTS):
            cursor = cursor._replace(event=found[-1].seq, seen=fingerprint(found[-1]))
            page = _Page()
            for event in found if self.profiles is None else self.store.events_of(found, self._takes):
                page.add(encode(EventLine.of(event)))
            yield from page.end(cursor)
        if facts:
            yield from self._changed_facts(cursor, until.change)
            cursor = cursor._replace(change=until.change, name=LAST)
        yield from _Page().end(cursor, done=True)

    def _changed_facts(self, cursor: Cursor, until: int) -> Iterator[bytes]:
        page = _Page()
        while changed := self.store.projects_changed((cursor.change, cursor.name), until, _NAMES):
            for one, line in self._lines(changed, self._is_copied, self._gone):
                page.add(line)
                cursor = cursor._replace(change=one.change, name=one.normalized_name)
                if page.is_full or one is changed[-1]:
                    yield from page.end(cursor)
                    page = _Page()

    def _lines(
        self,
        found: Sequence[Changed],
        wanted: Callable[[Changed], bool],
        other: Callable[[Changed], bytes],
        encoded: Callable[[CopiedProject], bytes] = encode_project,
    ) -> Iterator[tuple[Changed, bytes]]:
        """Each project with its line: all that is known of it where it is wanted, else what `other` says."""
        copies = self.store.copied(one.normalized_name for one in found if wanted(one))
        copy = next(copies, None)
        for one in found:
            if copy is not None and copy.normalized_name == one.normalized_name:
                yield one, encoded(copy)
                copy = next(copies, None)
            else:
                yield one, other(one)

    def _is_copied(self, one: Changed) -> bool:
        if self.profiles is None:
            return one.status != FORGOTTEN
        return is_member(self.profiles, one)

    def _gone(self, one: Changed) -> bytes:
        """A project without records was never in the copy of a profile."""
        return encode(Gone(one.normalized_name)) if self.profiles is None or one.has_package else b""

    def _takes(self, name: str, classifiers: Sequence[str]) -> bool:
        return any(profile.matches(name, classifiers) for profile in self.profiles or ())


class _Page:
    """Lines that are gathered, until there are enough of them."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        """Add a line; an empty one is none."""
        if line:
            self._lines.append(line)
            self._size += len(line)

    @property
    def is_full(self) -> bool:
        return len(self._lines) >= PAGE_LINES or self._size >= PAGE_BYTES

    def end(
        self, cursor: Cursor, *, after: str | None = None, until: str | None = None, done: bool = False
    ) -> Iterator[bytes]:
        """The lines with their end, and an empty piece."""
        yield from self._lines
        yield encode(PageEnd(len(self._lines), str(cursor), after, until, done))
        yield b""


def _behind(snapshot: Cursor) -> Cursor:
    """The cursor when all of the snapshot was read: all changes since its beginning are to come."""
    return snapshot._replace(stage=Stage.CHANGES, name=LAST)


def _nothing(_: Changed) -> bytes:
    return b""
