"""How much a service still allows, and how long to wait when it does not. Pure: each call is told the time.

GitHub says four things by 403: the primary limit is used up, a secondary limit was hit, this repository is
blocked, and this list is too long. Only the first two are about time.
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.github import RateLimit

__all__ = ["LONGEST_PAUSE", "RateLimit", "pause", "rate_limit", "refuses", "retry_after"]

#: Seconds. GitHub asks for at least a minute, growing; its longest window is an hour.
_SECONDARY: Final = 60.0
LONGEST_PAUSE: Final = 3600.0

_REFUSALS: Final = (403, 429)
#: GraphQL says 200 to what it refuses, and the message tells.
_LIMITED: Final = ("rate limit", "abuse")
#: What a 403 says that is no question of time; also in a message that speaks of limits.
_PERMANENT: Final = ("access blocked", "too large to list")


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What GitHub's headers say about the primary limit; None when they do not.

    Names are found in any spelling: X-RateLimit-*, X-Ratelimit-*, x-ratelimit-*.
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    remaining = wire.as_count(named.get("x-ratelimit-remaining"))
    if remaining is None:
        return None
    return RateLimit(
        remaining=remaining,
        limit=wire.as_count(named.get("x-ratelimit-limit")),
        reset=wire.as_count(named.get("x-ratelimit-reset")),
        resource=named.get("x-ratelimit-resource", ""),
    )


def refuses(status: int, message: str) -> bool:
    """Whether an answer with a `pause` was no answer to what was asked: ask the same again after it."""
    said = message.lower()
    return status in _REFUSALS or (status == 200 and any(words in said for words in _LIMITED))


def pause(
    status: int,
    headers: Mapping[str, str],
    message: str,
    now: float,
    *,
    told: float | None,
    attempt: int = 1,
) -> float | None:
    """Seconds to wait before the next request to GitHub; None when this answer is no reason to wait.

    `message` is `parse_message` of the body ("" for a usual answer), `now` epoch seconds, `told` the seconds
    of Retry-After (`middlewares.gates.retry_after`), `attempt` (from 1) how often in a row GitHub refused.

    Refused (403 or 429, or 200 with a message about rate limits), the wait is what Retry-After tells, else
    until the primary limit is reset, else 60 s, doubled by each attempt up to an hour. None for a 403 about
    the repository alone (blocked, list too large) or about who asks (push access, user agent). An answer
    that is no refusal but took the last of the primary limit also tells to wait until the reset.
    """
    said = message.lower()
    limited = any(words in said for words in _LIMITED)
    refused = refuses(status, message)
    if refused and told:
        return told
    if refused and any(words in said for words in _PERMANENT):
        return None
    limit = rate_limit(headers)
    exhausted = limit is not None and limit.remaining == 0
    if limit is not None and exhausted and limit.reset is not None and limit.reset > now:
        # One more second as clocks differ; a reset beyond an hour is a clock that is wrong.
        return min(limit.reset - now, LONGEST_PAUSE) + 1.0
    # A 403 that says nothing at all comes from before the API, from what guards it.
    silent = limit is None and not said
    if refused and (status == 429 or limited or exhausted or silent):
        return min(_SECONDARY * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE)
    return None


def retry_after(value: bytes | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date), None if unusable.

    `now` is in epoch seconds.
    """
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isdecimal() and text.isascii():
        return float(min(int(text[:9]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)
