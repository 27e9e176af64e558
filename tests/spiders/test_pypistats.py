"""`scrapy crawl pypistats` end to end: replica, store and Typesense are real.

If these fail, pypistats.org blocks whoever runs this, or figures are shown that nobody counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.replica.downloads import Downloads
from tests.crawling import Crawled, Place
from tests.store.samples import facts

OPTIONS = Options(
    projects=60, members={"plone": 30, "django": 6}, only_members=True, most_releases=4, empty=0, missing=0
)
PLONE = "Framework :: Plone"


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        handle.services(pypistats_limits=False)
        yield handle


async def crawl(
    place: Place, replica: Handle, *, settings: dict[str, Any] | None = None, **given: str
) -> Crawled:
    values = {
        "PYPISTATS_URL": replica.pypistats_url,
        "CLICKPY_URL": replica.clickpy_url,
        "PYPISTATS_RATE_LIMIT_DELAY": 0,
        "PYPISTATS_RETRY_BACKOFF": 0.001,
        **(settings or {}),
    }
    return await place.crawl("pypistats", settings=values, **({"profile": "plone"} | given))


def fill(place: Place, replica: Handle) -> None:
    """Store the replica's members as a crawl of PyPI would, with two releases each."""
    with place.store() as store:
        store.save_packages([facts("2.0", "1.0", name=name) for name in replica.replica.members(PLONE)])


def asked(replica: Handle) -> Counter[str]:
    """Package -> how often pypistats was asked about it."""
    paths = replica.statistics(paths=True)["paths"]
    return Counter({path.split("/")[4]: n for path, n in paths.items() if path.startswith("/pypistats/api/")})


def shown(place: Place, alias: str = "plone") -> dict[str, dict[str, Any]]:
    """Latest documents by package, as far as they show downloads."""
    found = place.documents(alias).values()
    return {d["name_normalized"]: d for d in found if d["is_latest"] and "download_source" in d}


def fault(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"match": f"/pypistats/api/packages/{name}/recent", "fault": kind, **more}


