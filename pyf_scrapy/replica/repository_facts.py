"""Invents the facts about a repository from the project that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.packaging_files import packaging_files, pyproject, workspace
from pyf_scrapy.replica.readmes import sentence
from pyf_scrapy.replica.repositories import SHARED_OWNER, Repository
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.replica.words import THINGS

_DAY = 86_400
_LICENSES = (
    "MIT",
    "MIT",
    "MIT",
    "BSD-3-Clause",
    "Apache-2.0",
    "GPL-2.0",
    "GPL-3.0",
    "LGPL-2.1",
    "NOASSERTION",
    None,
)
_CLAIMED = 0.05
_NAMELESS = 0.15


def invent_repository(
    options: Options, number: int, project: Project, some_name: Callable[[int], str]
) -> Repository:
    """The repository of a project as it was at first: what happens at PyPI does not change it.

    `some_name` gives the name of another project: a few repositories belong to a package of that name.
    """
    dice = Dice(options.seed, project.number, "repository")
    owner, _, name = project.repository.partition("/")
    fate = dice.fraction()
    created = project.created // 1_000_000
    last = max((release.uploaded // 1_000_000 for release in project.releases), default=created)
    repository = _invent(dice, options, number, (owner, name), created, last)
    draw = dice.fraction()
    if draw < _CLAIMED:
        files = packaging_files(dice, some_name(int(dice.fraction() * 10_000_000) + 1))
    elif draw < _CLAIMED + _NAMELESS:
        files = {"README.md": f"# {name}\n"}
    else:
        # Normalized names are the same to PyPI, so some authors write them another way than PyPI shows them.
        written = project.normalized_name if dice.chance(0.3) else project.name
        files = packaging_files(dice, written)
    facts: dict[str, Any] = {"files": files}
    if project.releases and dice.chance(0.6):
        tagged = (
            dice.pick(project.releases) if dice.chance(0.12) else (project.latest or project.releases[-1])
        )
        facts |= {"tag": dice.pick(("v", "v", "")) + tagged.version, "released": tagged.uploaded // 1_000_000}
    page = f"https://pypi.org/project/{project.name}/"
    facts["homepage"] = dice.pick((None, "", "", page, f"https://{project.words[1]}.example"))
    if fate < options.gone_repositories:
        facts["state"] = dice.pick(("deleted",) * 18 + ("dmca", "tos"))
        facts["blocked"] = repository.pushed
    elif fate < options.gone_repositories + options.moved_repositories:
        facts["owner"] = f"{owner}-labs"
    return msgspec.structs.replace(repository, **facts)


def invent_shared(options: Options, number: int, rank: int) -> Repository:
    """A repository of several packages."""
    dice = Dice(options.seed, rank, "shared repository")
    now = int(options.now.timestamp())
    created = now - dice.between(900, 4000) * _DAY
    repository = _invent(dice, options, number, (SHARED_OWNER, f"packages-{rank}"), created, now - 9 * _DAY)
    return msgspec.structs.replace(
        repository, files={"pyproject.toml": workspace()}, contributors=max(1, repository.contributors)
    )


def invent_extra(options: Options, number: int, rank: int) -> Repository:
    """One of any number of repositories that no package names, for tests of load."""
    dice = Dice(options.seed, rank, "extra repository")
    now = int(options.now.timestamp())
    created = now - dice.between(900, 4000) * _DAY
    repository = _invent(dice, options, number, (f"load-{rank}", f"repo-{rank}"), created, now - 90 * _DAY)
    return msgspec.structs.replace(repository, files={"pyproject.toml": pyproject(f"repo-{rank}")})


def _invent(
    dice: Dice, options: Options, number: int, name: tuple[str, str], created: int, last: int
) -> Repository:
    """The figures; `last`: when a package was last published from it."""
    now = max(int(options.now.timestamp()), last)
    created -= dice.between(0, 400) * _DAY
    pushed = min(now - 60, last + int(dice.skewed(20, 1.5) * _DAY))
    pushed = max(pushed, created)
    archived = min(now, pushed + dice.between(1, 600) * _DAY) if dice.chance(0.08) else None
    updated = min(now, max(pushed, archived or 0) + int(dice.skewed(30, 1.5) * _DAY))
    stars = int(dice.skewed(8, 2.1))
    empty = dice.chance(0.005)
    return Repository(
        number,
        *name,
        created=created,
        pushed=pushed,
        updated=updated,
        description=None if dice.chance(0.1) else sentence(dice),
        language=None if empty else dice.pick(("Python", "Python", "Python", "JavaScript", "HTML")),
        stars=stars,
        watchers=1 + int(stars * dice.fraction() * 0.1),
        forks=int(stars * dice.fraction() * 0.4),
        issues=int(dice.skewed(2, 1.6)),
        pulls=int(dice.skewed(0.8, 1.4)),
        archived=archived,
        disabled=dice.chance(0.003),
        parent=f"{name[0]}-upstream/{name[1]}" if dice.chance(0.04) else None,
        license=dice.pick(_LICENSES),
        topics=tuple(dice.some(("python", *THINGS[:60]), dice.between(0, 6))),
        branch=dice.pick(("main", "main", "master")),
        contributors=0 if empty else max(1, int(dice.skewed(3, 1.2))),
        anonymous=dice.between(0, 2),
        too_large=dice.chance(0.002),
    )
