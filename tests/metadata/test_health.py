"""The health score. If these fail, users judge packages by points that nobody can explain."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.documentation import has_documentation_link, has_homepage, has_screenshot
from pyf_scrapy.metadata.health import DAYS_AHEAD, Health, health
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.versions import sortable
from pyf_scrapy.parsers.project_json import Metadata

NOW = date(2026, 9, 1)
EMPTY = Metadata("demo", "1.0")
SHORT = "description too short (<150 chars)"
FEW_WORDS = "not enough documentation (extend README to 500+ words or add documentation link)"
DOCS_URL = {"reason": "has dedicated docs URL", "points": 4}
PROJECT_URL = {"reason": "has documentation project URL", "points": 3}
SCREENSHOT = {"reason": "has meaningful screenshots", "points": 5}


def days_ago(days: int, hour: int = 23) -> int:
    moment = datetime(NOW.year, NOW.month, NOW.day, hour, 59, 59, tzinfo=UTC) - timedelta(days=days)
    return int(moment.timestamp())


def release(
    metadata: Metadata = EMPTY, upload_time: int | None = None, *, version: str = "1.0", yanked: bool = False
) -> Release:
    return Release(
        version=version,
        metadata=metadata,
        files=(),
        partial=False,
        yanked=yanked,
        yanked_reason=None,
        upload_time=upload_time,
        sortable=sortable(version, yanked=yanked),
    )


def part(name: str, *releases: Release, description: Description | None = None) -> dict[str, Any]:
    found: dict[str, Any] = health(releases, description, NOW).breakdown[name]
    return found


def documented(rendered: Description | None = None, **metadata: Any) -> dict[str, Any]:
    return part("documentation", release(msgspec.structs.replace(EMPTY, **metadata)), description=rendered)


def judged(**metadata: Any) -> dict[str, Any]:
    return part("metadata", release(msgspec.structs.replace(EMPTY, **metadata)))


def test_nothing_known_scores_nothing() -> None:
    assert health([release()], Description(), NOW) == Health(
        score=0,
        breakdown={
            "recency": {"points": 0, "max_points": 40, "problems": ["no release timestamp"], "bonuses": []},
            "documentation": {"points": 0, "max_points": 30, "problems": [SHORT, FEW_WORDS], "bonuses": []},
            "metadata": {
                "points": 0,
                "max_points": 30,
                "problems": [
                    "no maintainer info",
                    "no author info",
                    "no license",
                    "fewer than 3 classifiers",
                ],
                "bonuses": [],
            },
        },
    )


def test_a_package_can_score_100_by_pypi_alone() -> None:
    metadata = msgspec.structs.replace(
        EMPTY,
        author_email="Ada Example <ada@example.org>",
        license_expression="MIT",
        classifiers=("Framework :: Plone", "Framework :: Plone :: 6.0", "Topic :: Internet"),
        project_urls={"Documentation": "https://docs.example.org/demo"},
    )
    description = Description(
        html='<img src="https://example.org/screenshot.png" width="800">', main_content="word " * 500
    )
    found = health([release(metadata, days_ago(1))], description, NOW)
    assert found.score == 100
    assert all(part["points"] == part["max_points"] for part in found.breakdown.values())
    assert all(part["problems"] == [] for part in found.breakdown.values())
    assert found.breakdown["documentation"]["bonuses"] == [DOCS_URL, PROJECT_URL, SCREENSHOT]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Health) == found


@pytest.mark.parametrize(
    ("days", "points", "problem"),
    [
        (0, 40, None),
        (179, 40, None),
        (180, 30, "last release over 6 months ago"),
        (364, 30, "last release over 6 months ago"),
        (365, 20, "last release over 1 year ago"),
        (729, 20, "last release over 1 year ago"),
        (730, 10, "last release over 2 years ago"),
        (1094, 10, "last release over 2 years ago"),
        (1095, 5, "last release over 3 years ago"),
        (1824, 5, "last release over 3 years ago"),
        (1825, 0, "last release over 5 years ago"),
        (20_000, 0, "last release over 5 years ago"),
        (-DAYS_AHEAD, 40, None),  # uploaded while a long crawl ran
        (-DAYS_AHEAD - 1, 0, "release timestamp is in the future"),
    ],
)
@pytest.mark.parametrize("hour", [0, 23])
def test_recency_by_whole_days(days: int, points: int, problem: str | None, hour: int) -> None:
    found = part("recency", release(upload_time=days_ago(days, hour)))
    assert (found["points"], found["problems"]) == (points, [problem] if problem else [])


@pytest.mark.parametrize("upload_time", [None, 0, -1])
def test_unknown_upload_time_is_said(upload_time: int | None) -> None:
    assert part("recency", release(upload_time=upload_time))["problems"] == ["no release timestamp"]


def test_far_future_is_no_error() -> None:
    found = part("recency", release(upload_time=10**18), release(upload_time=days_ago(400), version="0.9"))
    assert (found["points"], found["problems"]) == (20, ["last release over 1 year ago"])


def test_recency_is_that_of_the_newest_upload_that_can_be_installed() -> None:
    """A maintenance release of an older branch keeps a package alive, a yanked one does not."""
    latest = release(upload_time=days_ago(800), version="6.1")
    assert part("recency", latest)["points"] == 10
    assert part("recency", latest, release(upload_time=days_ago(5), version="6.0.9"))["points"] == 40
    yanked = release(upload_time=days_ago(5), version="6.0.9", yanked=True)
    assert part("recency", latest, yanked)["points"] == 10


def test_package_with_only_yanked_releases_gets_nothing_for_recency() -> None:
    found = part("recency", release(upload_time=days_ago(1), yanked=True))
    assert (found["points"], found["problems"]) == (0, ["latest release is yanked"])


def test_latest_release_is_judged_whatever_the_order() -> None:
    old = release(msgspec.structs.replace(EMPTY, license="MIT"), days_ago(900), version="1.9")
    new = release(EMPTY, days_ago(9), version="1.10")
    assert health([old, new], None, NOW) == health([new, old], None, NOW)
    assert "no license" in health([old, new], None, NOW).breakdown["metadata"]["problems"]


@pytest.mark.parametrize(
    ("description", "problems"),
    [
        (Description(first_chapter="x" * 149), [SHORT, FEW_WORDS]),
        (Description(first_chapter="x" * 150), [FEW_WORDS]),
        (Description(title="x" * 70, changelog="y" * 79), [FEW_WORDS]),
        (Description(first_chapter="x   \n" * 75), [SHORT, FEW_WORDS]),  # 149 characters with single blanks
        (Description(first_chapter="x " * 499), [FEW_WORDS]),
        (Description(first_chapter="x " * 250, main_content="x " * 250), []),
        (Description(title="x " * 500, changelog="x " * 500), [FEW_WORDS]),  # a changelog explains nothing
        (Description(html="<p>" + "<b></b>" * 1000 + "</p>"), [SHORT, FEW_WORDS]),  # markup is no text
    ],
)
def test_description_is_measured_as_plain_text(description: Description, problems: list[str]) -> None:
    found = documented(description, description="source " * 1000)
    assert found["problems"] == problems
    assert found["points"] == (0 if SHORT in problems else 18)


def test_description_that_could_not_be_rendered_is_judged_by_its_source() -> None:
    assert documented(None, description="word " * 500)["problems"] == []
    assert documented(None, description="word " * 3)["problems"] == [SHORT, FEW_WORDS]
    assert documented(None)["problems"] == [SHORT, FEW_WORDS]


@pytest.mark.parametrize(
    ("metadata", "bonuses"),
    [
        ({}, []),
        ({"project_urls": {"Documentation": "https://docs.example.org"}}, [DOCS_URL, PROJECT_URL]),
        ({"project_urls": {"docs": "http://demo.readthedocs.io/en/latest/"}}, [DOCS_URL, PROJECT_URL]),
        ({"project_urls": {"Docs: RTD": "https://docs.example.org"}}, [DOCS_URL, PROJECT_URL]),
        ({"project_urls": {"API-documentation": "https://docs.example.org"}}, [DOCS_URL, PROJECT_URL]),
        ({"docs_url": "https://pythonhosted.org/demo/"}, [DOCS_URL, PROJECT_URL]),
        ({"project_urls": {"Homepage": "https://demo.example.org"}}, [PROJECT_URL]),
        ({"project_urls": {"home_page": "https://demo.example.org"}}, [PROJECT_URL]),
        ({"home_page": "https://demo.example.org"}, [PROJECT_URL]),
        ({"project_urls": {"Homepage": "https://github.com/demo/demo"}}, []),
        ({"home_page": "https://github.com/demo/demo/wiki"}, []),
        ({"project_urls": {"Documentation": "https://github.com/demo/demo#readme"}}, []),
        ({"project_urls": {"Documentation": "https://github.com/demo/demo/wiki"}}, [DOCS_URL, PROJECT_URL]),
        ({"project_urls": {"Source": "https://demo.example.org", "Doctor": "https://a.example"}}, []),
        ({"project_urls": {"Documentation": "UNKNOWN"}, "docs_url": "not a url", "home_page": "UNKNOWN"}, []),
    ],
)
def test_links_to_documentation(metadata: dict[str, Any], bonuses: list[dict[str, Any]]) -> None:
    found = documented(Description(), **metadata)
    assert found["bonuses"] == bonuses
    assert found["points"] == sum(bonus["points"] for bonus in bonuses)
    assert (FEW_WORDS in found["problems"]) == (not bonuses)


@pytest.mark.parametrize(
    ("url", "documentation", "homepage"),
    [
        ("https://example.org", True, True),
        (" HTTPS://WWW.EXAMPLE.ORG/x ", True, True),
        ("https://demo.github.io/demo", True, True),
        ("https://bücher.example/", True, True),
        ("https://gitlab.com/group/sub/demo/-/wikis/home", True, False),
        ("https://gitlab.example.org/group/sub/demo", False, False),
        ("https://www.github.com/demo/demo/", False, False),
        ("https://github.com/demo/demo.git", False, False),
        ("https://github.com/demo", False, False),
        ("https://github.com//demo/demo?tab=readme", False, False),
        ("https://github.com/demo/demo/tree/main/docs", True, False),
        ("https://pypi.org/project/demo/", False, False),
        ("https://pypi.python.org/pypi/demo", False, False),
        ("ftp://example.org", False, False),
        ("javascript:alert(1)", False, False),
        ("//example.org", False, False),
        ("https://", False, False),
        ("https:///docs", False, False),
        ("https://localhost/docs", False, False),
        ("http://127.0.0.1/docs", False, False),
        ("http://[::1]/docs", False, False),
        ("http://[broken", False, False),
        ("https://exa mple.org", False, False),
        ("https://example.org/" + "x" * 3000, False, False),
        ("", False, False),
    ],
)
def test_which_links_lead_to_a_site(url: str, documentation: bool, homepage: bool) -> None:
    labelled = {"Documentation": url, "Homepage": url}
    metadata = msgspec.structs.replace(EMPTY, project_urls=labelled)
    assert (has_documentation_link(metadata), has_homepage(metadata)) == (documentation, homepage)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>no image</p>", False),
        ('<img alt="The form" src="https://example.org/form.png">', True),
        ('<img src="https://example.org/form.JPG?raw=true" />', True),
        ('<img src="https://example.org/form.svg">', False),
        ('<img src="https://example.org/form.svg" width="200">', True),
        ('<img src="https://example.org/form.png" width="199">', False),
        ('<img src="https://example.org/form.png" width="640px">', True),
        ('<img src="https://example.org/form.png" width="25%">', True),
        ('<img src="https://example.org/form.png" width="24%">', False),
        ('<img src="https://example.org/form.png" width="wide">', True),
        ('<img src="https://example.org/logo.png" width="600">', False),
        ('<img src="https://example.org/all_logos.png">', False),
        ('<img src="https://example.org/catalogs.png">', True),
        ('<img src="https://github.com/user-attachments/assets/9d1ea326-866d">', True),
        ('<img src="https://example.org/semiconductor.png">', True),
        ('<img alt="Build status badge" src="https://example.org/a.png">', False),
        ('<img src="https://img.shields.io/pypi/v/demo.png" width="300">', False),
        ('<img src="https://travis-ci.org/demo/demo.png?branch=main">', False),
        ('<img src="docs/form.png" width="600">', False),
        ('<img src="data:image/png;base64,AAAA" width="600">', False),
        ("<img>", False),
        ('<img alt="a > b" src="https://example.org/form.png"><img>', True),
        ('<a title="<img src=&quot;x&quot;">x</a><img src="https://example.org/form.png">', True),
    ],
)
def test_screenshots_are_judged_by_their_attributes(html: str, expected: bool) -> None:
    assert has_screenshot(html) is expected
    assert (SCREENSHOT in documented(Description(html=html))["bonuses"]) is expected


@pytest.mark.parametrize(
    "html",
    [
        "<img" * 100_000,
        '<img a="' * 60_000,
        "<img " + " " * 500_000,
        '<img a="" ' * 50_000,
        '<img width="1" src="https://e.org/' + "logo" * 120_000 + '.png">',
        f'<img width="{"9" * 500_000}" src="https://e.org/a.svg">',
    ],
    ids=range(6),
)
def test_hostile_html_costs_little(html: str) -> None:
    started = time.thread_time()
    assert not has_screenshot(html)
    # What backtracks takes minutes of these; a loaded machine seconds.
    assert time.thread_time() - started < 20


PERSON_PROBLEMS = ["no maintainer info", "no author info"]


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        ({"author": "Ada"}, True),
        ({"maintainer": "Ada"}, True),
        ({"author_email": "Ada Example <ada@example.org>"}, True),  # PEP 621: no author then
        ({"author_email": "ada@example.org"}, True),
        ({"maintainer_email": "=?utf-8?q?Ad=C3=A1?= <a@example.org>"}, True),
        ({"author": "Łódź"}, True),
        ({"author": "UNKNOWN", "author_email": "UNKNOWN", "maintainer": "None"}, False),
        ({"author_email": "unknown <unknown>", "author": " - "}, False),
    ],
)
def test_who_made_it(metadata: dict[str, str], known: bool) -> None:
    found = judged(**metadata)
    assert found["points"] == (10 if known else 0)
    assert (found["problems"][:2] == PERSON_PROBLEMS) is not known


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        ({"license": "GPL"}, True),
        ({"license": "Permission is hereby granted ..." * 1000}, True),
        ({"license_expression": "LicenseRef-PolyForm-Shield-1.0.0"}, True),  # PEP 639: `license` is null then
        ({"classifiers": ("License :: OSI Approved :: BSD License",)}, True),
        ({"license": "UNKNOWN"}, False),
        ({"license": "N/A"}, False),
        ({"license_files": ("LICENSE",)}, False),
        ({"classifiers": ("Topic :: License",)}, False),
    ],
)
def test_licence(metadata: dict[str, Any], known: bool) -> None:
    found = judged(**metadata)
    assert found["points"] == (10 if known else 0)
    assert ("no license" in found["problems"]) is not known


def test_three_different_classifiers() -> None:
    assert "fewer than 3 classifiers" in judged(classifiers=("A", "B", "B"))["problems"]
    found = judged(classifiers=("A", "B", "C"))
    assert (found["points"], "fewer than 3 classifiers" in found["problems"]) == (10, False)


texts = st.one_of(st.none(), st.sampled_from(["UNKNOWN", "", "Ada", "MIT"]), st.text(max_size=8))
urls = st.one_of(texts.filter(bool), st.sampled_from(["https://a.example", "https://github.com/a/b"]))
labels = st.sampled_from(["Homepage", "Documentation", "Source", "docs", "x"])
prose = st.sampled_from(["", "word", "word " * 200, "word " * 600])


@dataclass(frozen=True)
class Case:
    metadata: Metadata
    uploads: list[tuple[str, int | None, bool]]
    description: Description | None

    def health(self) -> Health:
        releases = [
            release(self.metadata, time, version=version, yanked=yanked)
            for version, time, yanked in self.uploads
        ]
        return health(releases, self.description, NOW)


cases = st.builds(
    Case,
    metadata=st.builds(
        Metadata,
        name=st.just("demo"),
        version=st.just("1.0"),
        author=texts,
        author_email=texts,
        license=texts,
        license_expression=texts,
        classifiers=st.lists(st.sampled_from(["A", "B", "License :: X", "D"])).map(tuple),
        project_urls=st.one_of(st.none(), st.dictionaries(labels, urls)),
        home_page=texts,
        docs_url=texts,
        description=prose,
    ),
    uploads=st.lists(
        st.tuples(
            st.sampled_from(["1.0", "1.1", "2.0a1", "x"]),
            st.one_of(st.none(), st.integers(), st.integers(0, 2500).map(days_ago)),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda upload: upload[0],
    ),
    description=st.one_of(st.none(), st.builds(Description, html=st.text(), title=prose, main_content=prose)),
)


@settings(deadline=None, max_examples=200)
@given(cases)
def test_score_is_the_sum_of_its_parts_and_never_out_of_range(case: Case) -> None:
    found = case.health()
    parts = found.breakdown.values()
    assert 0 <= found.score <= 100
    assert found.score == sum(part["points"] for part in parts)
    assert sum(part["max_points"] for part in parts) == 100
    for name, part in found.breakdown.items():
        assert name in {"recency", "documentation", "metadata"}
        assert set(part) == {"points", "max_points", "problems", "bonuses"}
        assert type(part["points"]) is int
        assert sum(bonus["points"] for bonus in part["bonuses"]) <= part["points"] <= part["max_points"]


@settings(deadline=None, max_examples=200)
@given(
    cases,
    st.sampled_from(
        [
            {"license_expression": "MIT"},
            {"license": "BSD"},
            {"author": "Ada"},
            {"maintainer_email": "Ada <ada@example.org>"},
            {"docs_url": "https://docs.example.org"},
            {"home_page": "https://demo.example.org"},
            {"project_urls": {"Documentation": "https://docs.example.org"}},
            {"classifiers": ("License :: OSI Approved :: MIT License", "B", "C")},
        ]
    ),
)
def test_telling_more_never_lowers_the_score(case: Case, more: dict[str, Any]) -> None:
    if "project_urls" in more:
        more = {"project_urls": (case.metadata.project_urls or {}) | more["project_urls"]}
    told = replace(case, metadata=msgspec.structs.replace(case.metadata, **more))
    assert told.health().score >= case.health().score
