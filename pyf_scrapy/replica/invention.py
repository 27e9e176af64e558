"""Computes a project from its number: nothing of a replica's content is kept in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.replica.dice import Dice, mixed
from pyf_scrapy.replica.frameworks import Family
from pyf_scrapy.replica.histories import DAY, release_times, version_strings
from pyf_scrapy.replica.names import Role
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.repositories import SHARED_OWNER
from pyf_scrapy.replica.truth import Project, Release, latest_of
from pyf_scrapy.replica.words import SYLLABLES

FIRST_SERIAL = 20_000_000
SERIAL_STEP = 16
"""Serials of neighbours in time lie this far apart: the releases of a project have serials of their own."""


def serial_of(rank: int, projects: int) -> int:
    """The serial of the project that is the `rank`-th most recently changed one (0 is the newest)."""
    return FIRST_SERIAL + (projects - rank) * SERIAL_STEP


def newest_time(rank: int, options: Options) -> int:
    """When that project was last released, in seconds since 1970: a tenth of all within a month."""
    age = 5800 * ((rank + 0.5) / options.projects) ** 2.3
    return int(options.now.timestamp() - age * DAY) - 60


def coin(number: int) -> str:
    """A word that belongs to one number only."""
    word = ""
    number += len(SYLLABLES) ** 2
    while number:
        number, digit = divmod(number, len(SYLLABLES))
        word += SYLLABLES[digit]
    return word


def invent(options: Options, number: int, rank: int, name: str, word: str, role: Role) -> Project:
    """The project with this number, as it is before any event."""
    dice = Dice(options.seed, number, "project")
    releases: tuple[Release, ...] = ()
    hostile = options.hostile and dice.chance(0.02)
    if not role.empty:
        count = min(options.most_releases, max(1, round(dice.skewed(3, 1.15))))
        times = release_times(dice, newest_time(rank, options), count, int(options.now.timestamp()))
        releases = tuple(
            Release(version, time, _kinds(dice, time), (), _requires_python(dice, time))
            for version, time in zip(version_strings(dice, times), times, strict=True)
        )
        releases = _yank(dice, releases)
        releases = _classify(dice, releases, role)
        if len(releases) > 1 and dice.chance(options.missing):
            releases = _hide_one(dice, releases)
    status = "archived" if dice.chance(0.01) else "active"
    return Project(
        number,
        name,
        str(canonicalize_name(name)),
        serial_of(rank, options.projects),
        releases,
        (coin(number), word),
        status,
        hostile=hostile,
        created=(releases[0].uploaded if releases else newest_time(rank, options) * 1_000_000),
        shared_repository=_shared_repository(options, number),
    )


def _shared_repository(options: Options, number: int) -> str | None:
    """Drawn apart from the rest: other dice would change every project of a replica without them."""
    draw = mixed(number, options.seed + 1)
    if draw / 2**32 >= options.monorepos:
        return None
    return f"{SHARED_OWNER}/packages-{draw % options.shared_repositories}"


def _kinds(dice: Dice, time: int) -> tuple[str, ...]:
    if dice.chance(0.02):
        return ()
    if time < 1_400_000_000_000_000:
        return dice.pick((("sdist",), ("sdist",), ("sdist", "egg"), ("sdist", "wininst")))
    if dice.chance(0.03):
        return ("sdist", "cp311", "cp312", "cp313", "cp314")
    return dice.pick((("sdist", "wheel"), ("sdist", "wheel"), ("sdist", "wheel"), ("wheel",), ("sdist",)))


def _requires_python(dice: Dice, time: int) -> str | None:
    if time < 1_480_000_000_000_000:
        return None
    year = datetime.fromtimestamp(time // 1_000_000, UTC).year
    newest = max(5, year - 2014)
    return dice.pick(
        (
            f">=3.{newest - 1}",
            f">=3.{newest - 2}",
            f">=3.{newest - 3},<4",
            f"~=3.{newest - 2}",
            None,
            "",
            ">=3.6.*",
        )
        if dice.chance(0.3)
        else (f">=3.{newest - 2}",)
    )


def _yank(dice: Dice, releases: tuple[Release, ...]) -> tuple[Release, ...]:
    """Takes some releases back, with and without a reason; of a few projects all."""
    if dice.chance(0.97):
        return releases
    all_of_them = dice.chance(0.1)
    reason = dice.pick(
        (None, "", "Broken metadata", "Wrong file uploaded", "Use the next release; it is the same")
    )
    return tuple(
        msgspec.structs.replace(release, yanked=True, yanked_reason=reason)
        if all_of_them or dice.chance(0.3)
        else release
        for release in releases
    )


def _hide_one(dice: Dice, releases: tuple[Release, ...]) -> tuple[Release, ...]:
    hidden = dice.pick([release for release in releases if release is not latest_of(releases)])
    return tuple(
        msgspec.structs.replace(release, own_json=False) if release is hidden else release
        for release in releases
    )


def _classify(dice: Dice, releases: tuple[Release, ...], role: Role) -> tuple[Release, ...]:
    """Members claim their frameworks in the latest release; decoys at most in others."""
    latest = latest_of(releases)
    common = _common_classifiers(dice)
    families = role.families or ((role.decoy,) if role.decoy and dice.chance(0.5) else ())
    traits = [(family, dice.between(0, 3), dice.between(1, 4), dice.fraction()) for family in families]
    late_joiner = dice.chance(0.05)
    classified = []
    for place, release in enumerate(releases):
        classifiers = list(common)
        if release is latest:
            claims = bool(role.families)
        else:
            claims = not (late_joiner and place < len(releases) // 2)
        if claims:
            for family, behind, width, draw in traits:
                age = (len(releases) - 1 - place) // 3
                classifiers += _framework_classifiers(family, behind + age, width, draw)
        classifiers += _python_classifiers(release.uploaded)
        classified.append(msgspec.structs.replace(release, classifiers=tuple(sorted(classifiers))))
    return tuple(classified)


def _framework_classifiers(family: Family, behind: int, width: int, draw: float) -> list[str]:
    """The family's classifier with `width` versions, the newest of which is `behind` the newest of all."""
    stop = max(1, len(family.versions) - behind)
    versions = family.versions[max(0, stop - width) : stop]
    claimed = [f"{family.classifier} :: {version}" for version in versions]
    if family.kinds and draw < 0.6:
        claimed.append(f"{family.classifier} :: {family.kinds[int(draw / 0.6 * len(family.kinds))]}")
    return claimed if claimed and draw > 0.85 else [family.classifier, *claimed]


