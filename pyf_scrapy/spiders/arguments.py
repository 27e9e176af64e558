"""Spider arguments (`-a NAME=VALUE`): checked before any request, one clear line for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.profiles import Profile, load_profiles, select
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.session import Target

#: Arguments of every spider that fetches packages.
COMMON = frozenset({"profile", "classifier", "collection", "limit", "releases"})


def own(given: Mapping[str, Any]) -> dict[str, str]:
    """The arguments that the user gave: scrapyd adds others, whose names begin with an underscore."""
    return {name: str(value) for name, value in given.items() if not name.startswith("_")}


def refuse_unknown(spider: str, given: Collection[str], known: Collection[str]) -> None:
    """Raise UsageProblem naming the argument that the spider does not have, and the nearest it has."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(sorted(known))}"
            raise UsageProblem(f"the spider {spider} has no argument {name!r}; {hint}")


def positive(name: str, value: str | None) -> int | None:
    """A whole number above 0, or None when not given. Raises UsageProblem."""
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and int(value[:18]) > 0):
        raise UsageProblem(f"{name}={value!r} is not a whole number above 0")
    return int(value[:18])


def share(name: str, value: str | None) -> float:
    """A part of a whole: `1/24` or `0.05`; 1 when not given. Raises UsageProblem."""
    if value is None:
        return 1.0
    try:
        part = Fraction(value)
    except (ValueError, ZeroDivisionError):
        part = Fraction(0)
    if not 0 < part <= 1:
        raise UsageProblem(f"{name}={value!r} is not a part of the whole; write 1/24, or 1 for all")
    return float(part)


def flag(name: str, value: str | None) -> bool:
    """1/0, yes/no, true/false; False when not given. Raises UsageProblem."""
    if value is None:
        return False
    text = value.strip().lower()
    if text in {"1", "yes", "true", "on"}:
        return True
    if text in {"0", "no", "false", "off", ""}:
        return False
    raise UsageProblem(f"{name}={value!r} is neither 1 nor 0")


def releases(value: str | None) -> int | None:
    """`all` -> None, `latest` -> 1, N -> N. Raises UsageProblem."""
    if value is None or value == "all":
        return None
    if value == "latest":
        return 1
    try:
        return positive("releases", value)
    except UsageProblem:
        raise UsageProblem(f"releases={value!r} is none of: all, latest, a whole number above 0") from None


def targets(arguments: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
    """The profiles that a crawl is for, by `profile=`, `classifier=` with `collection=`, or DEFAULT_PROFILE.

    Empty when none of them is given. Raises UsageProblem (ProfileError for an unknown profile).
    """
    profile, classifier = arguments.get("profile"), arguments.get("classifier")
    if profile and classifier:
        raise UsageProblem("give profile= or classifier=, not both")
    if classifier:
        found = _for_collection(_by_classifier(classifier, arguments), arguments)
        return [replace(target, by_classifier=True) for target in found]
    spec = profile or settings.get("DEFAULT_PROFILE")
    if not spec:
        return []
    chosen = select(spec, load_profiles(settings.get("PROFILES_FILE")))
    return _for_collection(chosen, arguments)


def required(found: list[Target]) -> list[Target]:
    """The targets of a spider that cannot do without. Raises UsageProblem when there are none."""
    if not found:
        raise UsageProblem(
            "which packages? give -a profile=NAME (`scrapy profiles` lists them), -a classifier=... with "
            "-a collection=NAME, or set DEFAULT_PROFILE"
        )
    return found


def _by_classifier(classifier: str, arguments: Mapping[str, str]) -> list[Profile]:
    wanted = tuple(part.strip() for part in classifier.split(";") if part.strip())
    if not wanted:
        raise UsageProblem("classifier= is empty; several are separated by ';', '*' is every package")
    if not arguments.get("collection"):
        raise UsageProblem("classifier= needs collection=NAME: where to index what matches")
    name = check_alias(arguments["collection"])
    return [Profile(key=name, name=name, classifiers=wanted)]


def _for_collection(chosen: list[Profile], arguments: Mapping[str, str]) -> list[Target]:
    if collection := arguments.get("collection"):
        if len(chosen) > 1:
            raise UsageProblem(f"collection={collection} with {len(chosen)} profiles; each has its own")
        chosen = [replace(chosen[0], collection=check_alias(collection))]
    depth = releases(arguments.get("releases"))
    return [
        Target(replace(profile, releases=depth), releases_given="releases" in arguments) for profile in chosen
    ]
