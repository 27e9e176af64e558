"""GitHub's API as a crawl uses it: one request at a time, and none before GitHub allows it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from scrapy import Request
from scrapy.http import Response

from pyf_scrapy.dates import minute
from pyf_scrapy.exceptions import AuthenticationError, BudgetError, FetchError, ParseError
from pyf_scrapy.parsers.github import parse_contributors, parse_message, parse_repository
from pyf_scrapy.parsers.github_graphql import MAX_ALIASES, Batch, parse_batch, repository_query
from pyf_scrapy.parsers.records import Contributor, RepositoryRecord
from pyf_scrapy.queue.rates import SharedPause, host_name
from pyf_scrapy.spiders.fetching import Fetch, etag_of
from pyf_scrapy.store import Store
from pyf_scrapy.sync.limits import LONGEST_PAUSE, RateLimit, pause, rate_limit, refuses, retry_after

logger = logging.getLogger(__name__)

SLOT = "github"

#: What the store remembers (epoch seconds): the next run keeps it, too. A token has budgets of its own.
CLOSED_UNTIL = {True: "github/closed_until/token", False: "github/closed_until/anonymous"}

#: Seconds; whoever says more, or a clock that was set back, holds up nobody for longer.
_LONGEST_CLOSED = 86_400.0
#: Refusals of one request in a row, each waited out, after which the run ends.
_MOST_REFUSALS = 6

#: Where GitHub leads from a former name; the number alone is used, never the address.
_BY_ID = re.compile(r"/repositories/([0-9]{1,15})(?:[/?]|$)")
_NO_SUCH = frozenset({404, 410})


class Answer(NamedTuple):
    """About one repository by REST: `state` as in the store, None = not modified."""

    state: str
    record: RepositoryRecord | None = None
    etag: str | None = None


class GitHub:
    """GitHub at `base`. `fetch` sends a request through all middlewares, `wait` may raise FetchError.

    Refused or out of budget it waits as long as GitHub says, at most `patience` seconds, else BudgetError;
    what other workers with this budget (`budget_name`) were told counts, too: `shared`.
    `say` is told what was asked and answered.
    """

    def __init__(
        self,
        base: str,
        token: str | None,
        *,
        fetch: Fetch,
        wait: Callable[[float], Awaitable[None]],
        store: Callable[[], Store],
        shared: SharedPause,
        patience: float,
        say: Callable[..., None] = logger.debug,
    ) -> None:
        self.base = base.rstrip("/")
        self.token = token
        self.fetch = fetch
        self.patience = patience
        #: what is left of REST's budget, as far as known
        self.left: int | None = None
        self.limit: int | None = None
        self._wait = wait
        self._store = store
        self._shared = shared
        self._say = say
        self._closed_until: float | None = None
        self._points: RateLimit | None = None  # of GraphQL, as of the last answer

    async def batch(self, names: Sequence[tuple[str, str]]) -> Batch:
        """Up to 100 repositories (owner, name) by GraphQL. Raises FetchError, ParseError, BudgetError."""
        # Whoever asks for more than is left is refused.
        points, expected = self._points, max(1, round(len(names) * 4 / MAX_ALIASES))
        if points is not None and points.reset is not None and points.remaining < expected:
            await self._close_for_reset(points.reset)
        request = self._request("/graphql", method="POST", body=repository_query(names))
        found: list[Batch] = []

        def read(response: Response) -> str:
            if response.status != 200:
                return parse_message(response.body)
            try:
                found.append(parse_batch(response.body, len(names)))
            except ParseError as error:
                return error.reason
            return ""

        response, said = await self._send(request, f"{len(names)} repositories", read)
        if not found:
            raise FetchError(f"HTTP {response.status}: {said}", transport=True)
        self._points = found[0].rate
        return found[0]

    async def repository(self, owner: str, name: str, etag: str | None) -> Answer:
        """One repository by REST, renames followed. Raises FetchError, ParseError, BudgetError."""
        response = await self._get(f"/repos/{quote(owner)}/{quote(name)}", etag)
        if response.status in {301, 302, 307, 308}:
            location = (response.headers.get("Location") or b"").decode("latin-1")
            moved = _BY_ID.search(location)
            if moved is None:
                raise FetchError(f"HTTP {response.status} without the number of the repository")
            response = await self._get(f"/repositories/{moved[1]}", None)
        if response.status == 304 and etag:
            return Answer("ok", etag=etag)
        if response.status in _NO_SUCH:
            return Answer("not_found")
        if response.status in {403, 451}:
            return Answer("blocked")
        if response.status != 200:
            raise FetchError(f"HTTP {response.status}: {parse_message(response.body)}", transport=True)
        return Answer("ok", parse_repository(response.body), etag_of(response))

    async def contributors(self, owner: str, name: str) -> tuple[Contributor, ...] | None:
        """Who contributed most, nobody for an empty repository; None when GitHub does not tell.

        Raises FetchError, ParseError, BudgetError.
        """
        response = await self._get(f"/repos/{quote(owner)}/{quote(name)}/contributors?per_page=5", None)
        if response.status == 204:
            return ()
        if response.status >= 500:
            raise FetchError(f"HTTP {response.status}: {parse_message(response.body)}", transport=True)
        if response.status != 200:
            return None
        return parse_contributors(response.body)

    async def _get(self, path: str, etag: str | None) -> Response:
        request = self._request(path)
        if etag:
            request.headers["If-None-Match"] = etag
        response, _ = await self._send(request, "conditional" if etag else "", _message)
        if (limit := rate_limit(_headers(response))) is not None:
            self.left, self.limit = limit.remaining, limit.limit
        return response

    def _request(self, path: str, **options: Any) -> Request:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if "body" in options:
            headers["Content-Type"] = "application/json"
        meta = {"dont_retry": True, "download_slot": SLOT}
        return Request(f"{self.base}{path}", headers=headers, meta=meta, **options)

    async def _send(
        self, request: Request, note: str, read: Callable[[Response], str]
    ) -> tuple[Response, str]:
        """The answer to a request, as soon as it is no refusal, and what `read` made of it: what GitHub said,
        "" if all is well."""
        asked = f"{request.method} {request.url.removeprefix(self.base)}{f' ({note})' if note else ''}"
        for attempt in range(1, _MOST_REFUSALS + 1):
            await self._open()
            response = await self.fetch(request.copy())
            said, headers, now = self._without_token(read(response)), _headers(response), time.time()
            limit = rate_limit(headers)
            left = f", {limit.remaining} left" if limit is not None else ""
            self._say("%s: HTTP %d%s%s", asked, response.status, left, f" ({said})" if said else "")
            if response.status == 401:
                raise AuthenticationError(f"GitHub does not accept the token ({said}): check GITHUB_TOKEN")
            told = retry_after(response.headers.get(b"Retry-After"), now)
            wait = pause(response.status, headers, said, now, told=told, attempt=attempt)
            if wait is not None:
                await self._close(now + wait)
            elif limit is not None and limit.remaining == 0 and limit.reset is not None:
                await self._close_for_reset(limit.reset)  # about this repository alone, but the last one
            if wait is None or not refuses(response.status, said):
                return response, said
        await self._open()
        raise BudgetError(f"GitHub goes on refusing ({said})")

    async def _open(self) -> None:
        """Wait until GitHub allows requests again. Raises BudgetError when that takes too long."""
        if self._closed_until is None:
            known = await asyncio.to_thread(self._store().recall, CLOSED_UNTIL[bool(self.token)])
            self._closed_until = float(known) if isinstance(known, int | float) else 0.0
        left = max(self._closed_until - time.time(), await self._shared.left())
        left = min(left, _LONGEST_CLOSED)
        if left > self.patience:
            raise BudgetError(f"GitHub allows no more requests until {minute(int(time.time() + left))} UTC")
        if left > 0:
            logger.info("GitHub is not asked for %.0f s, as it wishes", left)
            await self._wait(left)

    async def _close_for_reset(self, reset: float) -> None:
        """Until the primary limit is reset; one second more, as clocks differ, an hour at most."""
        now = time.time()
        if reset > now:
            await self._close(min(reset, now + LONGEST_PAUSE) + 1.0)

    async def _close(self, until: float) -> None:
        self._closed_until = max(min(until, time.time() + _LONGEST_CLOSED), self._closed_until or 0.0)
        await asyncio.to_thread(self._store().remember, CLOSED_UNTIL[bool(self.token)], self._closed_until)
        await self._shared.begin(self._closed_until - time.time())

    def _without_token(self, said: str) -> str:
        return said.replace(self.token, "...") if self.token else said


def budget_name(base: str, token: str | None) -> str:
    """Whose budget requests to GitHub at `base` spend, without telling the token."""
    account = hashlib.sha256(token.encode()).hexdigest()[:16] if token else "anonymous"
    return f"{host_name(base)}/{account}"


def _headers(response: Response) -> dict[str, str]:
    return {
        name.decode("latin-1"): values[-1].decode("latin-1")
        for name, values in response.headers.items()
        if values
    }


def _message(response: Response) -> str:
    return parse_message(response.body) if response.status >= 400 else ""
