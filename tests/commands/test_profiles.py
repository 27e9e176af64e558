"""`scrapy profiles` is where a user looks up what to put after -p, and sees that a definition is odd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scrapy.cmdline import execute
from scrapy.settings import Settings

ROOT = Path(__file__).parents[2]

ODD = """\
profiles:
  mine:
    name: "Mine"
    classifiers: ["Framework :: Plonee", "Framework :: Zope"]
    npm: [x]
  other: {name: Other, include: [plone.api]}
"""

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `scrapy profiles ...` by Scrapy's own entry point, without the other commands of the project."""
    package = f"only_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "profiles.py").write_text(
        "from pyf_scrapy.commands.profiles import Command as Profiles\n\nclass Command(Profiles):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "120")

    def run_command(*args: str, **project: object) -> int:
        with pytest.raises(SystemExit) as ended:
            execute(["scrapy", "profiles", *args], Settings({"COMMANDS_MODULE": package, **project}))
        code = ended.value.code
        assert isinstance(code, int)
        return code

    return run_command


def test_the_table_shows_each_profile(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    printed = capsys.readouterr()
    rows = {line.split()[0]: line for line in printed.out.splitlines()[2:]}
    assert len(rows) >= 12
    assert "Framework :: Plone" in rows["plone"]
    assert rows["plone"].endswith("plone collective products zope")
    assert "Framework :: Zope (+3)" in rows["zope"]
    assert printed.err == ""


def test_json_for_scripts(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "-p", "flask,plone", DEFAULT_PROFILE="plone") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["file"] == str(ROOT / "profiles.yaml")
    assert printed["default"] == "plone"
    assert [profile["key"] for profile in printed["profiles"]] == ["flask", "plone"]
    assert printed["profiles"][0] == {
        "key": "flask",
        "name": "Flask",
        "classifiers": ["Framework :: Flask"],
        "hints": ["flask"],
        "include": [],
        "exclude": [],
        "collection": "flask",
        "synonyms": [],
        "warnings": [],
    }


def test_oddities_are_warned_about(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A misspelt classifier would silently index nothing."""
    path = tmp_path / "odd.yaml"
    path.write_text(ODD)
    assert run(PROFILES_FILE=path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "profile mine: line 5: unknown key 'npm' is ignored" in lines
    assert any(
        line.startswith("profile mine: unknown classifier 'Framework :: Plonee'; close: ") for line in lines
    )
    assert run("--json", PROFILES_FILE=path) == 0
    assert len(json.loads(capsys.readouterr().out)["profiles"][0]["warnings"]) == 2


@pytest.mark.parametrize("broken", ["profiles:\n\tx", "nope"])
def test_a_malformed_file_is_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(broken)
    assert run(PROFILES_FILE=path) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"scrapy profiles: {path}:")
    assert printed.err.count("\n") == 1


def test_an_unknown_profile_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-p", "nope") == 2
    assert capsys.readouterr().err.startswith(
        "scrapy profiles: unknown profile 'nope' (did you mean 'zope'?); known: plone, django, flask"
    )


def test_scrapy_finds_the_command_also_in_a_sub_folder() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scrapy", "profiles", "--json"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYF_ENV_FILE": "", "PROFILES_FILE": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert json.loads(done.stdout)["file"] == str(ROOT / "profiles.yaml")
