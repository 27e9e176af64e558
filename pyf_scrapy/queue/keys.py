"""The keys in Redis of what is known of a spider's workers; those of scrapy-redis are in `waiting`.

`spider` is the name of a spider, or of one of its crawls (`crawl_name`).
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import Final

#: Seconds that a worker counts as alive after its last word.
ALIVE: Final = 12


def new_worker() -> str:
    """A name for this process that no other has; an operator sees the machine and the process in it."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"


def crawl_name(spider: str, scope: str) -> str:
    """The crawls of one spider that have different work to share have different names."""
    return f"{spider}:{scope}" if scope else spider


def scopes_key(spider: str) -> str:
    """A sorted set: the scopes of the spider's crawls with the time of the last word of a worker."""
    return f"{spider}:scopes"


def workers_key(spider: str) -> str:
    """A sorted set: "WORKER CONCURRENCY" with the time of its last word."""
    return f"{spider}:workers"


def covers_key(spider: str) -> str:
    """A hash: a worker -> its store and collections, as `Covers` in JSON."""
    return f"{spider}:covers"


def held_key(spider: str, worker: str) -> str:
    """A set: the names that a worker works on."""
    return f"{spider}:held:{worker}"


def errors_key(spider: str) -> str:
    """A list: messages that nobody understands."""
    return f"{spider}:errors"


def member(worker: str, concurrency: int) -> str:
    """A worker as the sorted set has it."""
    return f"{worker} {concurrency}"


def of_member(row: bytes | str) -> tuple[str, int]:
    """The worker, and how many requests it has at a time."""
    text = row.decode(errors="replace") if isinstance(row, bytes) else row
    worker, _, concurrency = text.rpartition(" ")
    return worker, int(concurrency) if concurrency.isdecimal() else 1
