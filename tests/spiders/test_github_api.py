"""What GitHub may say and the replica does not: each case would be a request too early, or one too many."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.http import Response

from pyf_scrapy.exceptions import AuthenticationError, BudgetError, FetchError
from pyf_scrapy.queue.rates import SharedPause
from pyf_scrapy.spiders.github_api import CLOSED_UNTIL, Answer, GitHub, budget_name
from pyf_scrapy.store import Store

TOKEN = "ghp_secret"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'pyf.sqlite'}", pypi_url="https://pypi.org") as store:
        yield store


class Service:
    """Answers in turn; notes what was asked and how long was waited."""

    def __init__(
        self,
        store: Store,
        *answers: tuple[int, dict[str, str], Any],
        token: str | None = TOKEN,
        redis_url: str | None = None,
    ):
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.waited: list[float] = []
        self.said: list[str] = []
        base = "https://api.github.com/"
        self.shared = SharedPause({"REDIS_URL": redis_url}, budget_name(base, token))
        self.github = GitHub(
            base,
            token,
            fetch=self.fetch,
            wait=self.wait,
            store=lambda: store,
            shared=self.shared,
            patience=3700,
            say=lambda text, *arguments: self.said.append(text % arguments),
        )

    async def fetch(self, request: Request) -> Response:
        self.asked.append(request)
        status, headers, body = self.answers.pop(0)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(request.url, status=status, headers=headers, body=text)

    async def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.github._closed_until = 0.0


def left(remaining: int, seconds: float = 600) -> dict[str, str]:
    reset = str(int(time.time() + seconds))
    return {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": reset}


REPOSITORY = {"node_id": "R_1", "name": "repo", "owner": {"login": "one"}}


async def test_a_missing_repository_by_the_last_request_is_not_asked_about_again(store: Store) -> None:
    """Each hour would begin with it; without a token it would never be known."""
    service = Service(store, (404, left(0), {"message": "Not Found"}), (200, left(59), REPOSITORY))
    assert await service.github.repository("gone", "gone", None) == Answer("not_found")
    assert (await service.github.repository("one", "repo", None)).state == "ok"
    assert [round(seconds, -1) for seconds in service.waited] == [600]


async def test_a_blocked_repository_by_the_last_request_closes_too(store: Store) -> None:
    blocked = (403, left(0), {"message": "Repository access blocked"})
    service = Service(store, blocked, (200, left(59), REPOSITORY))
    assert await service.github.repository("bad", "one", None) == Answer("blocked")
    await service.github.repository("one", "repo", None)
    assert [round(seconds, -1) for seconds in service.waited] == [600]


async def test_endless_refusals_end_the_run(store: Store) -> None:
    """Not the day: six refusals, each waited out and each for longer, are enough."""
    refusal = (403, left(4000), {"message": "You have exceeded a secondary rate limit."})
    service = Service(store, *[refusal] * 20)
    with pytest.raises(BudgetError):
        await service.github.repository("one", "repo", None)
    assert len(service.asked) <= 6
    assert service.waited == sorted(service.waited)
    assert service.waited[0] > 55


async def test_the_clock_is_not_believed_for_more_than_a_day(store: Store) -> None:
    """A clock that was wrong once must not close GitHub for ever."""
    store.remember(CLOSED_UNTIL[True], time.time() + 10**9)
    service = Service(store)
    service.github.patience = 2 * 86_400
    await service.github._open()
    assert service.waited == [86_400]


async def test_a_failed_list_of_contributors_is_asked_for_again(store: Store) -> None:
    """Else one bad gateway means a week without."""
    service = Service(store, (502, {}, b"<html>"), (403, left(9), {"message": "list is too large to list"}))
    with pytest.raises(FetchError):
        await service.github.contributors("one", "repo")
    assert await service.github.contributors("one", "repo") is None


async def test_points_that_do_not_suffice_are_waited_for(store: Store) -> None:
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    repository = {"id": "R_1", "name": "repo", "owner": {"login": "one"}}

    def answer(count: int, remaining: int) -> tuple[int, dict[str, str], Any]:
        rate = {"limit": 5000, "cost": 4, "remaining": remaining, "resetAt": reset}
        return 200, {}, {"data": {f"r{n}": repository for n in range(count)} | {"rateLimit": rate}}

    service = Service(store, answer(100, 3), answer(20, 2), answer(100, 4000))
    await service.github.batch([("one", "repo")] * 100)
    await service.github.batch([("one", "repo")] * 20)
    assert service.waited == [], "a small query still fits"
    await service.github.batch([("one", "repo")] * 100)
    assert [round(seconds, -1) for seconds in service.waited] == [600]


@pytest.mark.parametrize(
    "location",
    ["https://evil.example/repos/a/b", "https://evil.example/repositories/7", "//evil.example/", ""],
)
async def test_a_redirect_never_leads_elsewhere(store: Store, location: str) -> None:
    """The token would go with it."""
    service = Service(store, (301, {"Location": location}, {}), (200, {}, REPOSITORY))
    try:
        await service.github.repository("old", "name", None)
    except FetchError:
        assert "/repositories/" not in location
    assert {request.url.split("/")[2] for request in service.asked} == {"api.github.com"}


async def test_the_token_is_in_no_message(store: Store) -> None:
    """Not even when the service repeats it."""
    service = Service(store, (401, {}, {"message": f"Bad credentials: {TOKEN}"}))
    with pytest.raises(AuthenticationError) as told:
        await service.github.repository("one", "repo", None)
    assert "GITHUB_TOKEN" in str(told.value)
    assert TOKEN not in str(told.value) + "".join(service.said)
    assert service.asked[0].headers["Authorization"] == f"Bearer {TOKEN}".encode()
