"""Copies of this checkout, for tests that change it, build in it or look at what a build leaves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

#: What an egg is made of, and what tells git what to overlook.
FOR_AN_EGG = (".gitignore", "profiles.yaml", "pyf_scrapy", "scrapy.cfg", "setup.py")


def copy(names: Iterable[str], folder: Path) -> Path:
    """Copy files and folders of the checkout into `folder`, which is made; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        source, target = CHECKOUT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`, whatever the user's configuration; returns what it prints."""
    user = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", folder, *user, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout
