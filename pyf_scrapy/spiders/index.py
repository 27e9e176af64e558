"""PyPI's index of all projects, read, judged and kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from packaging.utils import canonicalize_name
from scrapy.http import Response

from pyf_scrapy.exceptions import DamagedError, FetchError, ParseError
from pyf_scrapy.parsers.gunzip import gunzip_parts
from pyf_scrapy.parsers.simple_index import IndexReader, parts_of
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.fetching import LARGEST_INDEX, PyPI, etag_of
from pyf_scrapy.store.index_file import IndexFile, IndexLines
from pyf_scrapy.sync.removal import IndexVerdict, judge_index, too_many

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Read:
    """What reading the index came to: `file` is what the work is computed from.

    `unchanged`: the server said that the last one still holds. `refusal` says in one line why another one
    was not taken. `skipped` entries had names that no project can have.
    """

    file: IndexFile
    unchanged: bool = False
    verdict: IndexVerdict = IndexVerdict.ACCEPTED
    refusal: str = ""
    skipped: int = 0


class Index:
    """The index of one crawl. The last one accepted is a file in the data folder, and a line in the store.

    `is_current` tells whether the last reading was accepted, `read_at` (epoch seconds) when it was.
    """

    def __init__(self, session: Session, pypi: PyPI, *, accept_smaller: bool) -> None:
        self.session = session
        self.pypi = pypi
        self.accept_smaller = accept_smaller
        self.is_current = False
        self.read_at = 0

    async def read(self) -> Read:
        """Ask for the index and judge it; once more when it comes damaged. Raises FetchError, ParseError:
        nothing is changed by it."""
        try:
            return await self._read()
        except DamagedError as error:
            logger.warning("%s; asking for it again", error)
        return await self._read()

    async def _read(self) -> Read:
        file = IndexFile(self.session.data_dir / "index")
        header = await asyncio.to_thread(file.read_header)
        response = await self.pypi.index(header.etag if header is not None else None)
        self.read_at = int(time.time())
        if response.status == 304:
            self.is_current = True
            if header is not None and header.last_serial is not None:
                await asyncio.to_thread(
                    self.session.store.note_index, header.last_serial, self.read_at, header.count
                )
            return Read(file, unchanged=True)
        read = await asyncio.to_thread(self._take, file, response)
        self.is_current = read.verdict is IndexVerdict.ACCEPTED
        return read

    def _take(self, file: IndexFile, response: Response) -> Read:
        """Parse an index, and keep it if it is believed. Raises FetchError."""
        try:
            index = IndexReader(_parts(response))
            lines = IndexLines(chain.from_iterable(map(_entries, index.pieces())))
        except ParseError as error:
            raise FetchError(
                f"{response.url} is no index of projects ({error}): is PYPI_URL a PyPI?"
            ) from error
        if not lines.given:
            raise FetchError("the index lists no project: is PYPI_URL a PyPI?")
        # The serial of the whole, else the highest of a project.
        serial = lines.highest if index.last_serial is None else index.last_serial
        if serial is None or lines.highest is None:
            raise FetchError("the index has no serials (_last-serial): is PYPI_URL a PyPI?")
        store, count = self.session.store, lines.given
        reads = store.index_reads()
        last = max(reads, key=lambda read: read.last_read_at, default=None)
        verdict = judge_index(
            serial=serial,
            count=count,
            last_serial=last.serial if last else None,
            last_count=last.count if last else None,
            age=self.read_at - last.last_read_at if last else 0,
        )
        if verdict is IndexVerdict.OLDER or (verdict is IndexVerdict.SMALLER and not self.accept_smaller):
            assert last is not None, "there is nothing to compare with"
            refusal = (
                f"it is {verdict.value} (serial {serial} with {count} projects, "
                f"last one {last.serial} with {last.count})"
            )
            if verdict is IndexVerdict.SMALLER:
                refusal += "; if it is right: -a accept_removals=1"
            if file.read_header() is None:
                raise FetchError(f"PyPI's index was refused: {refusal}")
            return Read(file, verdict=verdict, refusal=refusal)
        file.write(lines, etag=etag_of(response), last_serial=serial, written_at=self.read_at)
        store.note_index(serial, self.read_at, count)
        return Read(file, skipped=index.skipped)


def _parts(response: Response) -> Iterator[bytes]:
    """The body, unpacked if it is packed, and never as a whole. Raises FetchError."""
    if "Content-Encoding" not in response.headers:
        yield from parts_of(response.body)
        return
    try:
        yield from gunzip_parts(response.body, LARGEST_INDEX)
    except (EOFError, ValueError) as error:
        raise DamagedError(f"cannot read {response.url}: its packed body is unusable: {error}") from error


def _entries(piece: tuple[Sequence[str], Sequence[int | None]]) -> Iterator[tuple[str, str, int | None]]:
    """The names of a piece, normalized, as displayed and with their serials."""
    names, serials = piece
    # All names as one text, in which no name has a line of its own: one call in place of thousands.
    normalized = canonicalize_name("\n".join(names)).split("\n") if names else []
    return zip(normalized, names, serials, strict=True)


def listed(index: IndexFile, names: Container[str]) -> set[str]:
    """Those of the names that the index lists; blocking, a second or so for a million names."""
    return {name for name, _, _ in index if name in names}


def removals_refused(gone: int, known: int) -> FetchError | None:
    """Why so many packages are not believed to be gone at once, None when they may be."""
    if not too_many(gone, known):
        return None
    return FetchError(
        f"{gone} of {known} packages are not in PyPI's index any more, too many at once to be believed; "
        "nothing is removed. If it is true: -a accept_removals=1"
    )
