"""`scrapy list`, by which scrapyd judges an egg: what it lets pass fails in each job."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyf_scrapy.commands.output import ExitCode
from tests.commands.world import EMBEDDED, run_in
from tests.crawling import Place


@pytest.fixture
def nowhere(tmp_path: Path) -> Place:
    return Place(tmp_path, "http://127.0.0.1:1", EMBEDDED)


@pytest.mark.parametrize("default", [None, "plone,django"])
def test_it_lists_the_spiders_and_nothing_else(
    nowhere: Place, capsys: pytest.CaptureFixture[str], default: str | None
) -> None:
    assert run_in(nowhere, "list", DEFAULT_PROFILE=default) == ExitCode.OK
    lines = capsys.readouterr().out.split("\n")
    assert lines[-1] == ""
    assert lines[:-1] == sorted(lines[:-1])
    assert {"pypi", "project", "rss"} <= set(lines)


@pytest.mark.parametrize("argument", ["extra", "--bogus", "--json", "--profile=x"])
def test_what_it_does_not_know_is_refused(
    nowhere: Place, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    assert run_in(nowhere, "list", argument) == ExitCode.USAGE
    output, errors = capsys.readouterr()
    assert "pypi" not in output
    assert argument.partition("=")[0] in output + errors


def test_broken_profiles_are_one_line_with_the_place(
    nowhere: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = nowhere.folder / "broken.yaml"
    broken.write_text("profiles:\n  plone:\n    name: Plone\n")
    assert run_in(nowhere, "list", PROFILES_FILE=broken) == ExitCode.USAGE
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"scrapy list: {broken}:2: profile 'plone' has no classifiers")


def test_an_unknown_default_profile_is_named(nowhere: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in(nowhere, "list", DEFAULT_PROFILE="plonk") == ExitCode.USAGE
    assert "unknown profile 'plonk' (did you mean 'plone'?)" in capsys.readouterr().err
