"""READMEs as they were rendered, kept in a file across runs: the same text is not rendered twice.

Not a table of the store: what is here follows from facts and from the program, may be deleted at any time,
and does not wait for those who write facts. What comes out of it is sanitised again, last of all as in
`descriptions.render`: to write to this file gives nobody more than to write a README does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import pkgutil
import sqlite3
import sys
import threading
import zlib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec

from pyf_scrapy.metadata.descriptions import MAX_HTML, Description, sanitise
from pyf_scrapy.metadata.sections import MAX_TEXT

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What a rendering depends on besides the README: these modules of ours, and the libraries that they use.
MODULES = ("descriptions", "restructured_text", "sections")
LIBRARIES = ("cmarkgfm", "docutils", "lxml", "nh3", "readme-renderer")

_PATIENCE = (
    0.2  # seconds to wait for another process that writes; to render again costs less than all waiting
)
_CHECKSUM = 8  # bytes
_MOST_DECOMPRESSED = 16 * 1024**2  # bytes; five fields at their largest take 6 MB
_OPEN = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS renderings (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
"""
_REMOVE_OLDEST = """
DELETE FROM renderings WHERE rowid IN (SELECT rowid FROM renderings ORDER BY rowid LIMIT 64)
"""
#: Result codes (https://sqlite.org/rescode.html) for a file that is damaged, or something else.
_BROKEN = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Description).decode


class RenderCache:
    """Renderings in the file `path` of about `most_bytes` at most: beyond that the oldest are removed.

    Blocking; for any number of threads and processes. Raises nothing: an entry that is damaged is none, a
    file that is damaged is made anew, and where no file can be used everything is rendered.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        program = _program()
        self._program = program or b""
        self._is_usable = program is not None

    def get(self, source: str, content_type: str) -> Description | None:
        """The README as this program once rendered it, None when it has to be rendered."""
        key = self._key(source, content_type)
        query = "SELECT value FROM renderings WHERE key = ?"
        row = self._done(lambda connection: connection.execute(query, (key,)).fetchone())
        return None if row is None else _unpacked(key, row[0])

    def put(self, source: str, content_type: str, description: Description) -> None:
        """Keep a README as it has just been rendered."""
        key = self._key(source, content_type)
        row = (key, _packed(key, description))

        def write(connection: sqlite3.Connection) -> None:
            if _size(connection) > self._most_bytes:
                connection.execute(_REMOVE_OLDEST)
            connection.execute("INSERT OR REPLACE INTO renderings VALUES (?, ?)", row)

        self._done(write)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            self._close()

    def _key(self, source: str, content_type: str) -> bytes:
        text = f"{len(content_type)} {content_type}{source}"
        return blake2b(text.encode("utf-8", "replace"), key=self._program, digest_size=20).digest()

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `work` returns, None when the file does not allow it now."""
        with self._lock:
            for is_last in (False, True):
                if not self._is_usable:
                    return None
                try:
                    return work(self._opened())
                except (sqlite3.Error, OSError) as error:
                    self._close()
                    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                    if code == sqlite3.SQLITE_BUSY:
                        return None
                    if code in _BROKEN and not is_last:
                        self._remove()
                    else:
                        self._is_usable = False
                        logger.warning("Renderings are not kept: %s cannot be used (%s)", self._path, error)
            return None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._connection.executescript(_OPEN)
        return self._connection

    def _remove(self) -> None:
        """Other processes keep to the file that they have open."""
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _size(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


@functools.cache
def _program() -> bytes | None:
    """A digest of all that may make another rendering of the same README; None where it cannot be told."""
    digest = blake2b(sys.version.encode(), digest_size=32)
    try:
        for module in MODULES:
            source = pkgutil.get_data(__package__, f"{module}.py")
            if source is None:
                return None
            digest.update(len(source).to_bytes(8, "big") + source)
        for library in LIBRARIES:
            digest.update(f"{library} {importlib.metadata.version(library)}\n".encode())
    except (OSError, importlib.metadata.PackageNotFoundError):
        return None
    return digest.digest()


def _packed(key: bytes, description: Description) -> bytes:
    body = zlib.compress(_encode(description), 1)
    return _checksum(key, body) + body


def _unpacked(key: bytes, value: object) -> Description | None:
    """The rendering, harmless whoever wrote it; None when it is damaged or belongs to another key."""
    if not isinstance(value, bytes):
        return None
    checksum, body = value[:_CHECKSUM], value[_CHECKSUM:]
    if checksum != _checksum(key, body):
        return None
    try:
        found = _decode(zlib.decompressobj().decompress(body, _MOST_DECOMPRESSED))
    except (zlib.error, msgspec.MsgspecError):
        return None
    html, *texts = msgspec.structs.astuple(found)
    if len(html) > MAX_HTML or any(len(text) > MAX_TEXT for text in texts):
        return None
    return Description(sanitise(html), *texts)


def _checksum(key: bytes, body: bytes) -> bytes:
    return blake2b(body, key=key, digest_size=_CHECKSUM).digest()
