"""The lines of a copy: one JSON object each, told apart by `type`. Pure.

    {"type": "head", "format": 1, "store_id": ..., "pypi_url": ..., "scope": [...], "copy_of": ...}
    {"type": "project", "name": ..., "serial": ..., "package": {...}}   all that is known of a project
    {"type": "gone", "normalized_name": ...}                            a project that is not copied any more
    {"type": "too_large", "normalized_name": ..., "size": ...}          a project whose line would be too long
    {"type": "event", "seq": ..., "kind": "released", ...}              something that happened
    {"type": "page", "lines": 200, "cursor": ..., "done": false}        all since the last page is whole

What arrives is a stranger's. A line is decoded to typed records after its size was looked at, and refused
when it holds what the parsers of PyPI's answers would not let through.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ParseError, ReplicationError
from pyf_scrapy.parsers import wire
from pyf_scrapy.store import GONE, Event
from pyf_scrapy.store.copies import CopiedProject
from pyf_scrapy.store.records import ACTIVE, EMPTY

FORMAT: Final = 1

#: Bytes of one line: the project with the most releases, each with its README, stays far below.
MAX_LINE: Final = 128_000_000
#: Bytes and lines after which a page ends. It is written in one transaction.
PAGE_BYTES: Final = 8_000_000
PAGE_LINES: Final = 250
#: Bytes and lines of a page as it may arrive.
MAX_PAGE_BYTES: Final = PAGE_BYTES + MAX_LINE
MAX_PAGE_LINES: Final = 2_000

_MAX_OBJECTS: Final = 1_000_000
_MAX_COMMAS: Final = 20_000_000  # READMEs have them, too
_STATUSES: Final = frozenset({ACTIVE, EMPTY, *GONE})
_MAX_CLASSIFIERS: Final = 2_000
_MAX_KEY: Final = 500  # characters of a repository's key
_NESTED: Final = 30


class Head(msgspec.Struct, frozen=True, tag_field="type", tag="head"):
    """Whose facts follow. `scope` None = everything, else names of profiles; `copy_of`: its own source."""

    format: int
    store_id: str
    pypi_url: str | None
    scope: tuple[str, ...] | None
    copy_of: str | None = None


class Gone(msgspec.Struct, frozen=True, tag_field="type", tag="gone"):
    """A project that is not among those that are copied, any more or at all."""

    normalized_name: str


class TooLarge(msgspec.Struct, frozen=True, tag_field="type", tag="too_large"):
    """A project whose line would have `size` bytes, or so many elements, that it would be refused. What a
    copy knew of it stays."""

    normalized_name: str
    size: int


class EventLine(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """Something that happened; see `store.Event`."""

    seq: int
    at: int
    name: str
    kind: str
    version: str | None = None
    detail: dict[str, Any] | None = None

    @classmethod
    def of(cls, event: Event) -> EventLine:
        return cls(event.seq, event.at, event.normalized_name, event.kind, event.version, event.detail)

    def event(self) -> Event:
        return Event(self.seq, self.at, self.name, self.kind, self.version, self.detail)


class PageEnd(msgspec.Struct, frozen=True, tag_field="type", tag="page"):
    """The last `lines` lines are whole, and `cursor` is behind them. Of the names in `(after, until]` there
    are only those of these lines (`until` None: to the end; `after` None: nothing is said). `done`: nothing
    else is known at this moment."""

    lines: int
    cursor: str
    after: str | None = None
    until: str | None = None
    done: bool = False


Line = Head | CopiedProject | Gone | TooLarge | EventLine | PageEnd

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    """The bytes of a line, with its end."""
    return _encoder.encode(line) + b"\n"


def encode_project(project: CopiedProject) -> bytes:
    """The line of a project as it is sent; what says so in its place where it would be refused."""
    line = encode(project)
    if len(line) - 1 > MAX_LINE or not _is_bounded(line):
        return encode(TooLarge(project.normalized_name, len(line) - 1))
    return line


def decode(text: bytes) -> Line:
    """The line of bytes from a stranger. Raises ReplicationError when it is none, or must not be stored."""
    try:
        with wire.parsing("line"):
            if not _is_bounded(text):
                raise ParseError("line", "it holds too many elements")
            line = _decoder.decode(text)
            _check(line)
    except ParseError as error:
        raise ReplicationError(f"the source sent what cannot be used: {error}") from None
    return line


def _is_bounded(text: bytes) -> bool:
    return wire.bounded(text, objects=_MAX_OBJECTS, commas=_MAX_COMMAS)


def _check(line: Line) -> None:
    if isinstance(line, Head):
        if line.format != FORMAT:
            raise ParseError(
                "head", f"it speaks format {line.format}, this program {FORMAT}: update the older one"
            )
    elif isinstance(line, CopiedProject):
        _check_project(line)
    elif isinstance(line, Gone | TooLarge):
        _check_normalized(line.normalized_name)
    elif isinstance(line, EventLine):
        _check_normalized(line.name)
        if not line.kind.isidentifier() or len(line.kind) > 50:
            raise ParseError("event", f"{line.kind[:50]!a} is no kind")
        if line.version is not None:
            wire.checked_version("event", "version", line.version)
    elif not (0 <= line.lines <= MAX_PAGE_LINES and line.cursor.isprintable() and len(line.cursor) < 500):
        raise ParseError("page", "its end cannot be")
    _check_values(msgspec.to_builtins(line), _NESTED)


def _check_project(project: CopiedProject) -> None:
    what = "project"
    wire.checked_name(what, "name", project.name)
    name = project.normalized_name
    if canonicalize_name(project.name) != name:
        raise ParseError(what, f"{name[:80]!a} is not the normalized name of {project.name[:80]!a}")
    if project.status not in _STATUSES:
        raise ParseError(what, f"{name}: {project.status[:40]!a} is no status")
    if len(project.classifiers) > _MAX_CLASSIFIERS:
        raise ParseError(what, f"{name} has too many classifiers")
    package = project.package
    if package is None:
        return
    record = package.project
    of = [record.normalized_name, package.standing.normalized_name]
    of += [package.link.normalized_name] if package.link is not None else []
    of += [facts.normalized_name for facts in package.downloads]
    if any(one != name for one in of) or canonicalize_name(record.name) != name:
        raise ParseError(what, f"{name} comes with the facts of another name")
    versions = [record.version, record.metadata.version, *package.releases, *(record.files or ())]
    for version in versions:
        wire.checked_version(what, "version", version)
    sources = [facts.source for facts in package.downloads]
    if len(set(sources)) < len(sources):
        raise ParseError(what, f"{name} comes with two figures of one source")
    link, repository = package.link, package.repository
    key = link.key if link is not None else None
    if (repository is not None and repository.key != key) or (key is not None and len(key) > _MAX_KEY):
        raise ParseError(what, f"{name} comes with a repository that is not its own")


def _check_normalized(name: str) -> None:
    if not wire.is_name(name) or canonicalize_name(name) != name:
        raise ParseError("name", f"{name[:80]!a} is not a normalized name")


def _check_values(value: object, depth: int) -> None:
    """No text has a NUL, no number more than 64 bits, and all is one kind of JSON: as parsers leave it."""
    if isinstance(value, str):
        if "\0" in value:
            raise ParseError("line", "text with a NUL")
    elif isinstance(value, int):
        if not -2 <= value <= wire.MAX_INT:
            raise ParseError("line", "a number out of range")
    elif isinstance(value, float):
        raise ParseError("line", "a number with a fraction")
    elif isinstance(value, dict | list | tuple):
        if not depth:
            raise ParseError("line", "nested too deeply")
        for one in value.items() if isinstance(value, dict) else value:
            _check_values(one, depth - 1)
