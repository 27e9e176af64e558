"""When an index is believed, when a package is gone, and when a name belongs to somebody else now.

Deleting is the one step that a crawl cannot take back by itself, so it needs proof (rule R4): a complete
index without the name, *and* a real 404 of its JSON, *and* a Simple page that is a 404 or quarantined.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from pyf_scrapy.parsers.records import File, ProjectRecord

#: Seconds after which an index cannot come from the same cached answer any more: PyPI's CDN keeps it for
#: 30 minutes and may answer with it for 5 more.
SECOND_INDEX = 40 * 60

#: Seconds for which PyPI's CDN may give an old answer, a day when PyPI fails. An index that is older than the
#: last one for longer than that is the true one, and the last one was wrong.
OLDEST_ANSWER = 25 * 60 * 60

#: The fewest names whose loss is doubted, and the number that is always doubted.
FEW = 10
MANY = 500
SHARE = 0.005

QUARANTINED = "quarantined"


class IndexVerdict(Enum):
    """What to do with an index."""

    ACCEPTED = "accepted"
    OLDER = "older than the last one"
    SMALLER = "much smaller than the last one"


def judge_index(
    *, serial: int | None, count: int, last_serial: int | None, last_count: int | None, age: float = 0
) -> IndexVerdict:
    """Compare an index (its last serial, its number of projects) with the last one that was accepted, `age`
    seconds ago.

    A lower last serial is a cache's older answer (rule R3), as long as a cache can have one; far fewer
    projects are an answer cut off, or a failure of PyPI. Without a last one everything is accepted.
    """
    older = serial is not None and last_serial is not None and serial < last_serial
    if older and age < OLDEST_ANSWER:
        return IndexVerdict.OLDER
    if last_count is not None and too_many(last_count - count, last_count):
        return IndexVerdict.SMALLER
    return IndexVerdict.ACCEPTED


def too_many(gone: int, known: int) -> bool:
    """Whether so many of `known` names at once look like a fault and not like removals."""
    return gone > MANY or (gone > FEW and gone > known * SHARE)


def has_vanished(json_status: int, page_status: int, marker: str | None, *, older: bool = False) -> bool:
    """Whether PyPI says of a name that the index lacks that it is gone or in quarantine.

    HTTP statuses of `/pypi/NAME/json` and `/simple/NAME/`; `marker` is the page's (PEP 792). Any other
    answer than these proves nothing. `older`: no index is the witness, and the page is older than what is
    stored, so that its quarantine may be over.
    """
    if json_status != 404:
        return False
    return page_status == 404 or (page_status == 200 and marker == QUARANTINED and not older)


def returns(stored: int, serial: int, promised: int | None) -> bool:
    """Whether an answer with `serial` brings back a package that vanished when `stored` was its serial.

    A cache may go on showing it as it was: the answer has to be newer, or as new as the index that lists
    the name again (`promised`).
    """
    return serial > stored or (promised is not None and serial >= promised)


def is_tombstone(vanished_at: int, read_at: int) -> bool:
    """Whether an index read at `read_at`, which still lacks the name, is the second proof (epoch seconds)."""
    return read_at - vanished_at >= SECOND_INDEX


def is_recreated(before: ProjectRecord, after: ProjectRecord, *, gap: bool) -> bool:
    """Whether a name stands for another project now (rule R5, "revival hijack", pypi/warehouse#16711).

    PyPI never lets a file name be used again: a file of before that is still there is the same project's. So
    after a gap it is another one if no file of before is left, or none of its owners. Without a gap a project
    may have replaced all its files; it is another one if they were all uploaded after those of before, and
    none of the owners is the same (as far as they are known).
    """
    old, new = set(_uploads(before)), set(_uploads(after))
    if not old or not new:
        return False
    owners = _owners(before), _owners(after)
    others = bool(all(owners) and not owners[0] & owners[1])
    replaced = not _identities(_files(before)) & _identities(_files(after))
    if gap:
        return replaced or others
    return replaced and min(new) > max(old) and (others or not all(owners))


def is_replaced(before: Iterable[File], after: Iterable[File]) -> bool:
    """Whether a release, by its files, is another one of the same version: deleted and made again, perhaps by
    another project. What was known of the old one (its metadata) does not hold for the new one."""
    old, new = _identities(before), _identities(after)
    return bool(old and new and not old & new)


def _files(record: ProjectRecord) -> Iterable[File]:
    return (file for files in (record.files or {}).values() for file in files)


def _uploads(record: ProjectRecord) -> Iterable[int]:
    return (file.upload_time for file in _files(record) if file.upload_time is not None)


def _identities(files: Iterable[File]) -> set[tuple[str, str]]:
    return {(file.filename, file.sha256) for file in files}


def _owners(record: ProjectRecord) -> set[str]:
    return {role.user for role in record.roles or ()}
