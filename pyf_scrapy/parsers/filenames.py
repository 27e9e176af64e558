"""Which release a file of a Simple page belongs to: the page does not say, the file's name does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

_MAX_FILENAME: Final = 1000  # characters; real ones end below 255
_ENDS_VERSION: Final = "-._+"


class ReleaseFinder:
    """Finds the release of a file among the `versions` listed for `project`.

    Wheels and sdists are read by `packaging`; eggs, installers, bdist_dumb archives and versions that are not
    PEP 440 by the longest listed spelling that the name starts with.
    """

    def __init__(self, project: str, versions: Iterable[str]) -> None:
        self.project = canonicalize_name(project)
        words = map(re.escape, self.project.split("-"))
        self._prefix = re.compile("[-_.]+".join(words) + "-", re.IGNORECASE | re.ASCII)
        self._spelled: dict[str, str] = {}
        self._parsed: dict[Version, list[str]] = {}
        for version in versions:
            for spelling in (version, version.replace("-", "_"), version.replace("+", "_")):
                self._spelled.setdefault(spelling.lower(), version)
            parsed = _parse(version)
            if parsed is not None:
                self._parsed.setdefault(parsed, []).append(version)
        self._longest = max(map(len, self._spelled), default=0)

    def version(self, filename: str) -> str | None:
        """The version as listed, normalised when nothing is listed; None when the name tells nothing."""
        prefix = self._prefix.match(filename) if len(filename) <= _MAX_FILENAME else None
        if prefix is None:
            return None
        spelled = self._longest_spelling(filename[prefix.end() :].lower())
        parsed = self._by_standard(filename)
        if parsed is None:
            return spelled
        if not self._spelled:
            return str(parsed)
        # A name may differ from the release it was uploaded to: a post2 file in the release without post.
        listed = self._parsed.get(parsed)
        return spelled if listed is None or spelled in listed else listed[0]

    def _longest_spelling(self, rest: str) -> str | None:
        for end in range(min(len(rest), self._longest), 0, -1):
            if (end == len(rest) or rest[end] in _ENDS_VERSION) and rest[:end] in self._spelled:
                return self._spelled[rest[:end]]
        return None

    def _by_standard(self, filename: str) -> Version | None:
        """By PEP 427 and PEP 625; a name that reads as another project's is not understood."""
        try:
            if filename.endswith(".whl"):
                name, version, _, _ = parse_wheel_filename(filename)
            else:
                name, version = parse_sdist_filename(filename)
        except ValueError:  # InvalidWheelFilename, InvalidSdistFilename, and int()'s own limit
            return None
        return version if name == self.project else None


def _parse(version: str) -> Version | None:
    try:
        return Version(version)
    except ValueError:
        return None
