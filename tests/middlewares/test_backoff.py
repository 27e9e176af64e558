"""What fails for a moment must not cost its package, and what fails for good must not hold up the crawl."""

from __future__ import annotations

import pytest
from scrapy import Request, Spider
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http import Response
from scrapy.utils.test import get_crawler

from pyf_scrapy.middlewares.backoff import BackoffMiddleware

SETTINGS = {
    "PYPI_MAX_RETRIES": 2,
    "PYPI_RETRY_BACKOFF": 0.01,
    "BACKOFF_MAX_DELAY": 100,
    "BACKOFF_THROTTLED_RETRIES": 3,
}
URL = "http://host.example/a"


class _Engine:
    """The one attribute of a running engine that the middleware reads."""

    running = True


def middleware(**settings: object) -> BackoffMiddleware:
    crawler = get_crawler(Spider, {**SETTINGS, **settings})
    crawler.spider = Spider.from_crawler(crawler, name="x")
    crawler.engine = _Engine()  # type: ignore[assignment]
    return BackoffMiddleware.from_crawler(crawler)


async def answers(backoff: BackoffMiddleware, request: Request, *statuses: int) -> Request | Response:
    """What the middleware makes of these answers, one after the other, to a request and its repetitions."""
    result: Request | Response = request
    for status in statuses:
        assert isinstance(result, Request)
        result = await backoff.process_response(result, Response(result.url, status=status))
    return result


@pytest.mark.parametrize(("status", "times"), [(429, 3), (503, 2), (500, 2)])
async def test_it_is_asked_for_again_a_bounded_number_of_times(status: int, times: int) -> None:
    assert isinstance(await answers(middleware(), Request(URL), *[status] * times), Request)
    assert isinstance(await answers(middleware(), Request(URL), *[status] * (times + 1)), Response)


async def test_having_waited_costs_no_try() -> None:
    """A package whose request met the throttling of the host would be given up at its first real error."""
    assert isinstance(await answers(middleware(), Request(URL), 429, 429, 500, 429, 500), Request)
    assert isinstance(await answers(middleware(), Request(URL), 429, 429, 500, 429, 500, 500), Response)


async def test_other_answers_and_errors_pass() -> None:
    backoff = middleware()
    request = Request(URL)
    missing = Response(URL, status=404)
    assert await backoff.process_response(request, missing) is missing
    assert await backoff.process_exception(request, ValueError("a bug")) is None
    assert isinstance(await backoff.process_exception(request, TimeoutError()), Request)


async def test_a_crawl_that_stops_does_not_wait_for_the_next_try() -> None:
    backoff = middleware(PYPI_RETRY_BACKOFF=90)
    backoff.crawler.engine.running = False
    with pytest.raises(IgnoreRequest):
        await backoff.process_response(Request(URL), Response(URL, status=500))


def test_it_can_be_switched_off() -> None:
    with pytest.raises(NotConfigured):
        middleware(RETRY_ENABLED=False)