class TestFigures:
    async def test_stand_on_the_latest_release_and_the_newest_of_each_framework_version(
        self, place: Place, replica: Handle
    ) -> None:
        await place.crawl("pypi", profile="plone,django")
        crawled = await crawl(place, replica, profile="plone,django")
        assert crawled.outcome.exit_code == 0
        assert crawled.figures["downloads_answered"] == len(asked(replica)) >= 30
        assert set(asked(replica).values()) == {1}, "packages of two profiles are asked about once"
        truth = Downloads(replica.replica)
        yesterday = (datetime.now(UTC) - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        with_figures = 0
        for document in {**place.documents("plone"), **place.documents("django")}.values():
            if not (document["is_latest"] or document.get("latest_for")):
                assert "download_source" not in document
                continue
            with_figures += 1
            name = document["name_normalized"]
            for field, days in (("day", 1), ("week", 7), ("month", 30)):
                assert document[f"download_last_{field}"] == truth.total(name, days)
            assert document["download_source"] == "pypistats"
            assert document["download_updated"] == yesterday.timestamp()
        assert with_figures > 36

    async def test_a_package_is_asked_about_once_a_day_an_unknown_one_too(
        self, place: Place, replica: Handle
    ) -> None:
        fill(place, replica)
        unknown = replica.replica.members(PLONE)[3]
        replica.faults([fault(unknown, "status-404")])
        crawled = await crawl(place, replica)
        assert (crawled.outcome.exit_code, crawled.figures["downloads_unknown"]) == (0, 1)
        assert crawled.figures["failed"] == 0
        assert unknown not in shown(place)
        assert len(shown(place)) == len(asked(replica) - Counter({"pip": 1})) - 1
        replica.reset()
        again = await crawl(place, replica)
        assert not asked(replica)
        assert again.outcome.headline.startswith("Nothing to do")

    async def test_a_run_that_asked_does_not_say_there_was_nothing_to_do(
        self, place: Place, replica: Handle
    ) -> None:
        fill(place, replica)
        await crawl(place, replica)
        again = await crawl(place, replica, settings={"DOWNLOADS_MAX_AGE": 0})
        assert (again.figures["passed_on"], again.outcome.headline) == (0, "Done.")

    async def test_most_wanted_first(self, place: Place, replica: Handle) -> None:
        """Who sets a limit, or is interrupted, has the figures that most people look for."""
        fill(place, replica)
        members = replica.replica.members(PLONE)
        await crawl(place, replica)
        truth = Downloads(replica.replica)
        most = sorted(members, key=lambda name: -(truth.total(name, 30) or 0))[:3]
        replica.faults([fault(members[3], "status-404")])
        await crawl(place, replica, name=members[3])
        replica.reset()
        limited = await crawl(place, replica, limit="3", settings={"DOWNLOADS_MAX_AGE": 0})
        assert limited.figures["downloads_answered"] == 3
        assert set(asked(replica)) == set(most), "one that the source does not know is wanted least"

    async def test_one_package_at_any_time(self, place: Place, replica: Handle) -> None:
        fill(place, replica)
        name = replica.replica.members(PLONE)[0]
        for _ in range(2):
            assert (await crawl(place, replica, name=name)).figures["downloads_answered"] == 1
        assert asked(replica) == {name: 2}
        stranger = await crawl(place, replica, name="nobody-knows-it")
        assert stranger.outcome.exit_code == 2


class TestTroubles:
    async def test_what_fails_for_a_moment_is_asked_again(self, place: Place, replica: Handle) -> None:
        fill(place, replica)
        names = replica.replica.members(PLONE)
        replica.faults(
            [
                fault(names[0], "status-500", times=2),
                fault(names[1], "disconnect", times=1),
                fault(names[2], "status-429", times=2),
            ]
        )
        crawled = await crawl(place, replica)
        assert (crawled.outcome.exit_code, len(shown(place))) == (0, len(names))
        assert (asked(replica)[names[0]], asked(replica)[names[2]]) == (3, 3)

    async def test_one_package_without_a_usable_answer_costs_itself_only(
        self, place: Place, replica: Handle
    ) -> None:
        fill(place, replica)
        names = replica.replica.members(PLONE)
        bad = {names[2]: "status-500", names[9]: "garbage", names[20]: "cut"}
        replica.faults([fault(name, kind) for name, kind in bad.items()])
        crawled = await crawl(place, replica)
        assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, len(bad))
        assert set(shown(place)) == set(names) - set(bad)
        with place.store() as store:
            assert {(f.normalized_name, f.stage) for f in store.failures()} == {(n, "downloads") for n in bad}
        replica.faults([])
        replica.reset()
        assert (await crawl(place, replica)).outcome.exit_code == 0
        assert set(asked(replica)) == set(bad)
        with place.store() as store:
            assert store.failures() == []

    @pytest.mark.parametrize("kind", ["status-503", "disconnect", "garbage", "html"])
    async def test_a_source_that_is_down_is_one_event(self, place: Place, replica: Handle, kind: str) -> None:
        fill(place, replica)
        await crawl(place, replica)
        before = shown(place)
        replica.faults([fault("*", kind)])
        replica.reset()
        settings = {"DOWNLOADS_MAX_AGE": 0, "PYPISTATS_MAX_RETRIES": 1, "PYPI_RETRY_BACKOFF": 0.001}
        crawled = await crawl(place, replica, settings=settings)
        assert (crawled.outcome.exit_code, crawled.figures["errors"]) == (1, 1)
        assert len(asked(replica)) == 5, "then it is left alone"
        assert shown(place) == before
        with place.store() as store:
            assert store.failures() == [], "it is no fault of these packages"

    async def test_a_single_package_of_a_source_that_is_down(self, place: Place, replica: Handle) -> None:
        fill(place, replica)
        settings = {"PYPISTATS_URL": "http://127.0.0.1:9", "PYPISTATS_MAX_RETRIES": 1}
        crawled = await crawl(place, replica, name=replica.replica.members(PLONE)[0], settings=settings)
        assert (crawled.outcome.exit_code, crawled.figures["errors"]) == (1, 1)

    async def test_a_wrong_address_takes_no_figures_away(
        self, place: Place, replica: Handle, caplog: pytest.LogCaptureFixture
    ) -> None:
        fill(place, replica)
        await crawl(place, replica)
        before = shown(place)
        settings = {"PYPISTATS_URL": f"{replica.url}/nothing", "DOWNLOADS_MAX_AGE": 0}
        crawled = await crawl(place, replica, settings=settings)
        assert (crawled.outcome.exit_code, crawled.figures["downloads_answered"]) == (1, 0)
        assert "check PYPISTATS_URL" in caplog.text
        assert shown(place) == before

    async def test_a_refusal_holds_for_the_next_run_too(
        self, place: Place, replica: Handle, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever asks on is locked out."""
        fill(place, replica)
        replica.faults([fault("*", "status-429", retry_after="7200")])
        refused = await crawl(place, replica)
        assert (refused.outcome.exit_code, refused.figures["errors"]) == (1, 1)
        assert "run the same command in 7" in caplog.text
        replica.faults([])
        replica.reset()
        assert (await crawl(place, replica)).outcome.exit_code == 1
        assert not asked(replica)

    async def test_a_pause_is_kept_before_the_next_request(self, place: Place, replica: Handle) -> None:
        fill(place, replica)
        replica.faults([fault("*", "status-429", retry_after="1", times=1, per="rule")])
        crawled = await crawl(place, replica)
        assert crawled.outcome.exit_code == 0
        service = replica.statistics()["services"]["pypistats"]
        assert (service["after_limit"], service["statuses"]["429"]) == (0, 1)


class TestClickPy:
    CLICKPY: dict[str, Any] = {"DOWNLOADS_SOURCE": "clickpy"}  # noqa: RUF012

    async def test_all_packages_by_one_request(self, place: Place, replica: Handle) -> None:
        fill(place, replica)
        replica.reset()
        crawled = await crawl(place, replica, settings=self.CLICKPY)
        names = replica.replica.members(PLONE)
        assert (crawled.outcome.exit_code, crawled.figures["downloads_answered"]) == (0, len(names))
        assert replica.statistics()["requests"] == {"clickpy": 1}
        truth = Downloads(replica.replica)
        for name in names:
            document = shown(place)[name]
            assert document["download_last_week"] == truth.total(name, 7, mirrors=True)
            assert document["download_total"] >= document["download_last_month"]
            assert document["download_source"] == "clickpy"

    async def test_figures_of_two_sources_never_mix(self, place: Place, replica: Handle) -> None:
        """One counts mirrors: mixed, a package nobody uses would seem as popular as any."""
        fill(place, replica)
        await crawl(place, replica)
        of_pypistats = shown(place)
        await place.crawl("health", profile="plone", settings=self.CLICKPY)
        assert shown(place) == {}, "nothing is known from the source that is set"
        await crawl(place, replica, settings=self.CLICKPY)
        of_clickpy = shown(place)
        assert {d["download_source"] for d in of_clickpy.values()} == {"clickpy"}
        assert all("download_total" in d for d in of_clickpy.values())
        replica.reset()
        back = await crawl(place, replica)
        assert shown(place) == of_pypistats
        assert (back.figures["documents_sent"] > 0, replica.statistics()["total"]) == (True, 0)
        await place.crawl("health", profile="plone", settings=self.CLICKPY)
        assert shown(place) == of_clickpy

    @pytest.mark.parametrize(
        ("services", "message"),
        [
            ({"clickpy_most_rows": 5}, "cut off: 5 of"),
            ({"clickpy_query_size": 100}, "ClickPy answers HTTP 400: Code: 62"),
        ],
    )
    async def test_an_answer_that_is_no_use_is_one_line(
        self,
        place: Place,
        replica: Handle,
        caplog: pytest.LogCaptureFixture,
        services: dict[str, Any],
        message: str,
    ) -> None:
        fill(place, replica)
        replica.services(**services)
        crawled = await crawl(place, replica, settings=self.CLICKPY)
        assert (crawled.outcome.exit_code, crawled.figures["errors"]) == (1, 1)
        assert message in caplog.text
        assert shown(place) == {}

    @pytest.mark.parametrize("kind", ["status-500", "disconnect", "garbage", "cut"])
    async def test_a_source_that_is_down_takes_no_figures_away(
        self, place: Place, replica: Handle, caplog: pytest.LogCaptureFixture, kind: str
    ) -> None:
        fill(place, replica)
        await crawl(place, replica, settings=self.CLICKPY)
        before = shown(place)
        replica.faults([{"match": "/clickpy*", "fault": kind}])
        settings = {**self.CLICKPY, "DOWNLOADS_MAX_AGE": 0, "PYPI_MAX_RETRIES": 1}
        crawled = await crawl(place, replica, settings=settings)
        assert (crawled.outcome.exit_code, crawled.figures["errors"]) == (1, 1)
        assert "ClickPy" in caplog.text
        assert shown(place) == before


async def test_the_wait_before_the_first_request_is_for_a_run_that_was_killed(
    place: Place, replica: Handle
) -> None:
    fill(place, replica)
    begun = time.monotonic()
    name = replica.replica.members(PLONE)[0]
    await crawl(place, replica, name=name, settings={"PYPISTATS_RATE_LIMIT_DELAY": 1})
    assert time.monotonic() - begun >= 1
