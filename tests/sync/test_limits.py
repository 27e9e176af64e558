"""Limits of services: who does not wait is locked out, who waits for nothing never gets done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.github import parse_message
from pyf_scrapy.sync.limits import LONGEST_PAUSE, RateLimit, pause, rate_limit, retry_after

NOW = 1_795_255_200.0
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESET = str(int(NOW) + 600)
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again"
LIST_TOO_LONG = "The history or contributor list is too large to list contributors for this repository."


def waits(
    status: int, headers: Mapping[str, str], message: str = "", *, now: float = NOW, attempt: int = 1
) -> float | None:
    """As the spider asks: with what its middleware reads from Retry-After."""
    named = {name.lower(): value for name, value in headers.items()}
    value = named.get("retry-after")
    told = retry_after(value.encode() if value else None, now)
    return pause(status, headers, message, now, told=told, attempt=attempt)


def left(remaining: int, reset: str | None = RESET) -> dict[str, str]:
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(remaining)}
    return headers | ({"X-RateLimit-Reset": reset} if reset else {})


class TestRateLimit:
    @pytest.mark.parametrize("spelling", ["X-RateLimit-%s", "X-Ratelimit-%s", "x-ratelimit-%s"])
    def test_any_spelling(self, spelling: str) -> None:
        """A limit that is not recognised is run into: an hour without answers."""
        told = {"Limit": "5000", "Remaining": " 4999 ", "Reset": "1600000000", "Resource": "graphql"}
        headers = {
            spelling % (name.lower() if spelling[0] == "x" else name): value for name, value in told.items()
        }
        assert rate_limit(headers) == RateLimit(4999, 5000, 1_600_000_000, "graphql")

    def test_old_answers_tell_less(self) -> None:
        assert rate_limit({"x-ratelimit-remaining": "0"}) == RateLimit(0)

    @pytest.mark.parametrize("remaining", [None, "", "many", "-1", "1.5", "9" * 30])
    def test_what_is_no_number_tells_nothing(self, remaining: str | None) -> None:
        headers = {"X-RateLimit-Limit": "60"}
        assert rate_limit(headers | ({"X-RateLimit-Remaining": remaining} if remaining else {})) is None


class TestPause:
    @pytest.mark.parametrize("status", [403, 429])
    @pytest.mark.parametrize(
        ("value", "seconds"), [("60", 60), ("Sat, 21 Nov 2026 10:00:08 GMT", 8), ("90", 90)]
    )
    def test_retry_after_comes_first(self, status: int, value: str, seconds: float) -> None:
        """Whatever else the answer says; also when its body is the single byte `{`."""
        now = 1_795_255_200.0
        headers = {"Retry-After": value} | left(0)
        assert waits(status, headers, now=now) == seconds

    def test_without_it_until_the_primary_limit_is_reset(self) -> None:
        for status in (403, 429):
            assert waits(status, left(0), "API rate limit exceeded for user ID 1.") == 601

    def test_graphql_refuses_with_200(self) -> None:
        """Taken for an answer, it would cost 100 repositories their figures."""
        assert waits(200, left(0), "API rate limit exceeded for user ID 1.") == 601
        assert waits(200, left(4000), SECONDARY) == 60
        assert waits(200, {"Retry-After": "30"}, SECONDARY) == 30

    def test_the_last_request_of_the_hour_tells_to_wait_too(self) -> None:
        assert waits(200, left(0)) == 601
        assert waits(404, left(0), "Not Found") == 601
        assert waits(200, left(1)) is None

    @pytest.mark.parametrize(("attempt", "seconds"), [(1, 60), (2, 120), (4, 480), (7, 3600), (5000, 3600)])
    def test_secondary_limits_grow(self, attempt: int, seconds: float) -> None:
        """GitHub blocks who goes on asking."""
        for status in (403, 429):
            assert waits(status, left(4000), SECONDARY, attempt=attempt) == seconds

    @pytest.mark.parametrize("message", ["You have triggered an abuse detection mechanism.", SECONDARY])
    def test_secondary_limits_by_any_name(self, message: str) -> None:
        assert waits(403, {}, message) == 60

    def test_a_reset_that_cannot_be_used(self) -> None:
        """Missing, or past because the clocks differ: at least the minute that GitHub asks for."""
        for reset in (None, "soon", str(int(NOW) - 5), str(int(NOW))):
            assert waits(403, left(0, reset), "API rate limit exceeded") == 60
            assert waits(200, left(0, reset)) is None

    def test_a_wrong_clock_does_not_wait_for_years(self) -> None:
        assert waits(403, left(0), "API rate limit exceeded", now=0.0) == LONGEST_PAUSE + 1

    def test_a_retry_after_that_tells_nothing(self) -> None:
        """0 or a past date would be asked again at once, and again."""
        for value in ("0", "Thu, 01 Jan 2026 00:00:00 GMT", "soon"):
            assert waits(429, {"Retry-After": value}, SECONDARY) == 60

    @pytest.mark.parametrize(
        "message",
        ["Repository access blocked", LIST_TOO_LONG, "Must have push access", "Missing User Agent string."],
    )
    def test_a_403_about_one_repository_stops_no_other(self, message: str) -> None:
        """One blocked repository would hold up 20,000 for minutes, at each of them."""
        assert waits(403, left(4000), message) is None
        assert waits(403, {}, message) is None

    @pytest.mark.parametrize("message", ["Repository access blocked", LIST_TOO_LONG])
    def test_not_even_when_nothing_is_left(self, message: str) -> None:
        """Tried again after the reset it would be blocked again; the next request learns of the limit."""
        assert waits(403, left(0), message) is None

    def test_a_refusal_without_a_word(self) -> None:
        assert waits(403, {}) == 60
        assert waits(429, left(4000)) == 60
        assert waits(403, left(4000)) is None

    @pytest.mark.parametrize("status", [200, 204, 301, 304, 401, 404, 451, 500, 502, 503])
    def test_other_answers_are_no_limits(self, status: int) -> None:
        assert waits(status, left(4000) | {"Retry-After": "60"}, "Not Found") is None
        assert waits(status, {}) is None

    @given(
        st.integers(100, 599),
        st.dictionaries(st.sampled_from(["x-ratelimit-remaining", "X-RateLimit-Reset"]), st.text()),
        st.text(),
        st.floats(0, 4e9),
        st.none() | st.floats(0, 1e9),
        st.integers(1, 10**6),
    )
    def test_whatever_it_says(
        self, status: int, headers: dict[str, str], message: str, now: float, told: float | None, attempt: int
    ) -> None:
        seconds = pause(status, headers, message, now, told=told, attempt=attempt)
        assert seconds is None or 0 < seconds <= max(told or 0, LONGEST_PAUSE + 1)

    def test_recorded_answers(self, real_data: Path) -> None:
        """The four meanings of 403, and 429, as GitHub sent them. {{...}} are templates of a test server."""
        found = {}
        for path in sorted((real_data / "github").glob("4[02][39]_*.json")):
            text = path.with_name(path.name + ".headers.txt")
            lines = text.read_text().splitlines() if text.exists() else []
            headers = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
            message = parse_message(path.read_bytes())
            found[path.name.split(".")[0]] = waits(int(path.name[:3]), headers, message)
        permanent = {name for name, seconds in found.items() if seconds is None}
        assert permanent == {"403_contributors_too_large", "403_tos_blocked_Le-niao", "403_user"}
        assert {name for name, seconds in found.items() if seconds and seconds < 60} == {
            "403_repos_hub4j-test-org_temp-testHandler_Fail",  # Retry-After: 30
            "429_repos_hub4j-test-org_temp-testHandler_Wait_Secondary_Limits_",  # Retry-After: 8
        }
        assert {seconds for seconds in found.values() if seconds and seconds >= 60} == {60.0}
        assert len(found) >= 14


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (b"120", 120.0),
            (b" 0 ", 0.0),
            (b"99999999999999999999", 999999999.0),
            (format_datetime(datetime(2026, 11, 21, 12, 1, tzinfo=UTC), usegmt=True).encode(), 60.0),
            (b"Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
            (b"Sat, 21 Nov 2026 14:00:00 +0100", 3600.0),
            (b"Sat, 21 Nov 2026 13:00:00 -0000", 3600.0),
            (b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
            (b"soon", None),
            (b"-5", None),
            (b"1.5", None),
            (b"\xb2", None),
            (b"", None),
            (None, None),
        ],
    )
    def test_it_takes_seconds_and_dates(self, value: bytes | None, seconds: float | None) -> None:
        assert retry_after(value, NOON.timestamp()) == seconds

    @given(st.binary(max_size=60))
    def test_it_survives_any_bytes(self, value: bytes) -> None:
        seconds = retry_after(value, NOON.timestamp())
        assert seconds is None or seconds >= 0
