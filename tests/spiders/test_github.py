"""`scrapy crawl github` end to end: replica, store and Typesense are real.

If these fail, figures of the wrong repository are shown, or GitHub blocks whoever runs this.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.replica.provenance import is_attested
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.filled import Filled
from tests.github import TOKEN, all_enriched, asked_about, enrich, figures, latest, plain

OPTIONS = Options(
    projects=60, members={"plone": 30, "django": 6}, only_members=True, most_releases=4, empty=0, missing=0
)
#: Of the services' clock in a real second: the reset comes 3 s after an hour began.
FAST = 1200.0


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture(autouse=True)
def fresh(replica: Handle) -> None:
    """Full budgets, no faults, counters at zero. What happened to repositories stays."""
    replica.faults([])
    replica.services()
    replica.reset()


@pytest.fixture(scope="module")
def filling(
    tmp_path_factory: pytest.TempPathFactory, replica: Handle, typesense_server: Server
) -> Iterator[Filled]:
    filling = Filled(tmp_path_factory.mktemp("filled"), replica.url, typesense_server, "plone,django")
    yield filling
    filling.clear()


@pytest.fixture
async def filled(tmp_path: Path, filling: Filled, replica: Handle) -> Place:
    """All packages are indexed; nothing was asked of GitHub yet."""
    place = await filling.place(tmp_path / "data")
    replica.reset()
    return place


# -- what it is for ---------------------------------------------------------------------------------


async def test_facts_of_repositories_reach_the_documents(filled: Place, replica: Handle) -> None:
    crawled = await enrich(filled)
    assert crawled.outcome.exit_code == 0
    services = figures(replica)
    assert services["requests"] <= 3, "one request for many"
    assert all_enriched(filled, replica) > 20
    assert {d["github_proof"] for d in latest(filled).values() if "github_url" in d} <= {
        "attested",
        "named",
        "claimed",
    }
    again = await enrich(filled)
    assert again.figures["documents_sent"] == 0
    assert figures(replica)["requests"] == services["requests"], "what is known is not asked again"


async def test_proof_is_what_pypi_attests_or_the_repository_says(
    filled: Place, replica: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a package adorns itself with the stars of another's repository."""
    monkeypatch.setattr("pyf_scrapy.replica.provenance._SHARE", 0.5)
    await enrich(filled)
    proofs = {}
    for name, document in latest(filled).items():
        project = replica.replica.project(name)
        if "github_proof" not in document or project is None or not project.repository:
            continue
        repository = replica.replica.repositories.of_project(name)
        assert repository is not None
        proofs[name] = document["github_proof"]
        rules = document.get("health_score_breakdown") or {}
        points = [rule for rule in rules if str(rule).startswith("github_") and rules[rule]]
        if document["github_proof"] == "claimed":
            assert not is_attested(OPTIONS.seed, project), name
            assert points == [], f"{name}: points for what nothing proves"
        elif document["github_proof"] == "attested":
            assert is_attested(OPTIONS.seed, project), name
    assert set(proofs.values()) == {"attested", "named", "claimed"}
    replica.reset()
    await enrich(filled)
    asked = replica.statistics(paths=True)["paths"]
    assert not [path for path in asked if path.startswith("/integrity")], "asked once for a release"


async def test_no_request_goes_to_an_address_from_metadata(filled: Place, replica: Handle) -> None:
    """Else whoever publishes a package makes us ask what he likes, with our token."""
    mine = urlsplit(replica.url).netloc
    assert set((await enrich(filled)).outcome.hosts) == {mine}
    replica.services()
    assert set((await enrich(filled, None, name=next(iter(plain(filled, replica))))).outcome.hosts) == {mine}


