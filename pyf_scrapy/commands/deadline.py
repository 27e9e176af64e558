"""The last word when a crawl that was asked to stop cannot: a service hangs, and a thread waits for it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scrapy.crawler import Crawler

from pyf_scrapy.commands.output import ExitCode

logger = logging.getLogger(__name__)

#: Seconds from a signal to the end of the program, whatever does not answer; PyPI's answers have 15 of them.
LAST_SECONDS: Final = 28.0
_STEP = 0.2
_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


@contextmanager
def deadline(crawler: Crawler) -> Iterator[None]:
    """End the program LAST_SECONDS after Ctrl-C or SIGTERM if it has not ended by then.

    It is ended as `kill -9` ends it, which loses nothing that is stored. Otherwise a request that a hanging
    search server does not answer would be waited for, and repeated, for minutes.
    """
    over = threading.Event()
    threading.Thread(target=_watch, args=(crawler, over), name="deadline", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(crawler: Crawler, over: threading.Event) -> None:
    # Scrapy takes `crawling` back when it is asked to stop, and when the crawl cannot begin.
    while crawler.spider is None or crawler.crawling:
        if over.wait(_STEP):
            return
    if over.wait(LAST_SECONDS):
        return
    # Who reads the log may hang, too.
    saying = threading.Thread(target=_say, daemon=True)
    saying.start()
    saying.join(1.0)
    os._exit(ExitCode.FAILED)


def _say() -> None:
    logger.error(
        "Ended %.0f s after it was asked to stop: a service does not answer. Nothing stored is lost; the "
        "same command goes on from here.",
        LAST_SECONDS,
    )
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
    sys.stderr.flush()
