"""When an answer is older than what was promised, and how long to wait for a newer one.

PyPI's CDN answers from caches. A purge is soft (the first asker within 300 s may get the old body), and some
purges are lost, so an answer may be a day old. Its own serial is the only evidence of its age.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from pyf_scrapy.parsers.records import File

#: Seconds for which PyPI's CDN may answer with the old body after a purge (stale-while-revalidate).
PATIENCE = 300.0
#: Short, since a node has the new body a moment after it was asked; doubled, since the next node may not.
FIRST_DELAY = 1.0

#: Seconds after an upload in which a 404 is not believed.
TOO_EARLY = 600.0


class Promise(NamedTuple):
    """What an answer must have: the serial of the index, the release of a feed. None = anything will do."""

    serial: int | None = None
    version: str | None = None


def is_stale(promise: Promise, serial: int, versions: Collection[str] | None) -> bool:
    """Whether an answer with this serial and these releases (None: it does not say) breaks the promise.

    Releases are compared as PEP 440 does, because a feed need not spell them as the project does.
    """
    if promise.serial is not None and serial < promise.serial:
        return True
    if promise.version is None or versions is None or promise.version in versions:
        return False
    return _canonical(promise.version) not in map(_canonical, versions)


def retry_delay(attempt: int, patience: float = PATIENCE, first: float = FIRST_DELAY) -> float | None:
    """Seconds before the try number `attempt` (from 1) for a fresh answer, None when patience is at its end.

    The delays double; together they last `patience` seconds.
    """
    delay = first * 2.0 ** (attempt - 1)
    before = delay - first
    return None if before >= patience else min(delay, patience - before)


def is_too_early(files: Iterable[File], now: float) -> bool:
    """Whether a 404 proves nothing about a release with these files: it was uploaded a moment ago, and caches
    keep a 404 from before for a minute. `now` is in epoch seconds."""
    return any(file.upload_time is not None and abs(now - file.upload_time) < TOO_EARLY for file in files)


def _canonical(version: str) -> Version | str:
    try:
        return Version(version)
    except InvalidVersion:
        return version
