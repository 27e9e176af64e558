"""The last index of PyPI as a compact file of names and serials.

First line: JSON (`_Head`). Then a line for each project, sorted by normalized name in code point order:
normalized name, display name (empty: the same), serial (empty: none), with tabs between them. The last line
is `_END`. The head tells the size and checksum of the lines between, so that a file that was cut off or is
something else is recognised.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType

import msgspec

from pyf_scrapy.exceptions import StoreError

_FORMAT = "pyf_scrapy index 1"
_END = b"# end of index\n"
_CHUNK = 1 << 20
_LONGEST_HEAD = 64 * 1024
_AT_ONCE = 4096
NO_SERIAL = -1


class IndexHeader(msgspec.Struct, frozen=True):
    """What is known of the index as a whole. `written_at` is epoch seconds."""

    etag: str | None
    last_serial: int | None
    count: int
    written_at: int


class _Head(msgspec.Struct, frozen=True):
    format: str
    header: IndexHeader
    size: int
    checksum: int


_Entry = tuple[str, str, int | None]

_beginning = itemgetter(slice(2))
_head_decoder = msgspec.json.Decoder(_Head)


class IndexLines:
    """The lines of an index on their way into a file: a million of them as bytes that lie side by side.

    `entries` are normalized name, display name and serial. Of two entries of one name the higher serial
    stays. Names that cannot stand in a line (control characters, broken Unicode) are left out: PyPI allows
    none, and no request could be made for them. `given` counts all entries, `highest` is the highest serial
    of them.
    """

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self.given = 0
        self.highest: int | None = None
        self._by_beginning: defaultdict[str, bytearray] = defaultdict(bytearray)
        entries = iter(entries)
        while some := list(islice(entries, _AT_ONCE)):
            self._add(some)

    def _add(self, some: list[_Entry]) -> None:
        """Some entries at once: what is asked of each takes long in a million."""
        self.given += len(some)
        highest = max((serial for _, _, serial in some if serial is not None), default=None)
        if highest is not None:
            self.highest = highest if self.highest is None else max(highest, self.highest)
        lines = [*map(_line, some)]
        if not _are_lines(lines):
            lines = [_line(entry) for entry in some if _can_be_line(entry)]
        lines.sort()
        for beginning, alike in groupby(lines, _beginning):
            self._by_beginning[beginning] += "".join(alike).encode()

    def take(self) -> Iterator[list[bytes]]:
        """All lines, some at a time, sorted by name and without repeats; they are gone afterwards.

        Lines sort like names: a tab is smaller than anything that may stand in a name.
        """
        for beginning in sorted(self._by_beginning):
            lines = bytes(self._by_beginning.pop(beginning)).splitlines(keepends=True)
            yield _without_repeats(sorted(lines))


class IndexFile:
    """The index file at `path`.

    An object keeps to the file it has read or written, so offsets stay good for it while another object
    replaces the file. Safe for several threads once read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._head: _Head | None = None
        self._start = 0

    def write(
        self,
        entries: IndexLines | Iterable[_Entry],
        *,
        etag: str | None,
        last_serial: int | None,
        written_at: int,
    ) -> IndexHeader:
        """Replace the file by these entries at once, or not at all. Lines that were made of them are used up.

        Raises StoreError when the file cannot be written.
        """
        lines = entries if isinstance(entries, IndexLines) else IndexLines(entries)
        parts, count, size, checksum = [], 0, 0, 0
        for some in lines.take():
            parts.append(b"".join(some))
            count += len(some)
            size += len(parts[-1])
            checksum = zlib.crc32(parts[-1], checksum)
        header = IndexHeader(etag, last_serial, count, written_at)
        head = _Head(_FORMAT, header, size, checksum)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.path, [msgspec.json.encode(head), b"\n", *parts, _END])
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error
        self.close()
        self.read_header()
        return header

    def read_header(self) -> IndexHeader | None:
        """Check the file and return its header; None when it is absent, cut off or something else."""
        if self._head is None:
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            read = None
            try:
                read = _read_head(fd)
            except OSError:  # a folder, or a disk that fails
                pass
            finally:
                if read is None:
                    os.close(fd)
            if read is None:
                return None
            self._fd = fd
            self._head, self._start = read
        return self._head.header

    @property
    def header(self) -> IndexHeader:
        """The header. Raises StoreError when there is no usable file."""
        header = self.read_header()
        if header is None:
            raise StoreError(f"{self.path} is not a usable index file")
        return header

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """Stream (normalized name, serial, offset); nothing when there is no usable file.

        The serial is `NO_SERIAL` for a project without one, which equals no stored serial.
        """
        if self.read_header() is None or self._head is None or self._fd is None:
            return
        offset, end = self._start, self._start + self._head.size
        rest = b""
        while offset + len(rest) < end:
            at = offset + len(rest)
            *lines, rest = (rest + os.pread(self._fd, min(_CHUNK, end - at), at)).split(b"\n")
            for line in lines:
                name, _, serial = line.split(b"\t")
                yield name.decode(), int(serial) if serial else NO_SERIAL, offset
                offset += len(line) + 1

    def entry_at(self, offset: int) -> tuple[str, str, int]:
        """The entry (normalized name, display name, serial) at an offset that iteration gave."""
        if self._fd is None:
            raise StoreError(f"{self.path} is not open")
        line = os.pread(self._fd, 512, offset)
        while b"\n" not in line:
            more = os.pread(self._fd, _CHUNK, offset + len(line))
            if not more:
                raise StoreError(f"{self.path} has no entry at {offset}")
            line += more
        name, display, serial = line.partition(b"\n")[0].decode().split("\t")
        return name, display or name, int(serial) if serial else NO_SERIAL

    def close(self) -> None:
        """Let go of the file; the next use reads it anew."""
        fd, self._fd, self._head = self._fd, None, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> IndexFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _line(entry: _Entry) -> str:
    name, display, serial = entry
    return f"{name}\t{'' if display == name else display}\t{'' if serial is None else serial}\n"


def _can_be_line(entry: _Entry) -> bool:
    name, display, _ = entry
    return bool(name) and name.isprintable() and display.isprintable()


def _are_lines(lines: Sequence[str]) -> bool:
    """Whether each entry that these were made of can be one."""
    text = "\n" + "".join(lines)
    return (
        text.count("\n") == len(lines) + 1
        and text.count("\t") == 2 * len(lines)
        and "\n\t" not in text
        and text.replace("\n", "").replace("\t", "").isprintable()
    )


def _without_repeats(lines: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    last = None
    for line in lines:
        name = line[: line.index(b"\t") + 1]
        if name != last:
            kept.append(line)
            last = name
        elif _serial(line) > _serial(kept[-1]):
            kept[-1] = line
    return kept


def _serial(line: bytes) -> int:
    return int(line[line.rindex(b"\t") + 1 :].strip() or NO_SERIAL)


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as file:
        try:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read_head(fd: int) -> tuple[_Head, int] | None:
    """The head and where the entries begin, None when the file is not whole."""
    first, newline, _ = os.pread(fd, _LONGEST_HEAD, 0).partition(b"\n")
    try:
        head = _head_decoder.decode(first)
    except msgspec.MsgspecError:
        return None
    start = len(first) + len(newline)
    if head.format != _FORMAT or os.fstat(fd).st_size != start + head.size + len(_END):
        return None
    checksum = 0
    for at in range(start, start + head.size, _CHUNK):
        checksum = zlib.crc32(os.pread(fd, min(_CHUNK, start + head.size - at), at), checksum)
    whole = checksum == head.checksum and os.pread(fd, len(_END), start + head.size) == _END
    return (head, start) if whole else None
