"""The egg for scrapyd: what it lacks is only missed when a job runs, far from who deployed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.checkout import CHECKOUT, FOR_AN_EGG, copy


def build(checkout: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Make the egg as scrapyd-deploy does, but with nothing written into the checkout."""
    return subprocess.run(
        [
            *(sys.executable, "setup.py", "-q"),
            *("egg_info", "--egg-base", folder),
            *("build", "--build-base", folder / "build"),
            *("bdist_egg", "--bdist-dir", folder / "bdist", "--dist-dir", folder / "dist"),
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def egg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("egg")
    done = build(CHECKOUT, folder)
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "dist").iterdir()
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory like scrapyd's: no scrapy.cfg in it or above."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def scrapy(egg: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Scrapy in `folder`; the project comes from the egg alone."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(egg),
        "SCRAPY_SETTINGS_MODULE": "pyf_scrapy.settings",
        "PYF_ENV_FILE": "",
    }
    return subprocess.run(
        [sys.executable, "-P", "-m", "scrapy", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_holds_the_package_and_its_profiles_only(egg: Path) -> None:
    """Above all no .env, whose keys would be handed to whoever runs scrapyd."""
    with zipfile.ZipFile(egg) as archive:
        names = {name for name in archive.namelist() if not name.startswith("EGG-INFO/")}
        assert "settings = pyf_scrapy.settings" in archive.read("EGG-INFO/entry_points.txt").decode()
        assert archive.read("pyf_scrapy/profiles.yaml") == (CHECKOUT / "profiles.yaml").read_bytes()
        assert "EGG-INFO/zip-safe" in archive.namelist()
    sources = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "pyf_scrapy").rglob("*.py")}
    pages = {
        str(path.relative_to(CHECKOUT))
        for folder in ("templates", "static")
        for path in (CHECKOUT / "pyf_scrapy" / "web" / folder).iterdir()
    }
    others = {*pages, "pyf_scrapy/profiles.yaml"}
    assert {name for name in names if not name.endswith(".pyc")} == sources | others


def test_the_profiles_are_found_inside(egg: Path, elsewhere: Path) -> None:
    done = scrapy(egg, elsewhere, "profiles", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["file"].startswith(str(egg))
    assert "plone" in {profile["key"] for profile in found["profiles"]}


def test_the_spiders_are_found_inside(egg: Path, elsewhere: Path) -> None:
    done = scrapy(egg, elsewhere, "list")
    assert done.returncode == 0, done.stderr
    assert {"project", "pypi"} <= set(done.stdout.split())
    assert not list(elsewhere.iterdir()), "to list spiders writes nothing"


def test_a_job_for_an_unknown_profile_ends_with_one_line(egg: Path, elsewhere: Path) -> None:
    done = scrapy(egg, elsewhere, "crawl", "pypi", "-a", "profile=plonk")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "plone" in line


def test_one_with_profiles_that_are_broken_is_not_made(tmp_path: Path) -> None:
    """scrapyd would take it, and each of its jobs would fail."""
    checkout = copy(FOR_AN_EGG, tmp_path / "checkout")
    (tmp_path / "built").mkdir()
    profiles = checkout / "profiles.yaml"
    profiles.write_text("profiles:\n  plone:\n    name: Plone\n")
    broken = build(checkout, tmp_path / "built")
    profiles.unlink()
    missing = build(checkout, tmp_path / "built")
    assert broken.stderr.splitlines()[-1].startswith("error: profiles.yaml:2: ")
    assert (
        missing.stderr.splitlines()[-1] == "error: profiles.yaml: cannot be read: No such file or directory"
    )
    assert broken.returncode == missing.returncode == 1
    assert not (tmp_path / "built" / "dist").exists()
