"""A document of pyf.aggregator's index, as exported: what of it is worth taking over.

All else is fetched from PyPI anew. Nothing that a document holds is trusted: Typesense keeps any value in a
field that is not of its schema, and takes a document as it comes if asked to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from packaging.utils import canonicalize_name

from pyf_scrapy.metadata.repository_urls import Repository, repository_of
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.github import MOST_CONTRIBUTORS
from pyf_scrapy.parsers.records import Contributor
from pyf_scrapy.search.collections import line_id

#: What is read of each document.
FIELDS: Final = (
    *("id", "identifier", "name", "registry", "npm_scope", "upload_timestamp"),
    *("github_stars", "github_watchers", "github_open_issues", "github_updated", "github_url"),
    *("contributors", "home_page", "project_url", "repository_url", "project_urls"),
    *("download_last_day", "download_last_week", "download_last_month", "download_total"),
    "download_updated",
)

#: Why documents are refused.
NO_OBJECT: Final = "no JSON object"
UNREADABLE: Final = "no JSON that can be read: broken, or nested too deep"
NPM: Final = "npm packages are not indexed"
NO_NAME: Final = "the name is missing"
WRONG_NAME: Final = "no project can have this name (PEP 508)"

#: Why figures of GitHub are left.
NO_REPOSITORY: Final = "figures of GitHub, but no address of one repository there"

_MAX_SHOWN = 200  # characters of an id
_MAX_LOGIN = 100  # characters
_MAX_ADDRESS = 2048  # characters
_MAX_TIME = 40  # characters of a time as text


class Unused(msgspec.Struct, frozen=True):
    """A document, or a figure of it, that cannot be taken over, and why."""

    id: str
    reason: str


class GithubFigures(msgspec.Struct, frozen=True):
    """What GitHub said about a repository, all at one time. `open_issues` counts pull requests, too."""

    repository: Repository
    stars: int | None = None
    watchers: int | None = None
    open_issues: int | None = None
    updated_at: int | None = None  # epoch seconds; GitHub's `updated_at`, not when it was asked


class Downloads(msgspec.Struct, frozen=True):
    """What pypistats said about a package, all at one time."""

    last_day: int | None = None
    last_week: int | None = None
    last_month: int | None = None
    total: int | None = None
    asked_at: int | None = None  # epoch seconds


class OldDocument(msgspec.Struct, frozen=True):
    """What is taken of one release's document; it need not have any figures.

    `name` is normalized (PEP 503). `contributors` are those of `github.repository`. `unused`: figures that
    there are but that cannot be used.
    """

    id: str
    name: str
    uploaded_at: int = 0  # epoch seconds, 0 = unknown
    github: GithubFigures | None = None
    contributors: tuple[Contributor, ...] = ()
    downloads: Downloads | None = None
    unused: tuple[Unused, ...] = ()


def parse_document(document: object, now: int) -> OldDocument | Unused:
    """Read an exported document, any JSON value, or bytes that cannot be read as one; never raises.

    A time after `now` (epoch seconds) counts as unknown: figures "of the future" would beat all later ones.
    """
    if isinstance(document, bytes):
        return Unused(line_id(document), UNREADABLE)
    if not isinstance(document, Mapping):
        return Unused("", NO_OBJECT)
    name = document.get("name")
    id_ = _shown(document.get("id") or document.get("identifier") or name)
    if _is_npm(document):
        return Unused(id_, NPM)
    if not isinstance(name, str) or not name.strip():
        return Unused(id_, NO_NAME)
    if not wire.is_name(name.strip()):
        return Unused(id_, WRONG_NAME)
    reader = _Reader(document, now)
    github = reader.github()
    return OldDocument(
        id=id_,
        name=str(canonicalize_name(name.strip())),
        uploaded_at=_count(document.get("upload_timestamp")) or 0,
        github=github,
        contributors=reader.contributors() if github is not None else (),
        downloads=reader.downloads(),
        unused=tuple(Unused(id_, reason) for reason in reader.reasons),
    )


class _Reader:
    """Reads the figures of a document. `reasons`: why some that are there cannot be used."""

    def __init__(self, document: Mapping[str, Any], now: int) -> None:
        self._document = document
        self._now = now
        self.reasons: list[str] = []

    def github(self) -> GithubFigures | None:
        """None where there are no figures, or nothing says of which repository they are."""
        names = ("stars", "watchers", "open_issues")
        counts = {name: self._figure(f"github_{name}") for name in names}
        updated_at = self._time("github_updated")
        if all(count is None for count in counts.values()):
            return None
        repository = _repository(self._document)
        if repository is None:
            self.reasons.append(NO_REPOSITORY)
            return None
        return GithubFigures(repository, updated_at=updated_at, **counts)

    def contributors(self) -> tuple[Contributor, ...]:
        """The first five that have a name."""
        value = self._value("contributors")
        if value is None:
            return ()
        if not isinstance(value, list):
            self.reasons.append("contributors is no list")
            return ()
        found = tuple(_contributors(value[: 10 * MOST_CONTRIBUTORS]))[:MOST_CONTRIBUTORS]
        if value and not found:
            self.reasons.append("contributors have no names")
        return found

    def downloads(self) -> Downloads | None:
        """None where there are no figures."""
        spans = ("last_day", "last_week", "last_month", "total")
        counts = {span: self._figure(f"download_{span}") for span in spans}
        asked_at = self._time("download_updated")
        if all(count is None for count in counts.values()):
            return None
        return Downloads(asked_at=asked_at, **counts)

    def _value(self, field: str) -> Any:
        """None also for "", which pyf.aggregator writes in its place."""
        value = self._document.get(field)
        return None if value == "" else value

    def _figure(self, field: str) -> int | None:
        value = self._value(field)
        count = _count(value)
        if value is not None and count is None:
            self.reasons.append(f"{field} is no count")
        return count

    def _time(self, field: str) -> int | None:
        """Epoch seconds; 0 is unknown."""
        value = self._value(field)
        seconds = _count(int(value) if isinstance(value, float) and math.isfinite(value) else value)
        if seconds is None and isinstance(value, str):
            seconds = wire.epoch(value.strip()[:_MAX_TIME])
        if value is not None and seconds is None:
            self.reasons.append(f"{field} is no time")
        if seconds is not None and seconds > self._now:
            self.reasons.append(f"{field} lies in the future")
            return None
        return seconds or None


def _shown(value: object) -> str:
    return value[:_MAX_SHOWN] if isinstance(value, str) else ""


def _is_npm(document: Mapping[str, Any]) -> bool:
    """By the registry; where none is named, by the scope."""
    registry, name = document.get("registry"), document.get("name")
    if registry in ("pypi", "npm"):
        return bool(registry == "npm")
    return bool(document.get("npm_scope")) or (isinstance(name, str) and name.startswith("@"))


def _count(value: object) -> int | None:
    """A whole number from 0 to 2**63 - 1, also as digits or as 12.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return wire.as_count(value) if isinstance(value, int | str) else None


