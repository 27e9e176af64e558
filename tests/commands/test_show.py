"""`scrapy show` is what a person reads before choosing a package, so it must say what the documents say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from pyf_scrapy.search.collections import ensure_collection, import_documents
from tests.commands.world import YANK_REASON, Run, World

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("spelled", [str.upper, lambda name: name.replace(".", "_"), str])
def test_any_spelling_of_the_name_shows_the_page(
    run: Run, world: World, capsys: Capture, spelled: type[str]
) -> None:
    package = world.package
    assert run("show", spelled(package.name), "-p", "plone") == 0
    lines = capsys.readouterr().out.splitlines()
    assert package.latest is not None
    assert lines[0] == f"{package.name} {package.latest.version}"
    facts = {line.split()[0]: line for line in lines if line and not line.startswith(" ")}
    assert {"released", "licence", "author", "addresses", "releases", "serial", "health"} <= set(facts)
    assert facts["releases"].split()[1] == f"{len(package.releases)}:"
    assert all(len(line) <= 80 for line in lines)


def test_the_score_is_explained_to_the_last_point(run: Run, world: World, capsys: Capture) -> None:
    """Who reads a score and cannot add it up has no reason to believe it."""
    assert run("show", world.package.name, "-p", "plone") == 0
    lines = capsys.readouterr().out.splitlines()
    (facts, table), advice = (
        [place for place, line in enumerate(lines) if line.startswith(first)]
        for first in ("health ", "gain ")
    )
    assert re.fullmatch(r"health +\d+ of 100, confidence \d+ %", lines[facts])
    end = lines[table].index("points") + len("points")
    cells = [line[end - len("points") : end].strip() for line in lines[table + 2 : advice[0] - 1]]
    *points, score = [int(cell) for cell in cells if cell]
    assert sum(points) == score == int(lines[facts].split()[1])
    for title in ("latest upload", "README", "licence", "stars", "known vulnerabilities"):
        assert any(line.startswith(title) for line in lines[table:])
    gains = [line.split()[0] for line in lines[advice[0] + 2 :] if not line.startswith(" ")]
    assert all(re.fullmatch(r"\+\d+|\?", gain) for gain in gains)
    known = [int(gain) for gain in gains if gain != "?"]
    assert known == sorted(known, reverse=True) != []


def test_partial_releases_are_counted_on_the_page(run: Run, world: World, capsys: Capture) -> None:
    assert run("show", world.package.name, "-p", "plone") == 0
    assert "1 partial" in capsys.readouterr().out


def test_all_versions_with_what_is_odd_about_them(run: Run, world: World, capsys: Capture) -> None:
    """A yanked release must not look like one to install."""
    assert run("show", world.package.name, "-p", "plone", "--all-versions", COLUMNS="160") == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("version"))
    rows = {line.split()[0]: line for line in lines[start + 2 :] if not line.startswith(" ")}
    assert set(rows) == {release.version for release in world.package.releases}
    assert "yanked" in rows[world.yanked]
    assert "partial" in rows[world.partial]
    assert YANK_REASON.split(",")[0] in " ".join(" ".join(lines[start:]).split())


def test_json_has_the_latest_document_and_a_line_for_each_release(
    run: Run, world: World, capsys: Capture
) -> None:
    assert run("show", world.package.name, "-p", "plone", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["name", "collection", "latest", "versions"]
    assert (found["name"], found["collection"]) == (world.package.name, "plone")
    assert found["latest"]["is_latest"] is True
    breakdown = found["latest"]["health_score_breakdown"]
    assert breakdown["recency"]["max_points"] == 40
    assert sum(point["points"] for point in breakdown["points"]) == found["latest"]["health_score"]
    versions = {version["version"]: version for version in found["versions"]}
    assert set(versions) == {release.version for release in world.package.releases}
    assert found["versions"][0]["version"] == found["latest"]["version"]
    assert found["versions"][-1]["version"] == world.yanked  # after all others
    assert versions[world.yanked]["yanked_reason"] == YANK_REASON
    assert [version for version, row in versions.items() if row["partial"]] == [world.partial]


def test_an_unknown_name_is_one_line_with_near_names(run: Run, world: World, capsys: Capture) -> None:
    assert run("show", world.package.name[:-1], "-p", "plone") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(
        f"scrapy show: no package {world.package.name[:-1]!r} in plone; did you mean "
    )
    assert world.package.name in printed.err
    assert run("show", "xyzzyplugh", "-p", "plone") == 1
    assert capsys.readouterr().err == "scrapy show: no package 'xyzzyplugh' in plone\n"


def test_a_name_is_needed_and_one_is_enough(run: Run, capsys: Capture) -> None:
    assert run("show", "-p", "plone") == 2
    assert run("show", "one", "two", "-p", "plone") == 2
    assert run("show", "one", "-p", "flask") == 1
    assert "scrapy crawl pypi -a profile=flask" in capsys.readouterr().err


Put = Callable[..., None]


@pytest.fixture
def put(world: World) -> Iterator[Put]:
    """Puts the latest document of the package in a collection `figures`, with other fields, too."""
    with world.place.connection() as connection:
        made = ensure_collection(connection.client, "figures").name

        def write(**fields: Any) -> None:
            documents = world.place.documents("plone").values()
            (document,) = (one for one in documents if one["is_latest"] and one["name"] == world.package.name)
            (reason,) = import_documents(connection.client, made, [msgspec.json.encode(document | fields)])
            assert not reason

        yield write
        connection.client.aliases["figures"].delete()
        connection.client.collections[made].delete()


GITHUB = {
    "github_url": "https://github.com/grove/api",
    "github_stars": 1200,
    "github_forks": 1,
    "github_open_issues": 0,
    "github_open_pull_requests": 2,
    "github_archived": True,
    "github_updated": 1_790_812_800,
    "github_proof": "claimed",
}
DOWNLOADS = {
    "download_last_day": 0,
    "download_last_month": 31_000,
    "download_updated": 1_793_404_800,
    "download_source": "pypistats",
}


def test_the_repository_with_its_proof_and_downloads_with_their_source(
    run: Run, world: World, put: Put, capsys: Capture
) -> None:
    """Stars of a repository that anybody could claim must not look like the package's own."""
    put(**GITHUB, **DOWNLOADS)
    assert run("show", world.package.name, "-c", "figures") == 0
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    said = " ".join(printed.split())
    assert (
        "repository https://github.com/grove/api 1,200 stars, 1 fork, 0 open issues, 2 open pull requests, "
        "archived, last push 2026-10-01 not proven: only the package says that it is its own downloads"
    ) in said
    assert "downloads 0 in the last day, 31,000 in the last month (pypistats, 2026-10-31)" in said
    assert run("show", world.package.name, "-c", "figures", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["name", "collection", "latest", "versions"]
    assert (GITHUB | DOWNLOADS).items() <= found["latest"].items()


@pytest.mark.parametrize(
    ("proof", "words"), [("attested", "PyPI attests"), ("named", "the repository names")]
)
def test_what_proves_a_repository(
    run: Run, world: World, put: Put, capsys: Capture, proof: str, words: str
) -> None:
    put(github_url=GITHUB["github_url"], github_proof=proof)
    assert run("show", world.package.name, "-c", "figures") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"repository https://github.com/grove/api proven: {words}" in said
    assert "stars," not in said


def test_figures_that_are_not_known_are_not_there(run: Run, world: World, capsys: Capture) -> None:
    """The table of the health below has rows of these names, too."""
    assert run("show", world.package.name, "-p", "plone") == 0
    facts = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert any(line.startswith("health ") for line in facts)
    assert not [line for line in facts if line.startswith(("repository", "downloads"))]
