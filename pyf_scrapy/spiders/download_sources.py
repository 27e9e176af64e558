"""Who counts downloads, as a crawl asks them: pypistats.org a package at a time, ClickPy thousands at once.

Neither can make figures vanish by being wrong: before it is believed that a source does not know a package,
it must know `pip`, which every machine downloads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from scrapy import Request
from scrapy.http import Response

from pyf_scrapy.exceptions import FetchError, ParseError, SourceError
from pyf_scrapy.parsers import clickpy
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import DownloadCounts
from pyf_scrapy.queue.rates import SharedPause
from pyf_scrapy.spiders.fetching import Fetch
from pyf_scrapy.store import Store
from pyf_scrapy.sync.limits import retry_after

logger = logging.getLogger(__name__)

SLOT: Final = "pypistats"

#: pypistats.org allows 30 requests a minute, in a window that the first of them begins. A request starts
#: when the one before it is answered, and a delay after that one's start: so the 31st starts 29 delays after
#: the first had arrived, however slow the net was, and 29 * 2 s * 1.04 are more than a minute.
MARGIN: Final = 1.04
ALLOWED: Final = 30

#: Seconds. A source that asks for a longer pause is left to another run.
PATIENCE: Final = 3600.0
_LONGEST_BACKOFF: Final = 300.0
#: So many packages in a row may be unknown, then `pip` is asked for.
_BELIEVED: Final = 20
_SURE: Final = "pip"

#: What the store remembers (epoch seconds): the next run keeps it, too.
CLOSED_UNTIL: Final = "pypistats/closed_until"


class PypiStats:
    """pypistats at `base`, asked once in `delay` seconds. `wait` may raise FetchError, as `fetch` does.

    `shared` is the pause of its host, which `fetch` keeps.
    """

    def __init__(
        self,
        base: str,
        *,
        fetch: Fetch,
        wait: Callable[[float], Awaitable[None]],
        store: Callable[[], Store],
        shared: SharedPause,
        delay: float,
        retries: int,
        backoff: float,
    ) -> None:
        self.base = base.rstrip("/")
        self.fetch = fetch
        self.delay = delay
        self.retries = retries
        self.backoff = backoff
        self._wait = wait
        self._store = store
        self._shared = shared
        self._credit = 0  # unknown packages that are believed

    async def open(self) -> None:
        """Wait as long as a run before this one, perhaps a killed one, makes it necessary.

        Raises SourceError when that is very long.
        """
        known = await asyncio.to_thread(self._store().recall, CLOSED_UNTIL)
        left = float(known) - time.time() if isinstance(known, int | float) else 0.0
        if left > PATIENCE:
            raise _refused(left)
        if left > 0:
            logger.info("pypistats is not asked for %.0f s, as it wishes", left)
        await self._wait(max(left, self.delay))

    async def recent(self, name: str) -> DownloadCounts | None:
        """The figures of one package, None when it is unknown.

        Raises FetchError and ParseError about this package, SourceError when there is no point in going on.
        """
        counts = await self._recent(name)
        if counts is not None:
            self._credit = _BELIEVED
        elif self._credit:
            self._credit -= 1
        elif await self._recent(_SURE) is None:
            raise SourceError(f"{self.base} is not pypistats: it does not know {_SURE}; check PYPISTATS_URL")
        else:
            self._credit = _BELIEVED
        return counts

    async def _recent(self, name: str) -> DownloadCounts | None:
        url = f"{self.base}/api/packages/{quote(name, safe='')}/recent"
        refusals = attempt = 0
        while True:
            response = await self._ask(url)
            status = response.status if response is not None else 0
            if response is not None and status == 200:
                return parse_recent(response.body, _yesterday())
            if status == 404:
                return None
            if response is not None and status == 429:
                refusals += 1
                await self._refused(response, refusals)
                continue
            attempt += 1
            if attempt > self.retries:
                raise FetchError(f"HTTP {status}" if status else "no answer", transport=True)
            await self._wait(min(self.backoff * 2 ** (attempt - 1), _LONGEST_BACKOFF))

    async def _ask(self, url: str) -> Response | None:
        """The answer, None when there was none.

        Raises FetchError when the crawl stops, SourceError when another worker was told to wait very long.
        """
        if (left := await self._shared.left()) > PATIENCE:
            raise _refused(left)
        try:
            return await self.fetch(Request(url, meta={"dont_retry": True, "download_slot": SLOT}))
        except FetchError:
            await self._wait(0)
            return None

    async def _refused(self, response: Response, refusals: int) -> None:
        """Wait after a 429, which as a rule does not say how long. Raises SourceError after too many."""
        now = time.time()
        told = retry_after(response.headers.get(b"Retry-After"), now)
        pause = max(told or 0.0, ALLOWED * self.delay * 2 ** (refusals - 1))
        # A kill must not hide it: whoever asks too early is refused for longer.
        await asyncio.to_thread(self._store().remember, CLOSED_UNTIL, now + pause)
        await self._shared.begin(pause)
        if refusals > self.retries or pause > PATIENCE:
            raise _refused(pause)
        logger.info("pypistats refuses (HTTP 429): it is not asked for %.0f s", pause)
        await self._wait(pause)


class ClickPy:
    """ClickPy at `base`."""

    def __init__(self, base: str, fetch: Fetch) -> None:
        base = base.rstrip("/")
        self.url = f"{base}{'' if urlsplit(base).path else '/'}?user=demo&default_format=JSON"
        self.fetch = fetch
        self._is_sure = False

    async def recent(self, names: Sequence[str]) -> Mapping[str, DownloadCounts]:
        """The figures of packages that it knows, of as many as `clickpy.batches` puts together.

        Raises SourceError, for whatever reason there are none.
        """
        found = await self._bulk(names)
        if not (found or self._is_sure) and not await self._bulk([_SURE]):
            raise SourceError(f"ClickPy has no figures, not even of {_SURE}: run the same command later")
        self._is_sure = True
        return found

    async def _bulk(self, names: Sequence[str]) -> Mapping[str, DownloadCounts]:
        request = Request(
            self.url,
            method="POST",
            body=clickpy.bulk_query(names, datetime.now(UTC).date()),
            meta={"download_timeout": 300, "autothrottle_dont_adjust_delay": True},  # large, not slow
        )
        try:
            response = await self.fetch(request)
        except FetchError as error:
            raise SourceError(f"ClickPy does not answer ({error}): run the same command later") from error
        if response.status != 200:
            said = response.body[:300].decode("utf-8", "replace").partition("\n")[0].strip()
            raise SourceError(f"ClickPy answers HTTP {response.status}{': ' if said else ''}{_shown(said)}")
        try:
            return await asyncio.to_thread(clickpy.parse_bulk, response.body, _yesterday())
        except ParseError as error:
            raise SourceError(f"{error}: nothing of it is used; run the same command later") from error


def _refused(pause: float) -> SourceError:
    return SourceError(f"pypistats refuses all requests (HTTP 429): run the same command in {pause:.0f} s")


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _yesterday() -> int:
    """Midnight (UTC, epoch seconds) of the last day that is complete."""
    day: date = datetime.now(UTC).date() - timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
