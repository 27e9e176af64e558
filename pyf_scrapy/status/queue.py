"""What waits to be done, and who is doing something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyf_scrapy.profiles import Profile
from pyf_scrapy.queue.connection import redis_url
from pyf_scrapy.queue.waiting import RedisQueue, RedisState
from pyf_scrapy.session import open_store
from pyf_scrapy.status.coverage import unchecked
from pyf_scrapy.status.failures import has_store, next_try
from pyf_scrapy.status.runs import running
from pyf_scrapy.store import QueuedBySource, Store
from pyf_scrapy.store.index_file import IndexFile
from pyf_scrapy.store.lags import index_read_at


@dataclass(frozen=True)
class Work:
    """A spider that runs now, for so many `seconds`."""

    spider: str
    arguments: dict[str, Any]
    started_at: int
    seconds: int


@dataclass(frozen=True)
class QueueStats:
    """What `scrapy queue stats` shows. Times are epoch seconds.

    `queued` counts the names that wait because somebody asked for them, `oldest_at` since when the first one
    does. `to_check` counts the projects whose serial in PyPI's last index, read at `index_read_at`, is not
    the stored one; None = no index was read yet. `dirty`: packages by collection that are to be written or
    removed. `failures` counts those that the next run tries again, `postponed` those whose time has not come.
    `seen` counts the entries of feeds that are done; of `redis` when it is set.
    """

    folder: str
    queued: int = 0
    oldest_at: int | None = None
    by_source: list[QueuedBySource] = field(default_factory=list)
    to_check: int | None = None
    index_read_at: int | None = None
    dirty: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    postponed: int = 0
    running: list[Work] = field(default_factory=list)
    seen: int = 0
    redis: RedisState | None = None


def queue_stats(settings: Mapping[str, Any], spiders: Sequence[str], *, now: int) -> QueueStats:
    """Count what waits; `spiders` are the names of all there are. Makes no store.

    Raises StoreError, QueueError when Redis is set and cannot be asked, UsageProblem.
    """
    redis = None
    if (url := redis_url(settings)) is not None:
        with RedisQueue(url, spiders) as queue:
            redis = queue.state()
    found = QueueStats(str(settings["PYF_DATA_DIR"]), redis=redis, seen=redis.seen if redis else 0)
    if not has_store(settings):
        return found
    with open_store(settings, of_any_pypi=True) as store:
        by_source = store.queued_by_source()
        failures = store.failures()
        postponed = sum(next_try(row, now) is not None for row in failures)
        to_check, read_at = _work_list(settings, store)
        return QueueStats(
            folder=found.folder,
            queued=sum(source.names for source in by_source),
            oldest_at=min((source.oldest_at for source in by_source), default=None),
            by_source=by_source,
            to_check=to_check,
            index_read_at=read_at,
            dirty={
                row.collection: sum(
                    1 for _ in store.dirty(row.collection, Profile.from_definition(row.definition))
                )
                for row in store.collections()
            },
            failures=len(failures) - postponed,
            postponed=postponed,
            running=[
                Work(run.spider, run.arguments, run.started_at, max(now - run.started_at, 0))
                for run in running(store, spiders)
            ],
            seen=redis.seen if redis is not None else store.count_seen(now),
            redis=redis,
        )


def _work_list(settings: Mapping[str, Any], store: Store) -> tuple[int | None, int | None]:
    """How many projects of the last index are to be checked, and when it was read; None without one."""
    folder = Path(settings["PYF_DATA_DIR"])
    with IndexFile(folder / "index") as index:
        if index.read_header() is None:
            return None, None
        return unchecked(index, store.iter_serials()).count, index_read_at(store, folder)
