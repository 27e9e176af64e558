"""Documents of an old index are hostile: one that breaks the import leaves its user with nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.records import Contributor
from pyf_scrapy.takeover import parsing
from pyf_scrapy.takeover.parsing import Downloads, GithubFigures, OldDocument, Unused, parse_document

from .upstream import document

NOW = 1_790_000_000
API = "https://github.com/Plone/plone.api"
GITHUB = {
    "github_stars": 90,
    "github_watchers": 12,
    "github_open_issues": 34,
    "github_updated": 1_780_000_000,
    "github_url": API,
}
DOWNLOADS = {
    "download_last_day": 1,
    "download_last_week": 20,
    "download_last_month": 300,
    "download_total": 4000,
    "download_updated": 1_785_000_000.25,
}


def taken(name: Any = "plone.api", **more: Any) -> OldDocument:
    parsed = parse_document(document(name, **more), NOW)
    assert isinstance(parsed, OldDocument), parsed
    return parsed


def reasons(**more: Any) -> list[str]:
    return [unused.reason for unused in taken(**more).unused]


class TestTaken:
    def test_all_figures(self) -> None:
        people = [{"username": f"u{n}", "avatar_url": f"https://a/{n}", "contributions": n} for n in range(7)]
        parsed = taken("Plone.API", upload_timestamp=7, contributors=people, **GITHUB, **DOWNLOADS)
        assert (parsed.id, parsed.name, parsed.uploaded_at) == ("Plone.API-1.0", "plone-api", 7)
        github = parsed.github
        assert github is not None
        assert github.repository.url == API
        assert (github.stars, github.watchers, github.open_issues, github.updated_at) == (
            90,
            12,
            34,
            1_780_000_000,
        )
        assert parsed.downloads == Downloads(1, 20, 300, 4000, 1_785_000_000)
        assert parsed.contributors == tuple(Contributor(f"u{n}", n, f"https://a/{n}") for n in range(5))
        assert not parsed.unused

    def test_a_name_alone(self) -> None:
        """Most documents have no figures; their names are worth a visit."""
        assert taken("A_b.C") == OldDocument("A_b.C-1.0", "a-b-c")
        assert parse_document({"name": " Zope "}, NOW) == OldDocument(" Zope ", "zope")

    def test_0_is_a_figure_and_no_time(self) -> None:
        parsed = taken(github_stars=0, github_updated=0, github_url=API, download_total=0, download_updated=0)
        assert parsed.github is not None
        assert (parsed.github.stars, parsed.github.updated_at) == (0, None)
        assert parsed.downloads == Downloads(total=0)
        assert not parsed.unused

    @pytest.mark.parametrize("value", [12, 12.0, "12"])
    def test_numbers_of_auto_fields(self, value: object) -> None:
        """Typesense took the type of the first one that came."""
        assert taken(download_last_day=value).downloads == Downloads(12)

    @pytest.mark.parametrize(
        "value", [1_780_000_000, 1_780_000_000.9, "1780000000", "2026-05-28T20:26:40Z", "2026-05-28 20:26:40"]
    )
    def test_times_in_all_forms(self, value: object) -> None:
        assert taken(github_stars=1, github_url=API, github_updated=value).github == GithubFigures(
            taken(**GITHUB).github.repository,  # type: ignore[union-attr]
            1,
            updated_at=1_780_000_000,
        )

    def test_without_github_url_the_only_repository_named_anywhere(self) -> None:
        labelled = {"Source": f"git+{API}.git", "Bugs": f"{API}/issues", "Docs": "https://docs.plone.org"}
        github = taken(github_stars=1, home_page="https://plone.org", project_urls=labelled).github
        assert github is not None
        assert github.repository.key == "github.com/plone/plone.api"

    def test_extra_releases_of_hostile_words_are_only_names(self) -> None:
        parsed = taken(version="not a version \x00", classifiers=None, keywords="", urls=5, github_stars=None)
        assert parsed.name == "plone-api"
        assert not parsed.unused


class TestUnused:
    @pytest.mark.parametrize("value", [-1, 2**63, 1.5, "many", True, [], {}, [3], "9" * 20, 10**400])
    def test_what_is_no_count_costs_itself_only(self, value: object) -> None:
        parsed = taken(**{**GITHUB, **DOWNLOADS, "github_stars": value, "download_total": value})
        assert parsed.github is not None
        assert (parsed.github.stars, parsed.github.watchers) == (None, 12)
        assert parsed.downloads == Downloads(1, 20, 300, None, 1_785_000_000)
        assert [(unused.id, unused.reason) for unused in parsed.unused] == [
            ("plone.api-1.0", "github_stars is no count"),
            ("plone.api-1.0", "download_total is no count"),
        ]

    def test_times_that_are_none(self) -> None:
        assert reasons(**{**GITHUB, "github_updated": "yesterday"}) == ["github_updated is no time"]
        assert reasons(**{**DOWNLOADS, "download_updated": [1]}) == ["download_updated is no time"]
        assert taken(**{**DOWNLOADS, "download_updated": -5.5}).downloads == Downloads(1, 20, 300, 4000)

    def test_figures_of_the_future_do_not_beat_all_later_ones(self) -> None:
        parsed = taken(**{**GITHUB, "github_updated": NOW + 1}, **{**DOWNLOADS, "download_updated": 1e300})
        assert parsed.github is not None
        assert parsed.downloads is not None
        assert (parsed.github.stars, parsed.github.updated_at, parsed.downloads.asked_at) == (90, None, None)
        assert [unused.reason for unused in parsed.unused] == [
            "github_updated lies in the future",
            "download_updated is no time",
        ]

    @pytest.mark.parametrize(
        "addresses",
        [
            {},
            {"github_url": "https://gitlab.com/a/b"},
            {"github_url": 5, "home_page": ["https://github.com/a/b"], "project_urls": "x"},
            {"home_page": API, "project_urls": {"Fork": "https://github.com/me/plone.api"}},
        ],
    )
    def test_stars_of_nobody_knows_what_are_given_to_nobody(self, addresses: dict[str, Any]) -> None:
        parsed = taken(github_stars=9, contributors=[{"username": "a"}], **addresses)
        assert (parsed.github, parsed.contributors) == (None, ())
        assert [unused.reason for unused in parsed.unused] == [parsing.NO_REPOSITORY]

    def test_contributors(self) -> None:
        odd = [None, {"username": 5}, {"username": ""}, {"username": "a\n"}, {"username": "x" * 101}]
        good = {"username": "ann", "contributions": "3", "avatar_url": 7}
        assert taken(contributors=[*odd, good], **GITHUB).contributors == (Contributor("ann", 3),)
        assert reasons(contributors="ann", **GITHUB) == ["contributors is no list"]
        assert reasons(contributors=odd, **GITHUB) == ["contributors have no names"]
        assert not reasons(contributors=[], **GITHUB)


class TestRefused:
    @pytest.mark.parametrize(
        ("found", "id_", "reason"),
        [
            (None, "", parsing.NO_OBJECT),
            ([document("a")], "", parsing.NO_OBJECT),
            ({}, "", parsing.NO_NAME),
            ({"id": 5, "name": None}, "", parsing.NO_NAME),
            ({"id": "x-1", "name": ["x"]}, "x-1", parsing.NO_NAME),
            ({"identifier": "x-1", "name": "  "}, "x-1", parsing.NO_NAME),
            (document("a b"), "a b-1.0", parsing.WRONG_NAME),
            (document("../../etc"), "../../etc-1.0", parsing.WRONG_NAME),
            (document("x" * 300), "x" * 200, parsing.WRONG_NAME),
            (document("é"), "é-1.0", parsing.WRONG_NAME),
            (document("volto", registry="npm"), "volto-1.0", parsing.NPM),
            (document("@plone/volto", registry=...), "@plone/volto-1.0", parsing.NPM),
            (document("volto", registry="", npm_scope="plone"), "volto-1.0", parsing.NPM),
            (document("@plone/volto"), "@plone/volto-1.0", parsing.WRONG_NAME),
        ],
    )
    def test_and_named_with_the_reason(self, found: object, id_: str, reason: str) -> None:
        assert parse_document(found, NOW) == Unused(id_, reason)

    def test_a_package_of_pypi_may_have_an_empty_scope(self) -> None:
        assert taken("volto", npm_scope="plone").name == "volto"
        assert taken("volto", registry=..., npm_scope="", npm_final_score=0.0).name == "volto"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from([API, "2024-01-01", 10**400, "9" * 30, "\0", "\ud800", "github.com/a/b", 1e300]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9) | st.just("username"), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(parsing.FIELDS), values) | st.builds(
    lambda more: {**document("plone.api"), **GITHUB, **DOWNLOADS, **more},
    st.dictionaries(st.sampled_from(parsing.FIELDS[3:]), values),
)


@given(documents | values)
def test_no_document_breaks_the_import(found: object) -> None:
    """Whatever comes, what is taken can be stored: numbers of 64 bits, names that are names."""
    parsed = parse_document(found, NOW)
    if isinstance(parsed, Unused):
        assert parsed.reason
        return
    assert parsed.name == parsed.name.lower()
    assert 0 <= parsed.uploaded_at < 2**63
    for figures in (parsed.github, parsed.downloads):
        for field in figures.__struct_fields__ if figures is not None else ():
            value = getattr(figures, field)
            assert not isinstance(value, int) or 0 <= value < 2**63
    assert len(parsed.contributors) <= 5
