"""The health score. If these fail, users judge packages by points that nobody can explain."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.documentation import documentation_link, homepage, screenshot
from pyf_scrapy.metadata.health import Health, HealthFacts, health
from pyf_scrapy.metadata.health.facts import DAYS_AHEAD
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.parsers.records import Role

from .health_cases import (
    BEST,
    EMPTY,
    NOW,
    WORST,
    days_ago,
    judge,
    point,
    project,
    release,
)

SHORT = "description too short (<150 chars)"
FEW_WORDS = "not enough documentation (extend README to 500+ words or add documentation link)"
DOCS_URL = {"reason": "has dedicated docs URL", "points": 4}
PROJECT_URL = {"reason": "has documentation project URL", "points": 3}
SCREENSHOT = {"reason": "has meaningful screenshots", "points": 5}


def part(name: str, *releases: Release, description: Description | None = None) -> dict[str, Any]:
    found: dict[str, Any] = health(HealthFacts(releases, description), NOW).breakdown[name]
    return found


def documented(rendered: Description | None = None, **metadata: Any) -> dict[str, Any]:
    return part("documentation", release(msgspec.structs.replace(EMPTY, **metadata)), description=rendered)


def judged(**metadata: Any) -> dict[str, Any]:
    return part("metadata", release(msgspec.structs.replace(EMPTY, **metadata)))


def test_nothing_known_scores_nothing() -> None:
    found = judge(WORST)
    assert found.score == 0
    assert {name: found.breakdown[name] for name in ("recency", "documentation", "metadata")} == {
        "recency": {"points": 0, "max_points": 40, "problems": ["no release timestamp"], "bonuses": []},
        "documentation": {"points": 0, "max_points": 30, "problems": [SHORT, FEW_WORDS], "bonuses": []},
        "metadata": {
            "points": 0,
            "max_points": 30,
            "problems": ["no maintainer info", "no author info", "no license", "fewer than 3 classifiers"],
            "bonuses": [],
        },
    }
    assert not [key for key in found.breakdown if key.startswith("github")]
    # Of a weight of 150: the upload, the repository (30), advisories and the mark (10 each) are not known.
    assert found.confidence == 40


def test_a_package_can_score_100_by_pypi_alone() -> None:
    found = judge(BEST)
    parts = [found.breakdown[name] for name in ("recency", "documentation", "metadata")]
    assert found.score == 100
    assert all(part["points"] == part["max_points"] for part in parts)
    assert all(part["problems"] == [] for part in parts)
    assert found.breakdown["documentation"]["bonuses"] == [DOCS_URL, PROJECT_URL, SCREENSHOT]
    assert found.confidence == 80  # of a repository nothing is known
    assert found.remedies == ()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Health) == found


def test_every_point_has_its_evidence() -> None:
    """A point that only says so is one to take on faith."""
    found = judge(BEST)
    assert {one.rule: (one.points, one.maximum, one.evidence) for one in found.points if one.maximum} == {
        "recency": (40, 40, "newest upload 2026-08-31"),
        "description": (18, 18, "2,499 characters"),
        "documentation-link": (4, 4, "https://docs.example.org/demo"),
        "project-url": (3, 3, "https://docs.example.org/demo"),
        "screenshot": (5, 5, "https://example.org/screenshot.png"),
        "person": (10, 10, "Ada Example <ada@example.org>"),
        "license": (10, 10, "MIT"),
        "classifiers": (10, 10, "3"),
        "stars": (0, 10, "no facts of a repository"),
        "activity": (0, 10, "no facts of a repository"),
        "issues": (0, 10, "no facts of a repository"),
    }
    assert point(found, "recency").when == days_ago(1)
    assert {one.source for one in found.points} == {"PyPI", "GitHub", "PyPI, GitHub"}


def test_evidence_from_strangers_is_printable_and_short() -> None:
    """It is printed on terminals and shown on pages."""
    metadata = msgspec.structs.replace(
        EMPTY, author="\x1b[31mEvil\u202e\ud800\nAda" + "a" * 100_000, license="MIT\x00 "
    )
    found = judge(WORST, releases=(release(metadata),))
    evidence = point(found, "person").evidence
    assert evidence.startswith("[31mEvil Adaa")
    assert len(evidence) == 60
    assert point(found, "license").evidence == "MIT"
    assert all(one.evidence.isprintable() for one in found.points)


def test_the_remedies_are_what_would_raise_it() -> None:
    """Doing as told must bring what was promised."""
    found = judge(WORST)
    assert [(one.gain, one.rules) for one in found.remedies] == [
        (40, ("recency",)),
        (18, ("description",)),
        (10, ("person",)),
        (10, ("license",)),
        (10, ("classifiers",)),
        (7, ("documentation-link", "project-url")),
        (5, ("screenshot",)),
    ]
    linked = msgspec.structs.replace(EMPTY, project_urls={"Documentation": "https://docs.example.org"})
    assert judge(WORST, releases=(release(linked),)).score == 7
    at_home = msgspec.structs.replace(EMPTY, home_page="https://demo.example.org")
    after = judge(WORST, releases=(release(at_home),))
    assert [one.gain for one in after.remedies if "documentation-link" in one.rules] == [4]


def test_release_without_metadata_on_pypi_is_not_called_bad() -> None:
    """That PyPI has no JSON of it does not mean that it has no licence."""
    found = judge(WORST, releases=(release(upload_time=days_ago(1), partial=True),))
    assert found.score == 40
    assert found.breakdown["metadata"]["problems"] == []
    assert found.breakdown["documentation"]["problems"] == []
    assert (found.axes["metadata"].confidence, found.axes["documentation"].confidence) == (0, 0)
    assert [one.remedy for one in found.remedies] == []


def test_who_may_release_it_is_said() -> None:
    roles = (Role("Owner", "ada"), Role("Maintainer", "ada"), Role("Maintainer", "bob"))
    owned = judge(BEST, project=project(roles=roles, organization="demo-org"))
    assert point(owned, "owners").evidence == "2 people may release it, owned by demo-org"
    alone = judge(BEST, project=project(roles=roles[:1]))
    assert point(alone, "owners").evidence == "1 person may release it"
    assert point(judge(BEST, project=project(organization="x")), "owners").evidence == "owned by x"
    assert not [one for one in judge(BEST).points if one.rule == "owners"]
    assert owned.score == alone.score == 100


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
    found = judge(WORST, releases=(old, new))
    assert found == judge(WORST, releases=(new, old))
    assert "no license" in found.breakdown["metadata"]["problems"]


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
    ("url", "documentation", "home"),
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
def test_which_links_lead_to_a_site(url: str, documentation: bool, home: bool) -> None:
    labelled = {"Documentation": url, "Homepage": url}
    metadata = msgspec.structs.replace(EMPTY, project_urls=labelled)
    assert documentation_link(metadata) == (url if documentation else "")
    assert homepage(metadata) == (url if home else "")


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
    assert bool(screenshot(html)) is expected
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
    assert not screenshot(html)
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