def _common_classifiers(dice: Dice) -> list[str]:
    if dice.chance(0.1):
        return []
    return [
        "Development Status :: "
        + dice.pick(("3 - Alpha", "4 - Beta", "4 - Beta", "5 - Production/Stable", "7 - Inactive")),
        *dice.some(
            (
                "Intended Audience :: Developers",
                "Intended Audience :: Science/Research",
                "Operating System :: OS Independent",
                "Environment :: Web Environment",
                "Natural Language :: English",
                "Topic :: Software Development :: Libraries",
                "Topic :: Utilities",
                "Typing :: Typed",
            ),
            dice.between(0, 4),
        ),
        dice.pick(
            (
                "License :: OSI Approved :: MIT License",
                "License :: OSI Approved :: BSD License",
                "License :: OSI Approved :: GNU General Public License v2 (GPLv2)",
                "License :: OSI Approved :: Apache Software License",
            )
        ),
    ]


def _python_classifiers(uploaded: int) -> list[str]:
    year = datetime.fromtimestamp(uploaded // 1_000_000, UTC).year
    if year < 2014:
        return ["Programming Language :: Python"]
    newest = min(14, max(4, year - 2012))
    return [
        "Programming Language :: Python",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(max(3, newest - 4), newest + 1)),
    ]
