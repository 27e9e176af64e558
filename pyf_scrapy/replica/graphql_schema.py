"""The part of GitHub's GraphQL schema that the replica has: types, fields, where values come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any, NamedTuple

from pyf_scrapy.replica.github import license_of, moment
from pyf_scrapy.replica.repositories import Repositories, Repository

_MOST_TEXT = 512_000
"""Bytes of a file above which `text` is cut."""

Resolve = Callable[[Any, Mapping[str, Any], Repositories], Any]


class FieldType(NamedTuple):
    """A field: its type without list and non-null marks, its arguments' types, and its value."""

    type: str
    resolve: Resolve
    arguments: Mapping[str, str] = {}
    many: bool = False


def _item(key: str) -> Resolve:
    return lambda value, _arguments, _repositories: value[key]


def _of(read: Callable[[Repository], Any]) -> Resolve:
    return lambda value, _arguments, _repositories: read(value)


def _items(**types: str) -> dict[str, FieldType]:
    """The fields of a type whose values are dicts."""
    return {name: FieldType(kind, _item(name)) for name, kind in types.items()}


def _count(kind: str, read: Callable[[Repository], int], states: str | None = None) -> FieldType:
    """A connection of which only the number is known."""

    def resolve(value: Any, arguments: Mapping[str, Any], _repositories: Repositories) -> Any:
        wanted = arguments.get("states")
        return {"totalCount": read(value) if wanted is None or "OPEN" in wanted else 0}

    return FieldType(kind, resolve, {"states": f"[{states}!]"} if states else {})


def _topics(value: Any, arguments: Mapping[str, Any], _repositories: Repositories) -> Any:
    nodes = [{"topic": {"name": topic}} for topic in value.topics]
    return {"totalCount": len(nodes), "nodes": nodes[: arguments.get("first")]}


def _latest_release(repository: Repository) -> dict[str, Any] | None:
    if repository.tag is None:
        return None
    released = moment(repository.released)
    return {
        "tagName": repository.tag,
        "name": repository.tag,
        "createdAt": released,
        "publishedAt": released,
        "isPrerelease": False,
        "url": f"https://github.com/{repository.full_name}/releases/tag/{repository.tag}",
    }


def _commit(repository: Repository) -> dict[str, Any]:
    oid = _oid(f"commit {repository.id} {repository.pushed}")
    return {"__typename": "Commit", "id": f"C_{oid}", "oid": oid, "committedDate": moment(repository.pushed)}


def _object(value: Any, arguments: Mapping[str, Any], repositories: Repositories) -> Any:
    """What an expression of git leads to; only files and the commit of the default branch are known."""
    revision, colon, path = arguments.get("expression", "").partition(":")
    if revision not in ("HEAD", value.branch) or value.empty:
        return None
    if not colon:
        return _commit(value)
    text = repositories.text(value, path)
    if text is None:
        return None
    data = text.encode()
    oid = _oid(f"blob {len(data)}\0{text}")
    return {
        "__typename": "Blob",
        "id": f"B_{oid}",
        "oid": oid,
        "text": data[:_MOST_TEXT].decode(errors="ignore"),
        "isTruncated": len(data) > _MOST_TEXT,
        "isBinary": False,
        "byteSize": len(data),
    }


def _oid(content: str) -> str:
    return sha1(content.encode(), usedforsecurity=False).hexdigest()


def _license(repository: Repository) -> dict[str, Any] | None:
    known = license_of(repository, "")
    return known and {"key": known["key"], "name": known["name"], "spdxId": known["spdx_id"]}


def _default_branch(repository: Repository) -> dict[str, Any] | None:
    return None if repository.empty else {"name": repository.branch, "target": _commit(repository)}


