"""PyPI's Simple API in JSON (PEP 691, 700, 792; api version 1.x): the index of projects, a project's page.

The index is the list that removal is decided by: an answer that is not one is an error, never an empty index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.filenames import ReleaseFinder
from pyf_scrapy.parsers.records import File
from pyf_scrapy.parsers.wire import NULL

Raw = msgspec.Raw

_INDEX: Final = "simple index"
_PAGE: Final = "simple page"
_API_VERSION: Final = re.compile(r"1\.[0-9]{1,9}")

MAX_PROJECTS: Final = 3_000_000  # PyPI lists 886,000; more is no index but an attack on memory
MAX_INDEX_COMMAS: Final = 8_000_000  # two an entry today


class IndexEntry(msgspec.Struct, frozen=True, gc=False):
    """One project of the index; `serial` is None when the index does not give one that can be used."""

    name: str  # display name
    serial: int | None


class SimpleIndex(msgspec.Struct, frozen=True):
    """The projects in the index's order; `skipped` counts entries without a usable name."""

    last_serial: int | None
    projects: list[IndexEntry]
    skipped: int = 0


class SimplePage(msgspec.Struct, frozen=True):
    """One project's page; `status` is the marker of PEP 792 ("active", "archived", "quarantined", ...)."""

    name: str
    serial: int | None = None
    versions: tuple[str, ...] | None = None  # as listed; None before api version 1.1
    files: tuple[File, ...] = ()
    status: str | None = None
    status_reason: str | None = None


class _Meta(msgspec.Struct):
    api_version: Raw = msgspec.field(default=NULL, name="api-version")
    last_serial: Raw = msgspec.field(default=NULL, name="_last-serial")


class _Index(msgspec.Struct):
    projects: Raw = NULL
    meta: _Meta | None = None


class _Entry(msgspec.Struct, gc=False):
    name: str = ""
    serial: int | str | None = msgspec.field(default=None, name="_last-serial")


class _RawEntry(msgspec.Struct):
    name: Raw = NULL
    serial: Raw = msgspec.field(default=NULL, name="_last-serial")


class _Status(msgspec.Struct):
    status: Raw = NULL
    reason: Raw = NULL


class _Page(msgspec.Struct):
    name: Raw = NULL
    files: Raw = NULL
    versions: Raw = NULL
    meta: _Meta | None = None
    project_status: Raw = msgspec.field(default=NULL, name="project-status")


class _File(msgspec.Struct):
    filename: Raw = NULL
    url: Raw = NULL
    size: Raw = NULL
    hashes: Raw = NULL
    upload_time: Raw = msgspec.field(default=NULL, name="upload-time")
    requires_python: Raw = msgspec.field(default=NULL, name="requires-python")
    yanked: Raw = NULL


_PIECE: Final = 1 << 18  # bytes
_LONGEST_UNCUT: Final = 1 << 22  # what cannot be cut until then is not searched again and again
_BEFORE: Final = re.compile(rb'"projects"\s*:\s*\[')
_BETWEEN: Final = re.compile(rb"\}\s*,\s*\{")

_index: Final = msgspec.json.Decoder(_Index)
_entries: Final = msgspec.json.Decoder(list[_Entry])
_items: Final = msgspec.json.Decoder(list[Raw])
_raw_entry: Final = msgspec.json.Decoder(_RawEntry)
_page: Final = msgspec.json.Decoder(_Page)
_files: Final = msgspec.json.Decoder(list[_File])
_versions: Final = msgspec.json.Decoder(list[str] | None)
_status: Final = msgspec.json.Decoder(_Status | None)


class IndexReader:
    """The answer of /simple/, read as its parts come: whole it would need five times the memory of its bytes.

    Iterate once, or take the `pieces`, for the names as displayed and the serials in the index's order;
    entries with an unusable name are left out and counted as `skipped`. `last_serial` is known afterwards.
    Raises ParseError only, and maybe at the end: also for a major API version other than 1 and for an answer
    without `projects`.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.skipped = 0
        self.last_serial: int | None = None
        self._parts = parts

    def __iter__(self) -> Iterator[tuple[str, int | None]]:
        for names, serials in self.pieces():
            yield from zip(names, serials, strict=True)

    def pieces(self) -> Iterator[tuple[list[str], list[int | None]]]:
        """The names and their serials, thousands at a time: what is asked of each takes long in a million."""
        with wire.parsing(_INDEX):
            for entries in self._pieces():
                names = [entry.name for entry in entries]
                if not wire.are_names(names):
                    entries = [entry for entry in entries if wire.is_name(entry.name)]
                    self.skipped += len(names) - len(entries)
                    names = [entry.name for entry in entries]
                yield names, wire.as_counts([entry.serial for entry in entries])

    def _pieces(self) -> Iterator[list[_Entry]]:
        """The entries, some at a time. Raises ParseError, MsgspecError.

        What is cut at a place between two objects is JSON only if that place lies within neither a string nor
        another object: then all up to there is read as it would be in one piece. Where it is not, the rest
        is. Without the pieces the answer is one with the last entries alone.
        """
        head, rest = b"", bytearray()
        may_cut, is_cut = True, False
        for part in _bounded(self._parts):
            rest += part
            if may_cut and not head and (before := _BEFORE.search(rest)):
                head = bytes(rest[: before.end()])
                del rest[: before.end()]
            while may_cut and head and (cut := _BETWEEN.search(rest, _PIECE)):
                try:
                    entries = _wire_entries(b"".join((b"[", rest[: cut.start() + 1], b"]")))
                except msgspec.MsgspecError:
                    may_cut = False
                    break
                is_cut = True
                yield entries
                del rest[: cut.end() - 1]
            may_cut = may_cut and len(rest) < _LONGEST_UNCUT
        rest[:0] = head
        index = _index.decode(rest)
        if is_cut and not rest.startswith(bytes(index.projects), len(head) - 1):
            raise ParseError(_INDEX, "it has projects in two places")
        self.last_serial = _last_serial(_INDEX, index.meta)
        yield _wire_entries(index.projects)


def _bounded(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of an answer, as long as they may be an index. Raises ParseError."""
    objects = arrays = commas = 0
    for part in parts:
        objects += part.count(b"{")
        arrays += part.count(b"[")
        commas += part.count(b",")
        if max(objects, arrays) > MAX_PROJECTS or commas > MAX_INDEX_COMMAS:
            raise ParseError(_INDEX, "projects holds too many elements")
        yield part


