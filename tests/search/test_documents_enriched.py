"""Figures of GitHub and of downloads stand where people land, are those of one moment, and harm nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.items import PackageItem, health_of
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.search.cleaning import UNWANTED
from pyf_scrapy.search.documents import document_hash, documents
from pyf_scrapy.search.schema import SCHEMA
from pyf_scrapy.store import RepositoryFacts, RepositoryLink, RepositoryState

from .corpus import EVERYTHING, TODAY, Made, check, classifier, package, release

KEY = "github.com/grove/api"
PUSHED = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
DAY = int(datetime(2026, 10, 31, tzinfo=UTC).timestamp())
LINK = RepositoryLink("grove-api", KEY, 1, url="https://github.com/Grove/API", proof=Proof.NAMED)
RECORD = RepositoryRecord(
    "R_1",
    "grove",
    "api",
    archived=False,
    pushed_at=PUSHED,
    updated_at=PUSHED + 999,
    stars=120,
    forks=0,
    watchers=7,
    open_issues=4,
    open_pull_requests=2,
    license="MIT",
    topics=("plone", "api"),
    open_issues_and_pulls=6,
)
AVATAR = "https://avatars.githubusercontent.com/u/1?v=4"
CONTRIBUTORS = (Contributor("hazel", 30, AVATAR), Contributor("basil", 0, AVATAR))
FACTS = RepositoryFacts(KEY, "ok", 1, record=RECORD, contributors=CONTRIBUTORS)
COUNTS = DownloadCounts("pypistats", DAY, last_day=0, last_week=70, last_month=300)
HEALTH_FIELDS = {"health_score", "health_score_breakdown", "health_score_last_calculated"}
GITHUB_FIELDS = {field.name for field in SCHEMA if field.name.startswith("github_")} | {"contributors"}
DOWNLOAD_FIELDS = {field.name for field in SCHEMA if field.name.startswith("download_")} - {"download_url"}


def enriched(*releases: Any, record: RepositoryRecord = RECORD, **given: Any) -> Made:
    """A package with a repository and downloads, and the health that follows from them."""
    versions = releases or (release("Grove.API", "1.0"),)
    facts = {"link": LINK, "repository": replace(FACTS, record=record), "downloads": COUNTS}
    made = package("Grove.API", *versions, **(facts | given))
    item = PackageItem(made.name, made.normalized_name, made.serial, (), releases=made.releases)
    item.project, item.link, item.repository, item.downloads = (
        made.project,
        made.link,
        made.repository,
        made.downloads,
    )
    made.health = health_of(item, TODAY)
    return made


def only(made: Made) -> dict[str, Any]:
    (document,) = documents(made, EVERYTHING, TODAY)
    check(document)
    return document


def of(**changes: Any) -> dict[str, Any]:
    """The document of a package of whose repository these facts are other ones."""
    return only(enriched(record=msgspec.structs.replace(RECORD, **changes)))


def test_all_figures_stand_on_one_latest_and_on_the_newest_of_each_framework_version() -> None:
    """W3: a maintenance release after a newer major had nothing; stars and health stood on two others."""
    claimed = {
        "6.0.11.1": ["Plone 6.0"],
        "6.1.0rc1": ["Plone 6.1"],
        "6.0.9": ["Plone 6.0"],
        "5.2.15": ["Plone 5.2"],
        "5.2.14": ["Plone 5.2"],
    }
    releases = [
        release("Grove.API", version, classifiers=tuple(map(classifier, frameworks)))
        for version, frameworks in claimed.items()
    ]
    made = {one["version"]: one for one in documents(enriched(*releases), EVERYTHING, TODAY)}
    wanted = (GITHUB_FIELDS | DOWNLOAD_FIELDS | HEALTH_FIELDS) - {"download_total"}
    carrying = {version for version, document in made.items() if wanted <= set(document)}
    assert carrying == {"6.0.11.1", "6.1.0rc1", "5.2.15"}
    assert made["6.0.11.1"]["is_latest"]
    for version in set(made) - carrying:
        assert not (GITHUB_FIELDS | DOWNLOAD_FIELDS | HEALTH_FIELDS) & set(made[version])
    for version in carrying:
        assert {made[version][name] == made["6.0.11.1"][name] for name in wanted} == {True}


def test_new_stars_send_no_release_that_does_not_show_them() -> None:
    releases = [release("Grove.API", version) for version in ("2", "1")]
    before, after = (
        documents(enriched(*releases, record=msgspec.structs.replace(RECORD, stars=stars)), EVERYTHING, TODAY)
        for stars in (120, 121)
    )
    same = [document_hash(a) == document_hash(b) for a, b in zip(before, after, strict=True)]
    assert same == [False, True]


def test_what_github_says_is_shown_under_the_names_of_pyf_aggregator() -> None:
    document = only(enriched())
    shown = {name: document[name] for name in GITHUB_FIELDS}
    assert shown == {
        "github_url": "https://github.com/grove/api",
        "github_stars": 120,
        "github_watchers": 7,
        "github_forks": 0,
        "github_open_issues": 4,
        "github_open_pull_requests": 2,
        "github_updated": PUSHED,
        "github_archived": False,
        "github_license": "MIT",
        "github_topics": ["plone", "api"],
        "github_proof": "named",
        "contributors": [
            {"username": "hazel", "avatar_url": AVATAR, "contributions": 30},
            {"username": "basil", "avatar_url": AVATAR, "contributions": 0},
        ],
    }


def test_what_pyf_aggregator_showed_is_shown_until_github_is_asked() -> None:
    """It had only the sum of issues and pull requests, and the time of the last change of anything."""
    record = RepositoryRecord("", "grove", "api", updated_at=PUSHED, stars=120, open_issues_and_pulls=6)
    document = only(enriched(record=record))
    assert {name: document[name] for name in GITHUB_FIELDS & set(document)} == {
        "github_url": "https://github.com/grove/api",
        "github_stars": 120,
        "github_open_issues": 6,
        "github_updated": PUSHED,
        "github_proof": "named",
        "contributors": document["contributors"],
    }
    asked = only(enriched(record=msgspec.structs.replace(record, node_id="R_1")))
    assert not {"github_open_issues", "github_updated"} & set(asked)


def test_a_day_that_is_not_known_is_not_shown() -> None:
    document = only(enriched(downloads=msgspec.structs.replace(COUNTS, as_of=0)))
    assert "download_updated" not in document
    assert document["download_last_day"] == 0


def test_updated_is_the_push_and_not_a_star() -> None:
    assert of(updated_at=PUSHED + 10**7)["github_updated"] == PUSHED
    assert "github_updated" not in of(pushed_at=None)


def test_issues_without_a_token_are_not_those_with_pull_requests() -> None:
    """REST tells only their sum: a busy project would look like a neglected one."""
    document = of(open_issues=None, open_pull_requests=None, open_issues_and_pulls=6)
    assert not {"github_open_issues", "github_open_pull_requests"} & set(document)


def test_zero_is_shown_and_unknown_is_absent() -> None:
    """No stars and stars that nobody asked for are two things, and a filter must tell them apart."""
    numbers = {
        "stars": "github_stars",
        "watchers": "github_watchers",
        "forks": "github_forks",
        "open_issues": "github_open_issues",
        "open_pull_requests": "github_open_pull_requests",
        "pushed_at": "github_updated",
    }
    none, unknown = of(**dict.fromkeys(numbers, 0)), of(**dict.fromkeys(numbers), archived=None, topics=None)
    assert {none[name] for name in numbers.values()} == {0}
    assert not {*numbers.values(), "github_archived", "github_topics"} & set(unknown)


def test_the_address_is_that_of_today_after_a_rename() -> None:
    assert of(owner="orchard", name="grove-api")["github_url"] == "https://github.com/orchard/grove-api"


@pytest.mark.parametrize("state", ["not_found", "blocked"])
def test_a_repository_that_is_gone_shows_nothing(state: RepositoryState) -> None:
    """Its last stars would stand there for ever."""
    document = only(enriched(repository=replace(FACTS, state=state).shown()))
    assert not GITHUB_FIELDS & set(document)
    assert DOWNLOAD_FIELDS - {"download_total"} <= set(document)


def test_a_repository_that_github_cannot_tell_about_now_keeps_its_figures() -> None:
    assert only(enriched(repository=replace(FACTS, state="unavailable").shown())) == only(enriched())


def test_a_package_without_a_repository_or_figures_shows_none() -> None:
    document = only(enriched(link=None, repository=None, downloads=None))
    assert not (GITHUB_FIELDS | DOWNLOAD_FIELDS) & set(document)
    assert "health_score" in document


def test_downloads_have_their_source_and_day() -> None:
    document = only(enriched())
    assert {name: document.get(name) for name in DOWNLOAD_FIELDS} == {
        "download_last_day": 0,
        "download_last_week": 70,
        "download_last_month": 300,
        "download_total": None,
        "download_updated": DAY,
        "download_source": "pypistats",
    }
    whole = only(enriched(downloads=DownloadCounts("clickpy", DAY, total=5)))
    assert {name: whole[name] for name in DOWNLOAD_FIELDS & set(whole)} == {
        "download_total": 5,
        "download_updated": DAY,
        "download_source": "clickpy",
    }


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "java\x01script:x", "data:text/html,x", "//x", ""]
)
def test_a_picture_has_an_address_of_the_web_or_none(address: str) -> None:
    """pyf-gui puts it in the page as it is."""
    made = enriched(repository=replace(FACTS, contributors=(Contributor("hazel", 1, address),)))
    assert only(made)["contributors"] == [{"username": "hazel", "avatar_url": "", "contributions": 1}]


def test_texts_of_strangers_are_cleaned() -> None:
    made = enriched(
        record=msgspec.structs.replace(
            RECORD, license="M\x1b[31mI\nT", topics=("\x1b[2Jred", "\x00", "red", "a\u2028b" * 500)
        ),
    )
    assert made.repository is not None
    made.repository = replace(made.repository, contributors=(Contributor("h\x1b[0m\x9bz" * 200, 1, AVATAR),))
    document = only(made)
    assert document["github_license"] == "MI T"
    assert document["github_topics"][0] == "red"
    assert len(document["github_topics"]) == 2
    shown = msgspec.json.encode([document["github_topics"], document["contributors"]]).decode()
    assert not UNWANTED.search(shown)
    assert len(shown) < 1_000


words = st.one_of(st.none(), st.text(st.characters(codec=None), max_size=20))


@settings(max_examples=100)
@given(
    owner=st.text(st.characters(codec=None), max_size=9),
    license_=words,
    topics=st.one_of(st.none(), st.lists(st.text(st.characters(codec=None), max_size=9), max_size=3)),
    login=st.text(st.characters(codec=None), max_size=9),
)
def test_whatever_a_forge_answers_makes_a_document(
    owner: str, license_: str | None, topics: list[str] | None, login: str
) -> None:
    record = msgspec.structs.replace(
        RECORD, owner=owner, license=license_, topics=None if topics is None else tuple(topics)
    )
    made = package("p", release("p", "1"), link=LINK)
    made.repository = replace(FACTS, record=record, contributors=(Contributor(login, 1, owner),))
    line = msgspec.json.encode(only(made))
    assert b"\n" not in line
    assert not UNWANTED.search(line.decode())