_REPOSITORY = {
    "id": FieldType("ID", _of(lambda it: it.node_id)),
    "databaseId": FieldType("Int", _of(lambda it: it.id)),
    "name": FieldType("String", _of(lambda it: it.name)),
    "nameWithOwner": FieldType("String", _of(lambda it: it.full_name)),
    "owner": FieldType("RepositoryOwner", _of(lambda it: {"__typename": "Organization", "login": it.owner})),
    "url": FieldType("URI", _of(lambda it: f"https://github.com/{it.full_name}")),
    "description": FieldType("String", _of(lambda it: it.description)),
    "homepageUrl": FieldType("URI", _of(lambda it: it.homepage)),
    "isArchived": FieldType("Boolean", _of(lambda it: it.archived is not None)),
    "archivedAt": FieldType("DateTime", _of(lambda it: it.archived and moment(it.archived))),
    "isDisabled": FieldType("Boolean", _of(lambda it: it.disabled)),
    "isEmpty": FieldType("Boolean", _of(lambda it: it.empty)),
    "isFork": FieldType("Boolean", _of(lambda it: it.parent is not None)),
    "isPrivate": FieldType("Boolean", _of(lambda it: False)),
    "parent": FieldType("ParentRepository", _of(lambda it: it.parent and {"nameWithOwner": it.parent})),
    "createdAt": FieldType("DateTime", _of(lambda it: moment(it.created))),
    "pushedAt": FieldType("DateTime", _of(lambda it: moment(it.pushed))),
    "updatedAt": FieldType("DateTime", _of(lambda it: moment(it.updated))),
    "stargazerCount": FieldType("Int", _of(lambda it: it.stars)),
    "forkCount": FieldType("Int", _of(lambda it: it.forks)),
    "stargazers": _count("StargazerConnection", lambda it: it.stars),
    "watchers": _count("UserConnection", lambda it: it.watchers),
    "issues": _count("IssueConnection", lambda it: it.issues, "IssueState"),
    "pullRequests": _count("PullRequestConnection", lambda it: it.pulls, "PullRequestState"),
    "licenseInfo": FieldType("License", _of(_license)),
    "primaryLanguage": FieldType("Language", _of(lambda it: it.language and {"name": it.language})),
    "repositoryTopics": FieldType("RepositoryTopicConnection", _topics, {"first": "Int"}),
    "latestRelease": FieldType("Release", _of(_latest_release)),
    "defaultBranchRef": FieldType("Ref", _of(_default_branch)),
    "object": FieldType("GitObject", _object, {"expression": "String", "oid": "GitObjectID"}),
}


def _root(value: Any, _arguments: Mapping[str, Any], _repositories: Repositories) -> Any:
    raise NotImplementedError  # graphql.py answers these: they may fail one by one


TYPES: dict[str, dict[str, FieldType]] = {
    "Query": {
        "repository": FieldType(
            "Repository", _root, {"owner": "String!", "name": "String!", "followRenames": "Boolean"}
        ),
        "node": FieldType("Node", _root, {"id": "ID!"}),
        "nodes": FieldType("Node", _root, {"ids": "[ID!]!"}, many=True),
        "rateLimit": FieldType("RateLimit", _root),
    },
    "RateLimit": _items(
        limit="Int", cost="Int", remaining="Int", used="Int", resetAt="DateTime", nodeCount="Int"
    ),
    "Node": {"id": _REPOSITORY["id"]},
    "Repository": _REPOSITORY,
    "ParentRepository": _items(nameWithOwner="String"),
    "RepositoryOwner": _items(login="String"),
    "License": _items(key="String", name="String", spdxId="String"),
    "Language": _items(name="String"),
    "Release": _items(
        tagName="String",
        name="String",
        createdAt="DateTime",
        publishedAt="DateTime",
        isPrerelease="Boolean",
        url="URI",
    ),
    "Ref": _items(name="String", target="GitObject"),
    "GitObject": _items(id="ID", oid="GitObjectID"),
    "Commit": _items(id="ID", oid="GitObjectID", committedDate="DateTime"),
    "Blob": _items(
        id="ID", oid="GitObjectID", text="String", isTruncated="Boolean", isBinary="Boolean", byteSize="Int"
    ),
    "StargazerConnection": _items(totalCount="Int"),
    "UserConnection": _items(totalCount="Int"),
    "IssueConnection": _items(totalCount="Int"),
    "PullRequestConnection": _items(totalCount="Int"),
    "RepositoryTopicConnection": {
        "totalCount": FieldType("Int", _item("totalCount")),
        "nodes": FieldType("RepositoryTopic", _item("nodes"), many=True),
    },
    "RepositoryTopic": _items(topic="Topic"),
    "Topic": _items(name="String"),
}
"""Fields by type. `ParentRepository` is GitHub's `Repository`: of parents the replica knows the name only."""

POSSIBLE = {"Node": {"Repository"}, "GitObject": {"Commit", "Blob"}, "RepositoryOwner": {"Organization"}}
"""What a value of an interface may be."""

ENUMS = {"IssueState": {"OPEN", "CLOSED"}, "PullRequestState": {"OPEN", "CLOSED", "MERGED"}}


def is_connection(kind: str) -> bool:
    """True for a list that is fetched by pages, and costs."""
    return kind.endswith("Connection")
