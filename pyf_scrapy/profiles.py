"""Profiles: which packages make up a framework's ecosystem, and the profiles.yaml that says so.

Nothing is read when this module is imported.
"""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from pyf_scrapy.environment import project_folder
from pyf_scrapy.exceptions import ProfileError
from pyf_scrapy.profiles_file import SynonymGroup, did_you_mean, parse_profiles, read_limited

FILE_NAME = "profiles.yaml"
ALL = "all"  # selects every profile
EVERYTHING = "*"  # the classifier that every package has
_SUGGESTIONS = 20  # unknown classifiers that get close matches: a search takes milliseconds

_SEPARATORS = re.compile(r"[-_.]+")
_SET_OR_SEPARATORS = re.compile(r"\[(!?)([^\[\]]+)\]|[-_.]+")


@dataclass(frozen=True)
class Profile:
    """One ecosystem. `key` is the name on the command line, `collection` (default: the key) the index.

    `classifiers` cover themselves and what stands below them. `hints` are words that members probably
    have in their names, `include` and `exclude` globs of names (any spelling). `releases`: None = all,
    1 = the latest, N = the newest N. `synonyms` say which words of a search mean the same. `warnings` are
    remarks of the reader of profiles.yaml.
    """

    key: str
    name: str
    classifiers: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    collection: str = ""
    releases: int | None = None
    synonyms: tuple[SynonymGroup, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.collection:
            object.__setattr__(self, "collection", self.key)

    def matches(self, normalized_name: str, classifiers: Sequence[str]) -> bool:
        """True when a package belongs here; exclude beats include, include beats classifiers.

        `normalized_name` is the PEP 503 form, `classifiers` are those of the latest release.
        """
        if self.exclude and self._excluded.match(normalized_name):
            return False
        if self.include and self._included.match(normalized_name):
            return True
        if self._takes_everything or not self._classifiers.isdisjoint(classifiers):
            return True
        prefixes = self._prefixes
        for classifier in classifiers:  # noqa: SIM110  (`any` takes twice as long, for each project of PyPI)
            if classifier.startswith(prefixes):
                return True
        return False

    def hinted(self, normalized_name: str) -> bool:
        """True when a member is likely: a hint begins the name or is a word of it, or it is included."""
        if self.exclude and self._excluded.match(normalized_name):
            return False
        if normalized_name.startswith(self._hints):
            return True
        padded = f"-{normalized_name}-"
        if any(word in padded for word in self._hint_words):
            return True
        return bool(self.include) and self._included.match(normalized_name)

    def definition(self) -> dict[str, Any]:
        """The profile as plain JSON values, for storing; `from_definition` reads it back."""
        return {
            "key": self.key,
            "name": self.name,
            "classifiers": list(self.classifiers),
            "hints": list(self.hints),
            "include": list(self.include),
            "exclude": list(self.exclude),
            "collection": self.collection,
            "releases": self.releases,
            "synonyms": [{"words": list(group.words), "root": group.root} for group in self.synonyms],
        }

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Profile:
        """The profile of a stored definition. Raises ProfileError when it is none."""
        try:
            return msgspec.convert(definition, cls)
        except msgspec.ValidationError as error:
            raise ProfileError(f"a stored profile cannot be read: {error}") from None

    @cached_property
    def _takes_everything(self) -> bool:
        return EVERYTHING in self.classifiers

    @cached_property
    def _classifiers(self) -> frozenset[str]:
        return frozenset(self.classifiers)

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(f"{classifier} :: " for classifier in self.classifiers)

    @cached_property
    def _hints(self) -> tuple[str, ...]:
        return tuple(filter(None, (_SEPARATORS.sub("-", hint).strip("-").lower() for hint in self.hints)))

    @cached_property
    def _hint_words(self) -> tuple[str, ...]:
        return tuple(f"-{hint}-" for hint in self._hints)

    @cached_property
    def _included(self) -> _NamePatterns:
        return _NamePatterns(self.include)

    @cached_property
    def _excluded(self) -> _NamePatterns:
        return _NamePatterns(self.exclude)


class _NamePatterns:
    """Globs of names. Plain names are looked up, because a requirements file may hold thousands."""

    def __init__(self, patterns: Iterable[str]) -> None:
        normalized = {normalize_pattern(pattern) for pattern in patterns}
        globs = sorted(pattern for pattern in normalized if not set(pattern).isdisjoint("*?["))
        self._names = normalized.difference(globs)
        self._globs = re.compile("|".join(map(fnmatch.translate, globs))) if globs else None

    def match(self, normalized_name: str) -> bool:
        if normalized_name in self._names:
            return True
        return self._globs is not None and self._globs.match(normalized_name) is not None


def normalize_pattern(pattern: str) -> str:
    """A glob in the spelling of normalized names (PEP 503): `Collective.*` becomes `collective-*`.

    Inside a set such as `[a-c._]` a hyphen may mean a range: the set keeps it, and separators become one
    leading hyphen, which is literal.
    """

    def spelled(found: re.Match[str]) -> str:
        if not found[2]:
            return "-"
        characters = found[2].replace(".", "").replace("_", "")
        separator = "-" if characters != found[2] else ""
        return f"[{found[1]}{separator}{characters}]"

    return _SET_OR_SEPARATORS.sub(spelled, pattern.lower())


def find_profiles_file(configured: str | Path | None = None, start: Path | None = None) -> Traversable:
    """Where the profiles stand: `configured` (the setting PROFILES_FILE), else the first that exists of
    beside the scrapy.cfg above `start` (default: the working directory), inside the package (a scrapyd
    egg), beside the package (a checkout that is not the working directory).

    Raises ProfileError when there is none.
    """
    if configured:
        path = Path(configured)
        if not path.is_file():
            raise ProfileError(f"PROFILES_FILE names {str(path)!r}, which is not a file")
        return path
    folder = project_folder(start)
    candidates: list[Traversable] = [folder / FILE_NAME] if folder else []
    candidates.append(resources.files("pyf_scrapy") / FILE_NAME)
    candidates.append(Path(__file__).parents[1] / FILE_NAME)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ProfileError(f"no {FILE_NAME} found; put one beside scrapy.cfg or set PROFILES_FILE to its path")


def load_profiles(path: str | Path | None = None) -> dict[str, Profile]:
    """The profiles of a file by key, in its order. `path` is the setting PROFILES_FILE (None: look for it).

    Raises ProfileError naming file, line and remedy.
    """
    file = find_profiles_file(path)
    return {
        key: Profile(key=key, **fields)
        for key, fields in parse_profiles(read_limited(file), str(file)).items()
    }


def select(spec: str, profiles: Mapping[str, Profile]) -> list[Profile]:
    """The profiles that the user named: one key, several with commas, or `all`; in that order, none twice.

    Raises ProfileError for an unknown key or when none is named.
    """
    wanted = dict.fromkeys(part.strip() for part in spec.split(",") if part.strip())
    known = ", ".join(profiles)
    if not wanted:
        raise ProfileError(f"no profile named; known: {known}")
    for key in wanted:
        if key not in profiles and key != ALL:
            raise ProfileError(f"unknown profile {key[:60]!r}{did_you_mean(key, profiles)}; known: {known}")
    return list(profiles.values()) if ALL in wanted else [profiles[key] for key in wanted]


def unknown_classifiers(profile: Profile) -> list[str]:
    """A warning for each classifier that PyPI does not have (package trove-classifiers), with close ones.

    Deprecated classifiers are known: old releases carry them. So is what only has classifiers below it.
    """
    # Only who asks pays for the list of 900 names.
    from trove_classifiers import deprecated_classifiers, sorted_classifiers

    names = [*sorted_classifiers, *deprecated_classifiers]
    known = {EVERYTHING, *names}
    for name in names:
        known.update(itertools.accumulate(name.split(" :: "), "{} :: {}".format))
    warnings: list[str] = []
    for classifier in profile.classifiers:
        if classifier not in known:
            searched = len(warnings) < _SUGGESTIONS
            close = (
                difflib.get_close_matches(classifier, sorted_classifiers, n=2, cutoff=0.7) if searched else []
            )
            warnings.append(
                f"unknown classifier {classifier!r}" + (f"; close: {', '.join(close)}" if close else "")
            )
    return warnings
