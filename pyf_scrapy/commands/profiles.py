"""`scrapy profiles`: which ecosystems can be crawled, and what is odd about their definitions."""

from __future__ import annotations

import argparse
from typing import Any

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_table, print_text
from pyf_scrapy.profiles import Profile, find_profiles_file, select, unknown_classifiers


class Command(PyfCommand):
    takes_profile = True

    def syntax(self) -> str:
        return "[-p PROFILE] [--json]"

    def short_desc(self) -> str:
        return "List the profiles of profiles.yaml"

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        settings = self.project_settings
        profiles = self.profiles()
        chosen = select(opts.package_profile or "all", profiles)
        described = [_described(profile) for profile in chosen]
        if opts.json:
            print_json(
                {
                    "file": str(find_profiles_file(settings.get("PROFILES_FILE"))),
                    "default": settings.get("DEFAULT_PROFILE"),
                    "profiles": described,
                }
            )
            return ExitCode.OK
        print_table(
            ("profile", "name", "collection", "classifiers", "hints"),
            (
                (
                    row["key"],
                    row["name"],
                    row["collection"],
                    _first(row["classifiers"]),
                    " ".join(row["hints"]),
                )
                for row in described
            ),
        )
        for row in described:
            for warning in row["warnings"]:
                print_text(f"profile {row['key']}: {warning}")
        return ExitCode.OK


def _described(profile: Profile) -> dict[str, Any]:
    row = profile.definition()
    del row["releases"]  # belongs to a collection, not to the file
    row["warnings"] = [*profile.warnings, *unknown_classifiers(profile)]
    return row


def _first(classifiers: list[str]) -> str:
    """The first classifier and how many there are."""
    if len(classifiers) > 1:
        return f"{classifiers[0]} (+{len(classifiers) - 1})"
    return "".join(classifiers)
