"""A source by HTTP: its lines, from a cursor on, as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from pyf_scrapy import __version__
from pyf_scrapy.exceptions import ReplicationError, SourceReplacedError, UsageProblem
from pyf_scrapy.replication.compression import unpacked_lines
from pyf_scrapy.store.copies import CopyState

MEDIA_TYPE = "application/x-ndjson"

#: Seconds for a connection, and between two pieces of an answer.
_TIMEOUT = httpx.Timeout(60, connect=10)
_LONGEST_WAIT = 300  # seconds that a source may make us wait
_LONGEST_PROBLEM = 2_000  # bytes


class SourceBusyError(ReplicationError):
    """Raised when the source wants us to come again after `retry_after` seconds, or was cut off."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def checked_url(text: str) -> str:
    """The address of a source, without a slash at its end. Raises UsageProblem."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or parts.query or parts.fragment or parts.username or " " in text or not text.isprintable():
        # It may hold a password.
        given = "what was given" if "@" in text else repr(text[:200])
        raise UsageProblem(f"{given} is not the address of a source; give http(s)://HOST[:PORT]")
    return text.rstrip("/")


@contextmanager
def opened(state: CopyState) -> Iterator[Iterator[bytes]]:
    """The lines that the copy of this state lacks, for `with`. No redirect is followed.

    Raises SourceBusyError when the same may work later, SourceReplacedError when only a copy from the
    beginning helps, else ReplicationError; also from the lines.
    """
    query: dict[str, str] = {}
    if state.cursor:
        query["cursor"] = state.cursor
    if state.scope is not None:
        query["profile"] = ",".join(state.scope)
    headers = {"accept": MEDIA_TYPE, "accept-encoding": "gzip", "user-agent": f"pyf_scrapy/{__version__}"}
    try:
        with (
            httpx.Client(timeout=_TIMEOUT, headers=headers, trust_env=True) as client,
            client.stream("GET", f"{state.source}/replicate", params=query) as answer,
        ):
            _check(answer)
            yield unpacked_lines(answer.iter_raw())
    except httpx.HTTPError as error:
        raise SourceBusyError(f"{state.source}: {str(error) or type(error).__name__}") from error


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 200:
        if not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            raise ReplicationError(f"{answer.url.host} does not answer with the lines of a store")
        if answer.headers.get("content-encoding") != "gzip":
            raise ReplicationError(f"{answer.url.host} does not send gzip")
        return
    reason = f"{answer.url.host}: {_problem(answer) or f'HTTP status {status}'}"
    if status == 409:
        raise SourceReplacedError(reason)
    if status == 429 or status >= 500:
        raise SourceBusyError(reason, _retry_after(answer))
    if status in (400, 404):
        raise UsageProblem(reason)
    raise ReplicationError(reason)


def _problem(answer: httpx.Response) -> str:
    """What a problem (RFC 9457) says, printable; "" when it is none."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return ""
    body = b""
    try:
        for piece in answer.iter_raw(_LONGEST_PROBLEM):
            body += piece
            if len(body) > _LONGEST_PROBLEM:
                return ""
        detail: Any = httpx.Response(200, content=body).json()["detail"]
    except (ValueError, LookupError, TypeError):
        return ""
    return "".join(character for character in str(detail)[:500] if character.isprintable())


def _retry_after(answer: httpx.Response) -> float | None:
    value = answer.headers.get("retry-after", "")
    return min(float(value), _LONGEST_WAIT) if value.isascii() and value.isdecimal() else None
