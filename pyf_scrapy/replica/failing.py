"""The faults of the plan, carried out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.faults import Rule

_REASONS = {
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Backend is unhealthy",
}

_GITHUB = {
    401: b'{"message":"Bad credentials"}',
    403: b'{"message":"Forbidden"}',
    404: b'{"message":"Not Found"}',
    429: b'{"message":"You have exceeded a secondary rate limit."}',
    502: b'{"error": "Server Error"}',
}
"""Where GitHub answers in JSON; 503 is a page with it, too."""


def _page(title: str) -> bytes:
    return (
        f"<!DOCTYPE html>\n<html>\n  <head><title>{title}</title></head>\n  <body>\n    <h1>{title}</h1>\n"
        "    <p>Sorry, this replica has been told to fail.</p>\n  </body>\n</html>\n"
    ).encode()


def failure(rule: Rule, kind: str) -> Answer | None:
    """The answer of a fault that needs no true answer; None for the other faults."""
    headers = {"Retry-After": retry_after(rule.retry_after)} if rule.retry_after else {}
    if kind.startswith("github") and rule.status in _GITHUB:
        return Answer(_GITHUB[rule.status], "application/json; charset=utf-8", rule.status, headers=headers)
    if kind == "pypistats" and rule.status:
        return Answer(str(rule.status).encode(), "text/html; charset=utf-8", rule.status, headers=headers)
    if rule.status == 404 and kind in ("project", "release"):
        return Answer(b'{"message": "Not Found"}', "application/json", 404, headers=headers)
    if rule.status == 404:
        return Answer(b"404 Not Found", "text/plain; charset=UTF-8", 404, headers=headers)
    if rule.status:
        title = f"{rule.status} {_REASONS.get(rule.status, 'Error')}"
        return Answer(_page(title), "text/html; charset=UTF-8", rule.status, headers=headers)
    if rule.fault == "html":
        return Answer(_page("Scheduled maintenance"), "text/html; charset=UTF-8", headers=headers)
    if rule.fault == "garbage":
        dice = Dice(rule.match, "garbage")
        body = b'{"info": {"name": "' + bytes(dice.between(0, 255) for _ in range(2000))
        return Answer(body, "application/json", headers=headers)
    return None


def retry_after(value: str) -> str:
    """The header's value: as in the plan, but `date+N` is the HTTP date N seconds from now."""
    if value.startswith("date+"):
        return format_datetime(datetime.now(UTC) + timedelta(seconds=int(value[5:])), usegmt=True)
    return value
