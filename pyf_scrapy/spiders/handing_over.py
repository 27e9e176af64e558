"""Names that one spider has found are handed to the workers of `crawl project -a follow=1`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyf_scrapy.queue.messages import Message, encode
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.store import Store


def hand_over(url: str, store: Store, asks: Sequence[Ask], source: str) -> int:
    """Have workers ask, if the Redis at `url` knows any: how many there are, 0: nothing was done.

    The names are noted in the store's queue first, so that they are not lost with a worker or with Redis.
    Blocking; raises QueueError, StoreError.
    """
    from pyf_scrapy.queue.sharing import SharedQueue  # with redis, which takes its time

    queue = SharedQueue(url, "project")
    try:
        if not queue.alive():
            return 0
        store.enqueue([ask.name for ask in asks], int(time.time()), source)
        messages = [Message(ask.name, ask.promise.serial, version=ask.promise.version) for ask in asks]
        return queue.hand_out([encode(message) for message in messages])
    finally:
        queue.close()
