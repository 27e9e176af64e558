"""Where Redis is. Misread, the keys of several machines would silently be kept apart (W14d)."""

from __future__ import annotations

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.queue.connection import connect, redis_url, shown


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "redis://localhost:6379/0"),
        ("localhost:6379", "redis://localhost:6379/0"),  # as the README of pyf.aggregator has it
        (" queue-1.example.org:6380 ", "redis://queue-1.example.org:6380/0"),
        ("10.0.0.7:1", "redis://10.0.0.7:1/0"),
        ("::1", "redis://[::1]:6379/0"),
        ("[::1]", "redis://[::1]:6379/0"),
        ("[2001:db8::7]:65535", "redis://[2001:db8::7]:65535/0"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),  # as its code reads it
        ("rediss://:secret@example.org", "rediss://:secret@example.org"),
    ],
)
def test_a_host_in_every_form(host: str, url: str) -> None:
    assert redis_url({"REDIS_URL": None, "REDIS_HOST": host}) == url
    with connect(url) as client:
        at = client.connection_pool.connection_kwargs
        assert f"{at['host']}".strip("[]") in url


def test_the_url_comes_first_and_neither_is_needed() -> None:
    settings = {"REDIS_URL": "unix:///run/valkey.sock?db=3", "REDIS_HOST": "localhost"}
    assert redis_url(settings) == "unix:///run/valkey.sock?db=3"
    assert redis_url({"REDIS_URL": "", "REDIS_HOST": " "}) is None
    assert redis_url({}) is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost:",
        "localhost:http",
        "localhost:0",
        "localhost:65536",
        "localhost:123456",
        ":6379",
        "local host",
        "localhost/0",
        "[::1",
        "::1]",
        "[localhost]:6379",
        "[1.2.3.4]",
        "2001:db8::7:6379:x",
        "1:2:3",
        "ho\nst",
        "amqp://localhost",
        "redis://",
    ],
)
def test_a_bad_host_is_one_clear_line(host: str) -> None:
    with pytest.raises(UsageProblem, match=r"^REDIS_HOST") as caught:
        redis_url({"REDIS_HOST": host})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://:5ecret@localhost",
        "localhost:6379?password=5ecret",
        "redis://:5ecret@",
        "redis://:5ecret@localhost:port",
        "redis://:5ecret@localhost:0",
        "redis://:5ecret@localhost:99999",
        "redis://:5ecret@[localhost",
        "redis://:5ecret@localhost/plone",
        "redis://:a/5ecret@localhost/0",
        "redis://me:12/5ecret@localhost/0",
        "redis://:a#5ecret@localhost/0",
        "redis://me:12#5ecret@localhost/0",
        "unix://?password=5ecret",
        "redis://:5ecret@local\x07host",
    ],
)
def test_a_bad_url_is_one_clear_line_without_the_password(url: str) -> None:
    with pytest.raises(UsageProblem, match=r"^REDIS_URL is not the URL of a server") as caught:
        redis_url({"REDIS_URL": url})
    assert "5ecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", ["pasword=5ecret", "db=5ecret", "socket_timeout=5ecret", "db=0&nope=1"])
@pytest.mark.parametrize(
    "place", ["redis://localhost:6379/0", "rediss://localhost", "unix:///run/valkey.sock"]
)
def test_bad_options_are_bad_input_and_not_an_outage(place: str, options: str) -> None:
    with pytest.raises(UsageProblem, match=r"^REDIS_URL has an option") as caught:
        connect(f"{place}?{options}")
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://me:5ecret@localhost:6380/2", "redis://localhost:6380/2"),
        ("rediss://:5ecret@[::1]", "rediss://[::1]:6379"),
        ("redis://localhost/?password=5ecret", "redis://localhost:6379/"),
        ("unix://me:5ecret@/run/valkey.sock?password=5ecret&db=1", "unix:///run/valkey.sock"),
        ("redis:///0", "redis://localhost:6379/0"),
    ],
)
def test_what_is_shown_holds_no_password(url: str, expected: str) -> None:
    assert shown(url) == expected