def parts_of(body: bytes) -> Iterator[bytes]:
    """A whole body for an `IndexReader`."""
    length = max(_PIECE, 1)
    return (body[at : at + length] for at in range(0, len(body), length))


def parse_index(body: bytes) -> SimpleIndex:
    """Read the answer of /simple/ as a whole. Raises what `IndexReader` does."""
    reader = IndexReader(parts_of(body))
    projects = [IndexEntry(name, serial) for name, serial in reader]
    return SimpleIndex(reader.last_serial, projects, reader.skipped)


def parse_simple_page(body: bytes) -> SimplePage:
    """Read the answer of /simple/NAME/. Raises ParseError only."""
    with wire.parsing(_PAGE):
        document = _page.decode(body)
        versions = wire.required(_PAGE, "versions", _versions, document.versions)
        files = wire.required(_PAGE, "files", _files, document.files)
        status = wire.optional(_status, document.project_status)
        return SimplePage(
            name=wire.checked_name(_PAGE, "name", wire.verbatim(document.name)),
            serial=_last_serial(_PAGE, document.meta),
            versions=None if versions is None else tuple(map(_version, versions)),
            files=tuple(map(_file, files)),
            status=wire.text(status.status) if status else None,
            status_reason=wire.text(status.reason) if status else None,
        )


def files_by_version(page: SimplePage) -> dict[str, tuple[File, ...]]:
    """The files of each release, versions spelled and ordered as the page lists them.

    A listed version without files has (). Before api version 1.1 nothing is listed: then the versions are
    those of wheels and sdists, normalised. A file whose name tells no (listed) version is left out.
    """
    finder = ReleaseFinder(page.name, page.versions or ())
    found: dict[str, list[File]] = {version: [] for version in page.versions or ()}
    for file in page.files:
        version = finder.version(file.filename)
        if version is not None:
            found.setdefault(version, []).append(file)
    return {version: tuple(files) for version, files in found.items()}


def _last_serial(what: str, meta: _Meta | None) -> int | None:
    """The serial of `meta`. Raises ParseError when it gives an API version other than 1.x."""
    if meta is None:
        return None
    api_version = "1.0" if meta.api_version is NULL else str(wire.scalar(meta.api_version))
    if not _API_VERSION.fullmatch(api_version):
        raise ParseError(what, f"API version {api_version[:80]!a} is not 1.x")
    return wire.count(meta.last_serial)


def _version(version: str) -> str:
    return wire.checked_version(_PAGE, "version", version)


def _wire_entries(raw: bytes | Raw) -> list[_Entry]:
    """All entries at once; one by one only if an entry has a wrong type, which then costs itself alone."""
    try:
        return _entries.decode(raw)
    except msgspec.ValidationError:
        pass
    try:
        return [_wire_entry(item) for item in _items.decode(raw)]
    except msgspec.ValidationError as error:
        raise ParseError(_INDEX, f"projects: {error}") from error


def _wire_entry(raw: Raw) -> _Entry:
    try:
        entry = _raw_entry.decode(raw)
    except msgspec.ValidationError:
        return _Entry()
    return _Entry(wire.verbatim(entry.name) or "", wire.count(entry.serial))


def _file(file: _File) -> File:
    yanked, reason = _yanked(wire.scalar(file.yanked))
    return File(
        filename=wire.text(file.filename) or "",
        url=wire.text(file.url) or "",
        size=wire.count(file.size),
        sha256=wire.sha256(file.hashes),
        upload_time=wire.epoch(wire.text(file.upload_time)),
        requires_python=wire.text(file.requires_python),
        yanked=yanked,
        yanked_reason=reason,
    )


def _yanked(value: bool | int | float | str | None) -> tuple[bool | None, str | None]:
    """PEP 691: a bool, or the reason as text that is not empty."""
    if isinstance(value, str):
        reason = wire.known(value)
        return value != "", reason
    return (value, None) if isinstance(value, bool) else (None, None)
