"""The JSON of `/pypi/NAME/json` and `/pypi/NAME/VERSION/json`, as warehouse's legacy/api/json.py makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.files import files_of, json_file
from pyf_scrapy.replica.metadata import info
from pyf_scrapy.replica.truth import Project, Release
from pyf_scrapy.replica.words import PEOPLE

_VULNERABLE = 97
"""One project in so many has a known weakness."""

_ENCODER = msgspec.json.Encoder(order="sorted")


def dump(document: dict[str, Any]) -> bytes:
    """Bytes with sorted keys and no blanks, as PyPI sends them (so `releases` are in string order)."""
    return _ENCODER.encode(document)


def project_json(seed: int, project: Project, latest: Release, some_name: Callable[[int], str]) -> bytes:
    """The project's answer: `info` and `urls` of its latest release, files of all."""
    releases = {
        release.version: [json_file(file, release) for file in files_of(seed, project, release)]
        for release in project.releases
    }
    return dump(
        {
            "info": info(seed, project, latest, some_name),
            "last_serial": project.serial,
            "ownership": _ownership(seed, project),
            "releases": releases,
            "urls": releases[latest.version],
            "vulnerabilities": _vulnerabilities(seed, project, latest),
        }
    )


def release_json(seed: int, project: Project, release: Release, some_name: Callable[[int], str]) -> bytes:
    """The answer for one release."""
    return dump(
        {
            "info": info(seed, project, release, some_name),
            "last_serial": project.serial,
            "ownership": _ownership(seed, project),
            "urls": [json_file(file, release) for file in files_of(seed, project, release)],
            "vulnerabilities": _vulnerabilities(seed, project, release),
        }
    )


def _ownership(seed: int, project: Project) -> dict[str, Any]:
    """As invented, but for what events said."""
    dice = Dice(seed, project.number, "ownership")
    organization = f"{project.words[1]}-guild" if dice.chance(0.05) else None
    users = [
        f"{name.lower()}-{project.words[1]}"
        for name in dice.some(PEOPLE, dice.between(0 if organization else 1, 4))
    ]
    roles = [("Maintainer" if place else "Owner", user) for place, user in enumerate(users)]
    if project.roles is not None:
        roles = list(project.roles)
    if project.organization is not None:
        organization = project.organization or None
    return {"organization": organization, "roles": [{"role": role, "user": user} for role, user in roles]}


def _vulnerabilities(seed: int, project: Project, release: Release) -> list[dict[str, Any]]:
    added = [one.content for one in project.advisories if one.version == release.version]
    return _invented_vulnerabilities(seed, project, release) + added


def _invented_vulnerabilities(seed: int, project: Project, release: Release) -> list[dict[str, Any]]:
    if (project.number + seed) % _VULNERABLE:
        return []
    dice = Dice(seed, project.number, release.version, "vulnerabilities")
    name = f"REPLICA-{project.number}-{dice.between(1, 99)}"
    return [
        {
            "aliases": [f"EXAMPLE-{name}"],
            "details": "### Impact\nAn invented weakness in an invented package.",
            "fixed_in": dice.pick(([], ["999.0"])),
            "id": name,
            "link": f"https://advisories.example/{name}",
            "source": "osv",
            "summary": dice.pick((None, "An invented weakness")),
            "withdrawn": dice.pick((None, None, None, "2026-01-01T00:00:00Z")),
        }
    ]
