"""`scrapy search` is what all the crawling is for: packages found, and a clear word where there is none."""

from __future__ import annotations

import json

import pytest

from tests.commands.world import Run, World, run_in
from tests.crawling import Place


def test_a_package_is_found_by_a_word_of_its_readme(
    run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    coined = world.package.words[0]
    assert run("search", coined, "-p", "plone") == 0
    first, blank, head, _, row, *_ = capsys.readouterr().out.splitlines()
    assert first == f"1 package found for '{coined}' in plone"
    assert blank == ""
    assert head.split() == ["name", "version", "health", "released", "summary"]
    assert row.split()[0] == world.package.name


def test_the_table_fits_a_narrow_terminal(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Names are what a reader copies, so they stay whole."""
    assert run("search", "-p", "django") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert run("search", "-p", "django", "--json") == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)["results"]}
    assert names <= {line.split()[0] for line in lines if line.strip()}


def test_words_of_several_arguments_are_one_query(
    run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "plone", world.package.words[1], "--json", "-p", "plone") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["query"] == f"plone {world.package.words[1]}"
    assert found["results"][0]["name"] == world.package.name


def test_json_has_stable_keys(run: Run, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("search", "--json", "-c", "plone", "--per-page", "2") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["query", "collection", "found", "page", "per_page", "results"]
    assert (found["collection"], found["found"]) == ("plone", len(world.members("Plone")))
    assert {"name", "version", "summary", "health_score", "upload_timestamp"} <= set(found["results"][0])


def test_pages_have_an_end_and_do_not_overlap(
    run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    for page in ("1", "2", "3"):
        assert run("search", "--json", "-p", "plone", "--per-page", "3", "--page", page) == 0
        seen += [row["name_normalized"] for row in json.loads(capsys.readouterr().out)["results"]]
    assert len(set(seen)) == len(seen) == min(9, len(world.members("Plone")))
    assert run("search", "-p", "plone", "--per-page", "3", "--page", "2") == 0
    pages = -(-len(world.members("Plone")) // 3)
    assert capsys.readouterr().out.splitlines()[0].endswith(f" found in plone, page 2 of {pages}")


def test_a_filter_narrows(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("search", "--json", "-p", "plone", "--filter", "health_score:>60") == 0
    assert all(row["health_score"] > 60 for row in json.loads(capsys.readouterr().out)["results"])
    assert run("search", "-p", "plone", "--filter", "no_such_field:1") == 2
    assert "no_such_field" in capsys.readouterr().err


def test_no_hit_is_an_answer(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("search", "xyzzyplugh", "-p", "plone") == 0
    assert capsys.readouterr().out == "No package found for 'xyzzyplugh' in plone.\n"
    assert run("search", "xyzzyplugh", "-p", "plone", "--json") == 0
    assert json.loads(capsys.readouterr().out)["results"] == []


@pytest.mark.parametrize(
    ("where", "command"),
    [
        (("-p", "flask"), "scrapy crawl pypi -a profile=flask"),
        (("-c", "mine"), "scrapy crawl project -a names=NAME,NAME -a collection=mine"),
    ],
)
def test_a_collection_that_is_not_there_names_the_command_that_makes_it(
    run: Run, capsys: pytest.CaptureFixture[str], where: tuple[str, str], command: str
) -> None:
    assert run("search", "word", *where) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"scrapy search: there is no collection {where[1]!r} yet; make it: {command}\n"


def test_nothing_is_started_where_nothing_is(fresh: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in(fresh, "search", "word", "-p", "plone") == 1
    assert "scrapy crawl pypi -a profile=plone" in capsys.readouterr().err
    assert not fresh.folder.exists()


@pytest.mark.parametrize(
    "wrong",
    [("--per-page", "251"), ("--per-page", "0"), ("--page", "0"), ("--page", "two"), ("--pages", "1")],
)
def test_impossible_pages_are_refused(
    run: Run, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    assert run("search", "word", "-p", "plone", *wrong) == 2
    assert capsys.readouterr().err.count("\n") <= 2
