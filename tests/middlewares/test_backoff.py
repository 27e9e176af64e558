"""A server that asks to wait and is not obeyed blocks the operator for good."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import Request, Spider
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http import Response
from scrapy.utils.test import get_crawler

from pyf_scrapy.middlewares.backoff import BackoffMiddleware, retry_after

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = {
    "PYPI_MAX_RETRIES": 2,
    "PYPI_RETRY_BACKOFF": 0.01,
    "BACKOFF_MAX_DELAY": 100,
    "BACKOFF_THROTTLED_RETRIES": 3,
}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b" 0 ", 0.0),
        (b"99999999999999999999", 999999999.0),
        (format_datetime(datetime(2026, 11, 21, 12, 1, tzinfo=UTC), usegmt=True).encode(), 60.0),
        (b"Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        (b"Sat, 21 Nov 2026 14:00:00 +0100", 3600.0),
        (b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        (b"soon", None),
        (b"-5", None),
        (b"1.5", None),
        (b"\xb2", None),
        (b"", None),
        (None, None),
    ],
)
def test_retry_after_takes_seconds_and_dates(value: bytes | None, seconds: float | None) -> None:
    assert retry_after(value, NOW.timestamp()) == seconds


@given(st.binary(max_size=60))
def test_retry_after_survives_any_bytes(value: bytes) -> None:
    seconds = retry_after(value, NOW.timestamp())
    assert seconds is None or seconds >= 0


class _Engine:
    """The one attribute of a running engine that the middleware reads."""

    running = True


def middleware(**settings: object) -> BackoffMiddleware:
    crawler = get_crawler(Spider, {**SETTINGS, **settings})
    crawler.spider = Spider.from_crawler(crawler, name="x")
    crawler.engine = _Engine()  # type: ignore[assignment]
    return BackoffMiddleware.from_crawler(crawler)


async def test_a_throttled_answer_is_asked_for_again_a_bounded_number_of_times() -> None:
    backoff = middleware()
    request = Request("http://host.example/a")
    for _ in range(3):
        again = await backoff.process_response(request, Response(request.url, status=429))
        assert isinstance(again, Request)
        request = again
    last = await backoff.process_response(request, Response(request.url, status=429))
    assert isinstance(last, Response)


async def test_the_pause_concerns_all_requests_to_the_host_and_no_other() -> None:
    backoff = middleware(BACKOFF_MAX_DELAY=0.05)
    limited = Response("http://host.example/a", status=503, headers={"Retry-After": "7200"})
    await backoff.process_response(Request(limited.url), limited)
    assert list(backoff.closed_until) == ["host.example"]
    await backoff.process_request(Request("http://other.example/b"))
    await backoff.process_request(Request("http://host.example/b"))


async def test_a_crawl_that_stops_does_not_wait_for_a_closed_gate() -> None:
    backoff = middleware()
    limited = Response("http://host.example/a", status=429, headers={"Retry-After": "90"})
    await backoff.process_response(Request(limited.url), limited)
    backoff.crawler.engine.running = False
    with pytest.raises(IgnoreRequest):
        await backoff.process_request(Request("http://host.example/b"))


async def test_other_answers_and_errors_pass() -> None:
    backoff = middleware()
    request = Request("http://host.example/a")
    missing = Response(request.url, status=404)
    assert await backoff.process_response(request, missing) is missing
    assert await backoff.process_exception(request, ValueError("a bug")) is None
    assert isinstance(await backoff.process_exception(request, TimeoutError()), Request)


def test_it_can_be_switched_off() -> None:
    with pytest.raises(NotConfigured):
        middleware(RETRY_ENABLED=False)
