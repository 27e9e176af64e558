"""Workers on several machines spend one budget: GitHub's by a token, pypistats' by its ceiling.

Who goes on asking while another worker was told to wait is locked out, and all others with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from scrapy import Request
from scrapy.http import Response

from pyf_scrapy.exceptions import BudgetError, SourceError
from pyf_scrapy.queue.rates import SharedPause, host_name
from pyf_scrapy.spiders.download_sources import PypiStats
from pyf_scrapy.store import Store
from tests.queue.valkey import Valkey
from tests.spiders.test_github_api import REPOSITORY, TOKEN, Service, left

FINE = (200, left(4000), REPOSITORY)
PYPISTATS = "https://pypistats.example"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'pyf.sqlite'}", pypi_url="https://pypi.org") as store:
        yield store


@pytest.fixture
async def new_service(tmp_path: Path, valkey: Valkey) -> AsyncIterator[Callable[..., Service]]:
    """Makes GitHub as a worker with a store of its own sees it."""
    made: list[tuple[Store, Service]] = []

    def new(*answers: object, token: str | None = TOKEN) -> Service:
        store = Store(f"sqlite:///{tmp_path / str(len(made))}.sqlite", pypi_url="https://pypi.org")
        service = Service(store, *answers, token=token, redis_url=valkey.url)  # type: ignore[arg-type]
        made.append((store, service))
        return service

    yield new
    for store, service in made:
        await service.shared.close()
        store.close()


async def test_who_has_the_same_token_waits_before_it_is_refused(
    new_service: Callable[..., Service], valkey: Valkey
) -> None:
    limited = (403, left(0, 600), {"message": "API rate limit exceeded"})
    refused, same, other, none = (
        new_service(limited, FINE),
        new_service(FINE),
        new_service(FINE, token="ghp_other"),
        new_service(FINE, token=None),
    )
    for service in (refused, same, other, none):
        await service.github.repository("one", "repo", None)
    waits = [[round(seconds, -1) for seconds in service.waited] for service in (refused, same, other, none)]
    assert waits == [[600], [600], [], []]
    with valkey.client() as client:
        assert not [key for key in client.keys("*") if "ghp_" in key], "a key is no place for a token"


async def test_who_has_no_patience_leaves_the_rest_to_later_runs(
    new_service: Callable[..., Service],
) -> None:
    refused, same = new_service((403, left(0, 600), {"message": "API rate limit exceeded"})), new_service()
    refused.github.patience = same.github.patience = 120
    for service in (refused, same):
        with pytest.raises(BudgetError):
            await service.github.repository("one", "repo", None)
    assert same.asked == []


class TestPypistats:
    async def test_a_refusal_pauses_its_host_for_all(self, store: Store, valkey: Valkey) -> None:
        """The answer does not say for how long: the gate would open after seconds."""
        statuses = [429, 404, 200]
        pypistats, shared = new_pypistats(store, valkey, statuses)
        assert await pypistats.recent("kelp") is None
        with valkey.client() as client:
            assert 50_000 < client.pttl("pyf:pause:{pypistats.example}") <= 60_000
        await shared.close()

    async def test_nobody_waits_for_hours(self, store: Store, valkey: Valkey) -> None:
        with valkey.client() as client:
            client.set("pyf:pause:{pypistats.example}", 1, px=7200_000)
        pypistats, shared = new_pypistats(store, valkey, [])
        with pytest.raises(SourceError, match="run the same command in 7"):
            await pypistats.recent("kelp")
        await shared.close()


def new_pypistats(store: Store, valkey: Valkey, statuses: list[int]) -> tuple[PypiStats, SharedPause]:
    """pypistats that answers with these statuses, as a worker sees it."""

    async def fetch(request: Request) -> Response:
        body = b'{"data": {"last_day": 1, "last_week": 2, "last_month": 3}, "package": "pip"}'
        return Response(request.url, status=statuses.pop(0), body=body)

    async def wait(seconds: float) -> None:
        pass

    shared = SharedPause({"REDIS_URL": valkey.url}, host_name(PYPISTATS))
    pypistats = PypiStats(
        PYPISTATS,
        fetch=fetch,
        wait=wait,
        store=lambda: store,
        shared=shared,
        delay=2,
        retries=3,
        backoff=1,
    )
    return pypistats, shared
