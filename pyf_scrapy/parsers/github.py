"""GitHub's REST answers: a repository, its contributors, errors. GraphQL: `github_graphql`.

Only the id, the owner and the name of a repository are needed; any other field that is missing or of a wrong
type reads as not reported. https://docs.github.com/rest/repos/repos#get-a-repository
"""

from __future__ import annotations

import html
import re
from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.records import Contributor, RepositoryRecord
from pyf_scrapy.parsers.wire import NULL

__all__ = [
    "MOST_CONTRIBUTORS",
    "Contributor",
    "RateLimit",
    "RepositoryRecord",
    "full_name",
    "identity",
    "license_id",
    "parse_contributors",
    "parse_message",
    "parse_repository",
]

Raw = msgspec.Raw

MOST_CONTRIBUTORS: Final = 5

_REPOSITORY: Final = "GitHub repository"
_CONTRIBUTORS: Final = "GitHub contributors"
_MAX_MESSAGE: Final = 300  # characters
_MAX_ID: Final = 200  # characters; they have some 30
_MAX_PAGE: Final = 10_000  # bytes of a page of HTML, in which its title is looked for

#: What can be part of a URL of GitHub: 39 characters for owners, 100 for repositories, never "." or "..".
_PART: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,100}"
_NAME: Final = re.compile(_PART)
_FULL_NAME: Final = re.compile(f"{_PART}/{_PART}")
_ID: Final = re.compile(r"[!-~]+")
_TITLE: Final = re.compile(r"<title>([^<]*)", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>?")


class RateLimit(msgspec.Struct, frozen=True):
    """What is left of a primary limit; secondary limits are not told in advance."""

    remaining: int
    limit: int | None = None
    reset: int | None = None  # epoch seconds when all of it is there again
    resource: str = ""  # "core", "graphql", ...; "" = not reported
    cost: int | None = None  # points that this query took; GraphQL only


class _Owner(msgspec.Struct):
    login: Raw = NULL


class _License(msgspec.Struct):
    spdx_id: Raw = NULL


class _Parent(msgspec.Struct):
    full_name: Raw = NULL


class _Repository(msgspec.Struct):
    node_id: Raw = NULL
    name: Raw = NULL
    owner: Raw = NULL
    archived: Raw = NULL
    disabled: Raw = NULL
    fork: Raw = NULL
    parent: Raw = NULL
    created_at: Raw = NULL
    pushed_at: Raw = NULL
    updated_at: Raw = NULL
    stargazers_count: Raw = NULL
    forks_count: Raw = NULL
    subscribers_count: Raw = NULL
    open_issues_count: Raw = NULL
    license: Raw = NULL
    topics: Raw = NULL
    homepage: Raw = NULL
    description: Raw = NULL


class _Contributor(msgspec.Struct):
    login: Raw = NULL
    contributions: Raw = NULL
    avatar_url: Raw = NULL


class _Failure(msgspec.Struct):
    message: Raw = NULL
    error: Raw = NULL
    errors: Raw = NULL


_repository: Final = msgspec.json.Decoder(_Repository)
_contributors: Final = msgspec.json.Decoder(list[_Contributor])
_owner: Final = msgspec.json.Decoder(_Owner | None)
_license: Final = msgspec.json.Decoder(_License | None)
_parent: Final = msgspec.json.Decoder(_Parent | None)
_failure: Final = msgspec.json.Decoder(_Failure)
_failures: Final = msgspec.json.Decoder(list[_Failure] | None)


def parse_repository(body: bytes) -> RepositoryRecord:
    """Read the answer of GET /repos/OWNER/NAME (or /repositories/ID, where a renamed one is found).

    REST counts open issues and pull requests together, so `open_issues` and `open_pull_requests` are None
    and their sum is `open_issues_and_pulls`. It does not tell the latest release. Raises ParseError only.
    """
    with wire.parsing(_REPOSITORY):
        repository = _repository.decode(body)
        node_id, owner, name = identity(_REPOSITORY, repository.node_id, repository.owner, repository.name)
        parent = wire.optional(_parent, repository.parent)
        licensed = wire.optional(_license, repository.license)
        return RepositoryRecord(
            node_id=node_id,
            owner=owner,
            name=name,
            archived=wire.flag(repository.archived),
            disabled=wire.flag(repository.disabled),
            fork=wire.flag(repository.fork),
            parent=full_name(parent.full_name) if parent else None,
            created_at=wire.epoch(wire.text(repository.created_at)),
            pushed_at=wire.epoch(wire.text(repository.pushed_at)),
            updated_at=wire.epoch(wire.text(repository.updated_at)),
            stars=wire.count(repository.stargazers_count),
            forks=wire.count(repository.forks_count),
            watchers=wire.count(repository.subscribers_count),
            license=license_id(licensed.spdx_id) if licensed else None,
            topics=wire.texts(repository.topics),
            homepage=wire.text(repository.homepage),
            description=wire.text(repository.description),
            open_issues_and_pulls=wire.count(repository.open_issues_count),
        )


def parse_contributors(body: bytes) -> tuple[Contributor, ...]:
    """Read the answer of GET /repos/OWNER/NAME/contributors: the first five, most contributions first.

    Who has no account (and no login) is left out. An empty repository is answered by 204 and b"", which is
    no answer to read. Raises ParseError only.
    """
    if not wire.bounded(body):
        raise ParseError(_CONTRIBUTORS, "too many")
    found: list[Contributor] = []
    with wire.parsing(_CONTRIBUTORS):
        for person in _contributors.decode(body):
            login, contributions = wire.text(person.login), wire.count(person.contributions)
            if login is not None and contributions is not None and len(found) < MOST_CONTRIBUTORS:
                found.append(Contributor(login, contributions, wire.text(person.avatar_url) or ""))
    return tuple(found)


def parse_message(body: bytes) -> str:
    """What a failure says, as one printable line of at most 300 characters; "" when it says nothing.

    Reads GitHub's JSON (`message`, `error`, the first of `errors`), the title of a page of HTML, or any text.
    Never raises.
    """
    try:
        with wire.parsing("message"):
            return _line(_said(_failure.decode(body)))
    except ParseError:
        pass
    text = body[:_MAX_PAGE].decode("utf-8", "replace")
    if (title := _TITLE.search(text)) is not None:
        return _line(html.unescape(title[1]))
    text = _line(html.unescape(_TAG.sub(" ", text)))
    return text if text != "null" and any(map(str.isalnum, text)) else ""


def identity(what: str, node_id: Raw, owner: Raw, name: Raw) -> tuple[str, str, str]:
    """A repository's id, owner and name. Raises ParseError when one is missing or cannot be part of a URL."""
    identifier = wire.verbatim(node_id)
    holder = wire.optional(_owner, owner)
    login = wire.verbatim(holder.login) if holder else None
    called = wire.verbatim(name)
    if identifier is None or len(identifier) > _MAX_ID or not _ID.fullmatch(identifier):
        raise ParseError(what, "its id is missing or none")
    if login is None or not _NAME.fullmatch(login):
        raise ParseError(what, "its owner is missing or none")
    if called is None or not _NAME.fullmatch(called):
        raise ParseError(what, "its name is missing or none")
    return identifier, login, called


def full_name(raw: Raw) -> str | None:
    """A repository as "owner/name"; None when it is none."""
    value = wire.text(raw)
    return value if value is not None and _FULL_NAME.fullmatch(value) else None


def license_id(raw: Raw) -> str | None:
    """An SPDX identifier; None when GitHub found a licence that it does not know."""
    value = wire.text(raw)
    return None if value == "NOASSERTION" else value


def _said(failure: _Failure) -> str:
    for raw in (failure.message, failure.error):
        if (text := wire.text(raw)) is not None:
            return text
    first = (wire.optional(_failures, failure.errors) or [None])[0]
    return (wire.text(first.message) or "") if first else ""


def _line(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text[: 10 * _MAX_MESSAGE])
    return " ".join(printable.split())[:_MAX_MESSAGE].rstrip()