def _repository(document: Mapping[str, Any]) -> Repository | None:
    """The repository on GitHub that figures are of: `github_url`, or the only one that addresses lead to.

    Where they lead to several, nobody knows which of them pyf.aggregator took.
    """
    named = _on_github(document.get("github_url"))
    if named is not None:
        return named
    project_urls = document.get("project_urls")
    labelled = list(project_urls.values())[:100] if isinstance(project_urls, Mapping) else []
    addresses = (document.get(field) for field in ("home_page", "project_url", "repository_url"))
    found = [one for address in (*addresses, *labelled) if (one := _on_github(address)) is not None]
    return found[0] if len({one.key for one in found}) == 1 else None


def _on_github(address: object) -> Repository | None:
    found = repository_of(address) if isinstance(address, str) else None
    return found if found is not None and found.is_github else None


def _contributors(people: list[Any]) -> Iterator[Contributor]:
    for person in people:
        login = person.get("username") if isinstance(person, Mapping) else None
        if not isinstance(login, str) or not 0 < len(login) <= _MAX_LOGIN or not login.isprintable():
            continue
        avatar = person.get("avatar_url")
        shown = isinstance(avatar, str) and len(avatar) <= _MAX_ADDRESS and avatar.isprintable()
        yield Contributor(login, _count(person.get("contributions")) or 0, avatar if shown else "")
