"""A hostile README costs its own text at most; the package stays findable and the crawl goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place, true_documents

PLONE = "Framework :: Plone"
BOMB = "&" * 1_900_000
SCRIPT = "# T\n\n<img src=x onerror=alert(1)><script>alert(1)</script>[x](javascript:alert(1))"


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(
        Options(projects=30, members={"plone": 6}, only_members=True, most_releases=3)
    ) as handle:
        yield handle


@pytest.fixture
def place(tmp_path: Path, replica: Handle, empty_index: Server) -> Place:
    return Place(tmp_path / "data", replica.url, empty_index, {"RENDER_TIMEOUT": 0.7, "RENDER_WORKERS": 1})


def readme(replica: Handle, name: str, text: str) -> None:
    """A new release of `name` with this README."""
    replica.event(
        {
            "event": "release",
            "project": name,
            "version": "999.0",
            "info": {"description": text, "description_content_type": "text/markdown"},
        }
    )


async def test_a_readme_that_breaks_its_bounds_costs_its_text_only(place: Place, replica: Handle) -> None:
    bombed, scripted, *_ = replica.replica.members(PLONE)
    readme(replica, bombed, BOMB)
    readme(replica, scripted, SCRIPT)
    crawled = await place.crawl("pypi", profile="plone")
    assert (crawled.outcome.exit_code, crawled.figures["readmes_failed"]) == (3, 1)
    documents = place.documents("plone")
    assert set(documents) == true_documents(replica.replica, PLONE)
    assert documents[f"{bombed}==999.0"]["description"] == ""
    assert documents[f"{bombed}==999.0"]["health_score"] > 0
    shown = documents[f"{scripted}==999.0"]["description"]
    assert not re.search(r"onerror|<script|javascript:", shown)
    with place.store() as store:
        assert [(f.normalized_name, f.stage) for f in store.failures()] == [(bombed, "description")]


async def test_every_release_carries_its_text_when_that_is_wanted(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    some = place.documents("plone")
    await place.crawl("pypi", profile="plone", full="1", settings={"DESCRIPTIONS": "all"})
    every = place.documents("plone")
    assert sum(bool(document.get("description")) for document in some.values()) < sum(
        bool(document.get("description")) for document in every.values()
    )


async def test_what_one_run_rendered_the_next_ones_take(place: Place, replica: Handle) -> None:
    """Else each night's run of `github`, `pypistats` and `health` renders every README once more."""
    first = await place.crawl("pypi", profile="plone")
    shown, texts = place.documents("plone"), first.stats["pyf/descriptions/rendered"]
    assert texts > 0
    again = await place.crawl("health", profile="plone")
    assert (again.stats["pyf/descriptions/rendered"], again.figures["documents_sent"]) == (0, 0)
    assert again.stats["pyf/descriptions/cached"] == texts + first.stats["pyf/descriptions/cached"]
    (place.folder / "renderings.sqlite").write_bytes(b"no database" * 1000)
    for settings in ({}, {"RENDER_CACHE_MB": 0}):
        again = await place.crawl("health", profile="plone", settings=settings)
        assert again.outcome.exit_code == 0
        assert again.stats["pyf/descriptions/rendered"] >= texts
        assert place.documents("plone") == shown
