"""Names that one spider has found are handed to the workers of `crawl project -a follow=1`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyf_scrapy.queue.messages import Covers, Message, encode
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.asking import Ask


def covered(session: Session) -> Covers:
    """What a worker of this session fills."""
    return Covers(session.store.store_id(), frozenset(profile.collection for profile in session.profiles))


def hand_over(url: str, session: Session, asks: Sequence[Ask], source: str) -> int:
    """Have workers ask, if the Redis at `url` knows some that fill all that this session does: how many there
    are, 0: nothing was done.

    The names are noted in the store's queue first, so that they are not lost with a worker or with Redis.
    Blocking; raises QueueError, StoreError.
    """
    from pyf_scrapy.queue.sharing import SharedQueue  # with redis, which takes its time

    queue = SharedQueue(url, "project")
    try:
        workers = queue.takers(covered(session))
        if workers:
            session.store.enqueue([ask.name for ask in asks], int(time.time()), source)
            queue.push([encode(_message(ask)) for ask in asks])
        return workers
    finally:
        queue.close()


def _message(ask: Ask) -> Message:
    promise = ask.promise
    return Message(ask.name, promise.serial, version=promise.version, announced=ask.is_announced)
