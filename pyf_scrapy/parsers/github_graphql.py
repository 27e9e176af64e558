"""GitHub's GraphQL: up to 100 repositories by one request, answered in part when some cannot be had.

https://docs.github.com/graphql/reference/objects#repository
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.github import RateLimit, full_name, identity, license_id, parse_message
from pyf_scrapy.parsers.records import RepositoryRecord
from pyf_scrapy.parsers.wire import NULL

Raw = msgspec.Raw

MAX_ALIASES: Final = 100  # repositories in one query; GitHub gives up after some 10 s: then ask for half

NOT_FOUND: Final = "not_found"
BLOCKED: Final = "blocked"
ERROR: Final = "error"

_BATCH: Final = "GitHub GraphQL answer"
_MAX_ERRORS: Final = 200

#: The files that name the packages made in a repository, in the order of the query.
_PATHS: Final = ("pyproject.toml", "setup.cfg", "setup.py")

_RATE: Final = "  rateLimit { limit cost remaining resetAt }\n"
_FRAGMENT: Final = """\
fragment F on Repository {
  id name owner { login } isArchived isDisabled isFork parent { nameWithOwner }
  createdAt pushedAt updatedAt stargazerCount forkCount
  watchers { totalCount } issues(states: OPEN) { totalCount } pullRequests(states: OPEN) { totalCount }
  licenseInfo { spdxId } repositoryTopics(first: 10) { nodes { topic { name } } }
  latestRelease { tagName publishedAt } homepageUrl description
  pyproject: object(expression: "HEAD:pyproject.toml") { ... on Blob { text isTruncated } }
  setupCfg: object(expression: "HEAD:setup.cfg") { ... on Blob { text isTruncated } }
  setupPy: object(expression: "HEAD:setup.py") { ... on Blob { text isTruncated } }
}
"""


class Batch(msgspec.Struct, frozen=True):
    """The answer to one `repository_query`, by index of the repositories asked for.

    Each index is in `records` or in `missing`: "not_found" (no such repository, or not for this token),
    "blocked" (GitHub or the organization refuses access) or "error" (nothing was learnt: ask again).
    """

    records: dict[int, RepositoryRecord]
    missing: dict[int, str]
    files: dict[int, dict[str, str]]  # path ("pyproject.toml") -> text, of those that are there and whole
    rate: RateLimit | None = None
    errors: tuple[str, ...] = ()  # GitHub's words, one printable line each


class _Wire(msgspec.Struct, rename="camel"):
    """GraphQL's names are in camel case."""


class _Answer(msgspec.Struct):
    data: Raw = NULL
    errors: Raw = NULL


class _Error(msgspec.Struct):
    type: Raw = NULL
    path: Raw = NULL


class _RateLimit(_Wire):
    limit: Raw = NULL
    cost: Raw = NULL
    remaining: Raw = NULL
    reset_at: Raw = NULL


class _Repository(_Wire):
    id: Raw = NULL
    name: Raw = NULL
    owner: Raw = NULL
    is_archived: Raw = NULL
    is_disabled: Raw = NULL
    is_fork: Raw = NULL
    parent: Raw = NULL
    created_at: Raw = NULL
    pushed_at: Raw = NULL
    updated_at: Raw = NULL
    stargazer_count: Raw = NULL
    fork_count: Raw = NULL
    watchers: Raw = NULL
    issues: Raw = NULL
    pull_requests: Raw = NULL
    license_info: Raw = NULL
    repository_topics: Raw = NULL
    latest_release: Raw = NULL
    homepage_url: Raw = NULL
    description: Raw = NULL
    pyproject: Raw = NULL
    setup_cfg: Raw = NULL
    setup_py: Raw = NULL


class _Inner(_Wire):
    """Every object below a repository: each has some of these."""

    name_with_owner: Raw = NULL
    total_count: Raw = NULL
    spdx_id: Raw = NULL
    tag_name: Raw = NULL
    published_at: Raw = NULL
    text: Raw = NULL
    is_truncated: Raw = NULL
    nodes: Raw = NULL
    topic: Raw = NULL
    name: Raw = NULL


_answer: Final = msgspec.json.Decoder(_Answer)
_data: Final = msgspec.json.Decoder(dict[str, Raw] | None)
_repository: Final = msgspec.json.Decoder(_Repository | None)
_inner: Final = msgspec.json.Decoder(_Inner | None)
_inners: Final = msgspec.json.Decoder(list[_Inner | None] | None)
_rate: Final = msgspec.json.Decoder(_RateLimit | None)
_errors: Final = msgspec.json.Decoder(list[Raw] | None)
_error: Final = msgspec.json.Decoder(_Error)
_path: Final = msgspec.json.Decoder(list[str | int] | None)


def repository_query(names: Sequence[tuple[str, str]]) -> bytes:
    """The body of the POST to /graphql that asks for 1 to 100 repositories, given as (owner, name).

    They are the aliases `r0`, `r1`, ... in the order given. Names travel as variables `o0`, `n0`, ..., so
    nothing in them can change the query. Renamed repositories are found by their old names.

    It costs 4 points for 100 repositories (1 up to 37): each repository has 4 connections (watchers, issues,
    pullRequests, repositoryTopics), each needs one request, and their sum is divided by 100, rounded, at
    least 1. So 20,000 repositories take 200 requests and 800 of the 5,000 points of an hour.
    https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api

    Raises ValueError when there are none, more than `MAX_ALIASES`, or a name is no text.
    """
    if not 1 <= len(names) <= MAX_ALIASES:
        raise ValueError(f"{len(names)} repositories do not make one query")
    places = range(len(names))
    declared = ", ".join(f"$o{place}: String!, $n{place}: String!" for place in places)
    aliases = "\n".join(
        f"  r{place}: repository(owner: $o{place}, name: $n{place}) {{ ...F }}" for place in places
    )
    query = f"query({declared}) {{\n{aliases}\n{_RATE}}}\n{_FRAGMENT}"
    variables: dict[str, str] = {}
    for place, (owner, name) in enumerate(names):
        variables |= {f"o{place}": owner, f"n{place}": name}
    return msgspec.json.encode({"query": query, "variables": variables})


