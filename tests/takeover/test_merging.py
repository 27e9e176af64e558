"""A package's figures are scattered over its releases and spellings; none may be lost or mixed."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, DownloadCounts
from pyf_scrapy.store import TAKEN_OVER, DownloadFacts, RepositoryFacts, RepositoryLink
from pyf_scrapy.takeover.merging import Figures
from pyf_scrapy.takeover.parsing import OldDocument, parse_document

from .upstream import document

NOW = 1_790_000_000
DAY = 86_400
ASKED = 20_000 * DAY + 3_600


def old(name: str, version: str = "1.0", repository: str = "Plone/API", **more: Any) -> OldDocument:
    if any(field.startswith("github_") for field in more):
        more["github_url"] = f"https://github.com/{repository}"
    parsed = parse_document(document(name, version, **more), NOW)
    assert isinstance(parsed, OldDocument)
    return parsed


def merged(*documents: OldDocument) -> Figures:
    """What documents come to, in any order."""
    found = []
    for some in itertools.permutations(documents):
        figures = Figures()
        for one in some:
            figures.add(one)
        found.append(figures)
    assert all(facts(figures) == facts(found[0]) for figures in found)
    return found[0]


def facts(figures: Figures) -> list[object]:
    return [
        sorted(figures.names),
        *figures.links(),
        *figures.repository_facts(),
        *figures.download_facts(),
    ]


def the_repository(figures: Figures) -> RepositoryFacts:
    (found,) = figures.repository_facts()
    return found


def test_figures_stand_on_different_releases_and_spellings() -> None:
    """W3, W4: stars on an older maintenance release, downloads on a candidate, the newest has nothing."""
    figures = merged(
        old("plone.api", "5.2.15", github_stars=90, github_updated=1000),
        old("plone-api", "6.1.0rc1", download_last_day=5, download_updated=ASKED),
        old("Plone.API", "6.0.11.1", upload_timestamp=999),
    )
    assert figures.names == {"plone-api"}
    key = "github.com/plone/api"
    assert list(figures.links()) == [
        RepositoryLink(
            "plone-api",
            key,
            TAKEN_OVER,
            url="https://github.com/Plone/API",
            proof=Proof.CLAIMED,
            candidates=(key,),
        )
    ]
    assert the_repository(figures).key == key
    counts = DownloadCounts("pypistats", 19_999 * DAY, last_day=5)
    assert list(figures.download_facts()) == [DownloadFacts("plone-api", "pypistats", TAKEN_OVER, counts)]


def test_the_newest_wins_as_a_whole() -> None:
    """Stars of one day and watchers of another were never true together."""
    figures = merged(
        old("a", "2.0", github_stars=90, github_updated=2000, download_last_day=1, download_updated=ASKED),
        old("a", "1.0", github_stars=80, github_watchers=7, github_updated=1000),
        old("a", "3.0", download_last_day=9, download_total=99, download_updated=ASKED - DAY),
    )
    record = the_repository(figures).record
    assert record is not None
    assert (record.stars, record.watchers, record.updated_at) == (90, None, 2000)
    (downloads,) = figures.download_facts()
    assert downloads.counts == DownloadCounts("pypistats", 19_999 * DAY, last_day=1)


def test_of_the_same_time_the_one_that_says_more_wins() -> None:
    figures = merged(
        old("a", "9.0", github_stars=1, upload_timestamp=9),
        old("a", "1.0", github_stars=1, github_watchers=2, github_open_issues=3),
    )
    record = the_repository(figures).record
    assert record is not None
    assert (record.watchers, record.open_issues_and_pulls, record.open_issues) == (2, 3, None)


def test_all_packages_of_a_repository_show_the_newest() -> None:
    figures = merged(
        old("a", github_stars=1, github_updated=1),
        old("b", github_stars=2, github_updated=2, repository="plone/api"),
        old("c", github_stars=3, github_updated=3, repository="other/one"),
    )
    assert {link.normalized_name: link.key for link in figures.links()} == {
        "a": "github.com/plone/api",
        "b": "github.com/plone/api",
        "c": "github.com/other/one",
    }
    stars = {one.key: one.record.stars for one in figures.repository_facts() if one.record is not None}
    assert stars == {"github.com/plone/api": 2, "github.com/other/one": 3}


def test_a_repository_that_a_package_left_is_not_taken() -> None:
    figures = merged(
        old("a", "1.0", github_stars=500, github_updated=1, repository="old/home"),
        old("a", "2.0", github_stars=5, github_updated=2),
    )
    assert the_repository(figures).key == "github.com/plone/api"


def test_contributors_are_those_of_the_repository_whoever_has_them() -> None:
    """The queue's tasks wrote none."""
    figures = merged(
        old("a", "2.0", github_stars=2, github_updated=2),
        old("a", "1.0", github_stars=1, github_updated=1, contributors=[{"username": "ann"}]),
        old("b", github_stars=1, repository="x/y", contributors=[{"username": "bob"}]),
    )
    found = {one.key: (one.contributors, one.contributors_at) for one in figures.repository_facts()}
    assert found == {
        "github.com/plone/api": ((Contributor("ann", 0),), TAKEN_OVER),
        "github.com/x/y": ((Contributor("bob", 0),), TAKEN_OVER),
    }


def test_a_day_that_is_not_known_is_not_invented() -> None:
    (downloads,) = merged(old("a", download_total=5)).download_facts()
    assert downloads.counts == DownloadCounts("pypistats", 0, total=5)
    (downloads,) = merged(old("a", download_total=5, download_updated=60)).download_facts()
    assert downloads.counts is not None
    assert downloads.counts.as_of == 0


releases = st.builds(
    lambda name, version, more: old(name, str(version), **more),
    st.sampled_from(["plone.api", "plone-api", "Plone_API", "b"]),
    st.integers(0, 9),
    st.dictionaries(
        st.sampled_from(
            ["github_stars", "github_watchers", "github_updated", "download_last_day", "download_updated"]
        ),
        st.integers(0, 3),
    ),
)


@given(st.lists(releases, max_size=4, unique_by=lambda one: one.id))
def test_no_package_loses_its_figures(documents: list[OldDocument]) -> None:
    figures = merged(*documents)
    assert figures.names == {one.name for one in documents}
    assert {link.normalized_name for link in figures.links()} == {one.name for one in documents if one.github}
    assert {one.normalized_name for one in figures.download_facts()} == {
        one.name for one in documents if one.downloads
    }
    said = {(one.github.stars, one.github.watchers) for one in documents if one.github}
    for one in figures.repository_facts():
        assert one.record is not None
        assert (one.record.stars, one.record.watchers) in said
