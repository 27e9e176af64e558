"""`info` of an invented release: the 30 keys that PyPI sends, in all the ways people fill them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.frameworks import FAMILIES
from pyf_scrapy.replica.readmes import readme, sentence, summary
from pyf_scrapy.replica.truth import Project, Release
from pyf_scrapy.replica.words import ADJECTIVES, PEOPLE, THINGS

_DOWNLOADS = {"last_day": -1, "last_month": -1, "last_week": -1}

_LICENSES = (
    ("MIT", "MIT"),
    ("BSD-3-Clause", "BSD-3-Clause"),
    ("GPL version 2", "GPL-2.0-only"),
    ("Apache License 2.0", "Apache-2.0"),
    ("GNU LGPL", "LGPL-2.1-or-later AND MIT"),
    ("ZPL 2.1", "ZPL-2.1"),
)
"""A licence as people write it and as an SPDX expression."""

_PEP_639 = datetime(2024, 12, 1, tzinfo=UTC).timestamp() * 1_000_000


def info(seed: int, project: Project, release: Release, some_name: Callable[[int], str]) -> dict[str, Any]:
    """The metadata of one release; `some_name` gives the name of another project for a number."""
    steady = Dice(seed, project.number, "metadata")
    own = Dice(seed, project.number, release.version, "metadata")
    text = readme(Dice(seed, project.number, release.version, "readme"), project, release.version)
    page = f"https://pypi.org/project/{project.name}/"
    return {
        "classifiers": list(release.classifiers),
        "description": text.text,
        "description_content_type": text.content_type,
        "downloads": _DOWNLOADS,
        "bugtrack_url": None,
        "docs_url": None,
        "name": project.name,
        "package_url": page,
        "project_url": page,
        "release_url": f"{page}{quote(release.version)}/",
        "requires_python": release.requires_python,
        "summary": summary(steady, project),
        "version": release.version,
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
        **_people(steady, project),
        **_urls(steady, project),
        **_license(own, release),
        **_requirements(own, release, some_name),
        "keywords": _keywords(steady, project),
        "platform": own.pick((None, None, "", "any", "UNKNOWN")),
        **release.info,
    }


def headline(seed: int, project: Project, release: Release) -> tuple[Any, Any]:
    """`summary` and `author_email` as in `info`, without the cost of the rest. From events: of any type."""
    steady = Dice(seed, project.number, "metadata")
    line = summary(steady, project)  # drawn in the order of `info`
    mail = _people(steady, project)["author_email"]
    return release.info.get("summary", line), release.info.get("author_email", mail)


def _people(dice: Dice, project: Project) -> dict[str, Any]:
    name = f"{dice.pick(PEOPLE)} {project.words[1].title()}"
    mail = f"{project.words[0]}@{project.words[1]}.example"
    empty = dice.pick((None, "", "UNKNOWN"))
    author, author_email = dice.pick(
        (
            (name, mail),
            (name, mail),
            (None, f"{name} <{mail}>"),
            (None, f"{name} <{mail}>, {dice.pick(PEOPLE)} Second <second@{project.words[1]}.example>"),
            ("", f'"{project.words[1].title()} Team, led by {name}" <{mail}>'),
            (None, f"=?utf-8?q?S=C3=B6ren_{project.words[1].title()}?= <{mail}>"),
            (f"{name}; {dice.pick(PEOPLE)} Second", ""),
            (empty, empty),
        )
    )
    maintainer, maintainer_email = (name, mail) if dice.chance(0.15) else (empty, empty)
    return {
        "author": author,
        "author_email": author_email,
        "maintainer": maintainer,
        "maintainer_email": maintainer_email,
    }


def _urls(dice: Dice, project: Project) -> dict[str, Any]:
    site = f"https://{project.words[1]}.example"
    repository = f"https://github.com/{project.repository}"
    if project.hostile:
        return {
            "download_url": "data:text/html,<script>document.title=1</script>",
            "home_page": "javascript:document.title=1",
            "project_urls": {
                "Homepage": "javascript:document.title=1",
                "Source\x1b[31m": repository,
                "": "not a url",
            },
        }
    draw = dice.fraction()
    empty = dice.pick((None, "", "UNKNOWN"))
    if draw < 0.1:
        return {"download_url": empty, "home_page": empty, "project_urls": None}
    if draw < 0.4:
        page = dice.pick((repository, f"{repository}.git", f"http://{repository[8:]}/", f"{site}/"))
        return {"download_url": empty, "home_page": page, "project_urls": {"Homepage": page}}
    labels = {
        dice.pick(("Homepage", "homepage", "Home")): dice.pick((site, repository)),
        dice.pick(("Source", "Source Code", "Repository", "source_code", "GitHub: repo")): repository,
        dice.pick(("Issues", "Bug Tracker", "Issue Tracker", "bug_tracker")): f"{repository}/issues",
        dice.pick(("Documentation", "Docs", "docs: RTD")): f"{site}/docs",
        dice.pick(("Changelog", "Changes", "Release notes")): f"{repository}/blob/main/CHANGES.md",
        "Funding": f"{site}/donate",
    }
    chosen = dict(dice.some(list(labels.items()), dice.between(1, 6)))
    return {"download_url": empty, "home_page": dice.pick((None, site, repository)), "project_urls": chosen}


def _license(dice: Dice, release: Release) -> dict[str, Any]:
    words, expression = dice.pick(_LICENSES)
    if release.uploaded > _PEP_639 and dice.chance(0.5):
        return {"license": None, "license_expression": expression, "license_files": ["LICENSE"]}
    draw = dice.fraction()
    if draw < 0.15:
        words = dice.pick(("", "UNKNOWN"))
    elif draw < 0.25:
        words = f"{words}\n\nCopyright (c) the authors\n\n" + " ".join(sentence(dice) for _ in range(12))
    return {
        "license": words,
        "license_expression": None,
        "license_files": dice.pick((None, None, ["LICENSE.txt"])),
    }


def _requirements(dice: Dice, release: Release, some_name: Callable[[int], str]) -> dict[str, Any]:
    if dice.chance(0.25):
        return {"requires_dist": None, "provides_extra": None, "dynamic": None}
    claimed = {text.split(" :: ")[1] for text in release.classifiers if text.startswith("Framework :: ")}
    requires = [name for family in FAMILIES.values() if family.name in claimed for name in family.requires]
    for _ in range(dice.between(0, 6)):
        name = some_name(int(dice.fraction() * 10_000_000))
        requires.append(
            name + dice.pick(("", "", ">=1.0", "<3,>=2", "~=1.4", '; python_version < "3.11"', " (>=0.5)"))
        )
    extras = dice.some(("test", "docs", "dev", "all"), dice.between(1, 3)) if dice.chance(0.3) else None
    requires += [
        f'{some_name(int(dice.fraction() * 10_000_000))}; extra == "{extra}"' for extra in extras or ()
    ]
    if dice.chance(0.005):
        requires.append("broken (>dev)")
    return {
        "requires_dist": requires or None,
        "provides_extra": extras,
        "dynamic": dice.pick((None, ["License-File"], ["Author", "Classifier", "Description"])),
    }


def _keywords(dice: Dice, project: Project) -> str | None:
    words = [project.words[1], *dice.some(THINGS, dice.between(1, 4)), dice.pick(ADJECTIVES)]
    return dice.pick(
        (
            None,
            "",
            ",".join(words),
            ", ".join(words),
            " ".join(words),
            words[0],
            f"{words[0]} {words[1]}, {words[2]}",
        )
    )