async def test_one_package_by_name_is_asked_about_again(
    filled: Place, replica: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever has just moved his repository does not wait for a day; `verbose` shows what was said."""
    await enrich(filled)
    replica.reset()
    name, repository = next((n, r) for n, r in plain(filled, replica).items() if r.contributors)
    replica.event({"event": "star", "repository": repository.full_name, "stars": 98765})
    with caplog.at_level(logging.INFO):
        crawled = await enrich(filled, name=name.upper(), verbose="1")
    assert latest(filled)[name]["github_stars"] == 98765
    assert figures(replica)["points"] == 1
    assert crawled.figures["packages_indexed"] >= 1
    assert "POST /graphql (1 repositories): HTTP 200" in caplog.text
    assert "98765 stars" in caplog.text
    assert TOKEN not in caplog.text
    unknown = await enrich(filled, name="no.such.package")
    assert unknown.outcome.exit_code == 2


async def test_limit_is_the_number_of_repositories(filled: Place, replica: Handle) -> None:
    crawled = await enrich(filled, limit="5")
    assert crawled.stats["pyf/projects/done"] == 5
    assert figures(replica, "rest")["requests"] <= 5
    await enrich(filled)
    assert all_enriched(filled, replica) > 20


# -- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 403, 429])
async def test_the_limit_of_points_is_waited_for(filled: Place, replica: Handle, status: int) -> None:
    """A request before the reset is what GitHub blocks accounts for."""
    # It was used up by somebody else with this token: the first answer is the limiting one.
    replica.services(github_graphql_limit=0, graphql_limit_status=status, speed=FAST)
    task = asyncio.create_task(enrich(filled))
    until = None
    with filled.store() as store:
        while until is None:
            await asyncio.sleep(0.05)
            until = await asyncio.to_thread(store.recall, "github/closed_until/token")
    seen = await asyncio.to_thread(figures, replica)
    assert (seen["requests"], seen["limited"]) == (1, 1)
    # Behind its window is a full budget; who asked at once would be done before the window ends.
    await asyncio.to_thread(lambda: replica.services(speed=FAST))
    crawled = await task
    assert time.time() >= until
    assert crawled.outcome.exit_code == 0
    assert figures(replica)["after_limit"] == 0
    assert all_enriched(filled, replica) > 20


async def test_the_limit_in_the_middle_of_a_run(filled: Place, replica: Handle) -> None:
    """All are enriched although the budget ends twice on the way."""
    replica.services(github_graphql_limit=2, graphql_most_aliases=8, speed=FAST)
    crawled = await enrich(filled)
    seen = figures(replica)
    assert seen["after_limit"] == 0
    assert seen["points"] > 4
    assert crawled.outcome.exit_code == 0
    assert all_enriched(filled, replica) > 20


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
async def test_secondary_limits_are_waited_for(
    filled: Place, replica: Handle, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyf_scrapy.sync.limits._SECONDARY", 1.5)
    replica.services(
        secondary=1, retry_after=1, retry_after_form=form, secondary_status=429 if form == "date" else 403
    )
    crawled = await enrich(filled)
    seen = figures(replica)
    assert (seen["limited"], seen["after_limit"]) == (1, 0)
    assert crawled.outcome.exit_code == 0
    assert all_enriched(filled, replica) > 20


async def test_without_a_token_the_hours_budget_ends_the_run_and_the_next_goes_on(
    filled: Place, replica: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    replica.services(github_anonymous_limit=15)
    first = await enrich(filled, None)
    assert first.outcome.exit_code == 0
    assert first.outcome.headline.startswith("Done as far as")
    assert "with GITHUB_TOKEN" in caplog.text
    known = asked_about(filled)
    assert 10 <= len(known) <= 15
    shown = sum("github_stars" in document for document in latest(filled).values())
    assert shown >= 8, "what is known is in the index"

    replica.reset()
    before = await enrich(filled, None)
    assert before.outcome.exit_code == 0
    assert figures(replica, "rest")["requests"] == 0, "the store remembers that GitHub is closed"

    for _ in range(4):
        replica.services(github_anonymous_limit=15)  # an hour later
        with filled.store() as store:
            store.remember("github/closed_until/anonymous", None)
        await enrich(filled, None)
    assert figures(replica, "rest")["after_limit"] == 0
    now = asked_about(filled)
    assert {key: now[key] for key in known} == known, "nobody is asked twice"
    assert all_enriched(filled, replica) > 20


async def test_a_token_does_not_wait_for_those_without_one(filled: Place, replica: Handle) -> None:
    """Whoever follows the advice to set GITHUB_TOKEN gets its budget at once."""
    replica.services(github_anonymous_limit=0)
    await enrich(filled, None)
    assert (await enrich(filled)).outcome.exit_code == 0
    assert all_enriched(filled, replica) > 20


async def test_unchanged_repositories_are_not_sent_again(filled: Place, replica: Handle) -> None:
    replica.services(github_anonymous_limit=500)
    await enrich(filled, None)
    documents = latest(filled)
    replica.reset()
    again = await enrich(filled, None, {"GITHUB_MAX_AGE": 0})
    assert again.stats["pyf/repositories/unchanged"] > 20
    assert again.stats.get("pyf/repositories/fetched", 0) <= again.stats.get("pyf/repositories/renamed", 0)
    assert latest(filled) == documents
    assert figures(replica, "rest")["statuses"]["304"] > 20


async def test_facts_by_rest_do_not_take_away_what_graphql_proved(filled: Place, replica: Handle) -> None:
    """One run without the token must not cost packages the points of their repositories."""
    await enrich(filled)
    proofs = {name: d.get("github_proof") for name, d in latest(filled).items()}
    replica.services(github_anonymous_limit=500)
    await enrich(filled, None, {"GITHUB_MAX_AGE": 0})
    assert {name: d.get("github_proof") for name, d in latest(filled).items()} == proofs