def parse_batch(body: bytes, count: int) -> Batch:
    """Read the answer to a `repository_query` for `count` repositories; what it has of them is used.

    Raises ParseError only: when it has nothing on any of them, with the first line of what GitHub said.
    """
    with wire.parsing(_BATCH):
        answer = _answer.decode(body)
        data = wire.required(_BATCH, "data", _data, answer.data) or {}
        errors = (wire.optional(_errors, answer.errors) or [])[:_MAX_ERRORS]
        if not any(f"r{index}" in data for index in range(count)):
            raise ParseError(_BATCH, parse_message(body) or "it says nothing on any repository")
        refusals = _refusals(errors)
        records: dict[int, RepositoryRecord] = {}
        missing: dict[int, str] = {}
        files: dict[int, dict[str, str]] = {}
        for index in range(count):
            node = wire.optional(_repository, data.get(f"r{index}", NULL))
            record = _record(node) if node else None
            if node is None or record is None:
                missing[index] = refusals.get(index, ERROR)
                continue
            records[index] = record  # errors about a part of it leave that part out
            if texts := _texts(node):
                files[index] = texts
        return Batch(records, missing, files, _rate_limit(data.get("rateLimit", NULL)), _lines(errors))


def _record(node: _Repository) -> RepositoryRecord | None:
    """None when it cannot be told which repository it is."""
    try:
        node_id, owner, name = identity(_BATCH, node.id, node.owner, node.name)
    except ParseError:
        return None
    release = _part(node.latest_release)
    issues, pulls = (wire.count(_part(raw).total_count) for raw in (node.issues, node.pull_requests))
    both = None if issues is None or pulls is None else wire.as_count(issues + pulls)
    return RepositoryRecord(
        node_id=node_id,
        owner=owner,
        name=name,
        archived=wire.flag(node.is_archived),
        disabled=wire.flag(node.is_disabled),
        fork=wire.flag(node.is_fork),
        parent=full_name(_part(node.parent).name_with_owner),
        created_at=wire.epoch(wire.text(node.created_at)),
        pushed_at=wire.epoch(wire.text(node.pushed_at)),
        updated_at=wire.epoch(wire.text(node.updated_at)),
        stars=wire.count(node.stargazer_count),
        forks=wire.count(node.fork_count),
        watchers=wire.count(_part(node.watchers).total_count),
        open_issues=issues,
        open_pull_requests=pulls,
        license=license_id(_part(node.license_info).spdx_id),
        topics=_topics(node.repository_topics),
        homepage=wire.text(node.homepage_url),
        description=wire.text(node.description),
        latest_release=wire.text(release.tag_name),
        latest_release_at=wire.epoch(wire.text(release.published_at)),
        open_issues_and_pulls=both,
    )


def _part(raw: Raw) -> _Inner:
    return wire.optional(_inner, raw) or _Inner()


def _topics(raw: Raw) -> tuple[str, ...] | None:
    nodes = wire.optional(_inners, _part(raw).nodes)
    if nodes is None:
        return None
    names = (wire.text(_part(node.topic).name) for node in nodes if node is not None)
    return tuple(name for name in names if name is not None)


def _texts(node: _Repository) -> dict[str, str]:
    """A text that is cut off cannot be parsed, and says nothing for certain."""
    found = {}
    for path, raw in zip(_PATHS, (node.pyproject, node.setup_cfg, node.setup_py), strict=True):
        blob = _part(raw)
        text = (wire.verbatim(blob.text) or "").replace("\0", "")
        if text and not wire.flag(blob.is_truncated):
            found[path] = text
    return found


def _refusals(errors: Sequence[Raw]) -> dict[int, str]:
    """Index of a repository -> why it is missing, from the errors whose path begins with its alias."""
    found: dict[int, str] = {}
    for raw in errors:
        error = wire.optional(_error, raw)
        path = (wire.optional(_path, error.path) if error else None) or [""]
        alias = str(path[0])
        if error is None or not alias.startswith("r") or wire.as_count(alias[1:]) is None:
            continue
        kind = wire.text(error.type)
        if kind == "NOT_FOUND" and len(path) == 1:  # else it is something in the repository
            reason = NOT_FOUND
        elif kind == "FORBIDDEN" or "access blocked" in parse_message(bytes(raw)):
            reason = BLOCKED
        else:
            reason = ERROR
        found.setdefault(int(alias[1:]), reason)
    return found


def _lines(errors: Sequence[Raw]) -> tuple[str, ...]:
    return tuple(line for raw in errors if (line := parse_message(bytes(raw))))


def _rate_limit(raw: Raw) -> RateLimit | None:
    rate = wire.optional(_rate, raw)
    remaining = wire.count(rate.remaining) if rate else None
    if rate is None or remaining is None:
        return None
    return RateLimit(
        remaining=remaining,
        limit=wire.count(rate.limit),
        reset=wire.epoch(wire.text(rate.reset_at)),
        resource="graphql",
        cost=wire.count(rate.cost),
    )
