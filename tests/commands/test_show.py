"""`scrapy show` is what a person reads before choosing a package, so it must say what the documents say."""

from __future__ import annotations

import json
import re

import pytest

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
