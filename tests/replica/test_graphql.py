"""GitHub's GraphQL: what the crawler's query gets, what it costs, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyf_scrapy.parsers.github_graphql import parse_batch, repository_query
from pyf_scrapy.replica import Handle

from .client import Received, post
from .repositories import pairs, some_repository


def ask(handle: Handle, query: str | bytes, authorization: str = "bearer one", **variables: Any) -> Received:
    body = (
        query if isinstance(query, bytes) else json.dumps({"query": query, "variables": variables}).encode()
    )
    return post(handle.url, "/github/graphql", body, authorization=authorization)


def answered(handle: Handle, query: str | bytes, **variables: Any) -> Any:
    answer = ask(handle, query, **variables)
    assert answer.status == 200
    return json.loads(answer.body)


def named(full_name: str) -> str:
    owner, _, name = full_name.partition("/")
    return f'repository(owner: "{owner}", name: "{name}")'


def test_the_crawlers_own_query(shared: Handle) -> None:
    """Query, cost and answer of 100 repositories as the crawler asks for them."""
    some = pairs(shared)[:100]
    query = repository_query([(one.owner, one.name) for _, one in some])
    batch = parse_batch(ask(shared, query).body, 100)
    assert batch.rate is not None
    assert batch.rate.cost == 4
    for index, (_, one) in enumerate(some):
        if one.state:
            assert batch.missing[index] == ("not_found" if one.state == "deleted" else "blocked")
            continue
        record = batch.records[index]
        assert (record.node_id, record.stars, record.forks) == (one.node_id, one.stars, one.forks)
        assert (record.open_issues, record.open_pull_requests) == (one.issues, one.pulls)
        assert (record.pushed_at, record.archived) == (one.pushed, one.archived is not None)
        expected = {} if one.empty else {k: v for k, v in one.files.items() if not k.startswith("README")}
        assert batch.files.get(index, {}) == expected


def test_missing_and_renamed(replica: Handle) -> None:
    old = some_repository(replica)
    replica.event({"event": "rename-repository", "repository": old.full_name, "name": "fresh"})
    query = f"""{{
      r0: {named("no/such")} {{ id }}
      r1: {named(old.full_name.upper())} {{ id nameWithOwner owner {{ login }} }}
      r2: repository(owner: "{old.owner}", name: "{old.name}", followRenames: false) {{ id }}
    }}"""
    answer = answered(replica, query)
    shown = {"id": old.node_id, "nameWithOwner": f"{old.owner}/fresh", "owner": {"login": old.owner}}
    assert answer["data"] == {"r0": None, "r1": shown, "r2": None}
    assert [(one["type"], one["path"]) for one in answer["errors"]] == [
        ("NOT_FOUND", ["r0"]),
        ("NOT_FOUND", ["r2"]),
    ]
    assert answer["errors"][0]["locations"] == [{"line": 2, "column": 7}]
    assert "'no/such'" in answer["errors"][0]["message"]


@pytest.mark.parametrize(("reason", "kind"), [("tos", "FORBIDDEN"), ("dmca", "DMCA_TAKEDOWN")])
def test_blocked(replica: Handle, reason: str, kind: str) -> None:
    name = some_repository(replica).full_name
    replica.event({"event": "block-repository", "repository": name, "reason": reason})
    answer = answered(replica, f"{{ r0: {named(name)} {{ id }} }}")
    assert answer["data"] == {"r0": None}
    assert answer["errors"][0]["type"] == kind


def test_by_ids(replica: Handle) -> None:
    """Ids outlive renamings: later passes ask by them."""
    one, gone = some_repository(replica), some_repository(replica, lambda it: it.stars > 50)
    replica.event({"event": "rename-repository", "repository": one.full_name, "name": "other/place"})
    replica.event({"event": "delete-repository", "repository": gone.full_name})
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ...F } rateLimit { cost nodeCount } }
               fragment F on Repository { nameWithOwner databaseId }"""
    answer = answered(replica, query, ids=[one.node_id, gone.node_id, "R_nonsense"])
    shown = {
        "__typename": "Repository",
        "id": one.node_id,
        "nameWithOwner": "other/place",
        "databaseId": one.id,
    }
    assert answer["data"]["nodes"] == [shown, None, None]
    assert answer["data"]["rateLimit"] == {"cost": 1, "nodeCount": 3}
    assert [error["path"] for error in answer["errors"]] == [["nodes", 1], ["nodes", 2]]


def test_all_fields(replica: Handle) -> None:
    one = some_repository(replica)
    facts = {
        "topics": ["a", "b", "c"],
        "archived": 1_700_000_000,
        "parent": "up/stream",
        "license": "NOASSERTION",
    }
    replica.event({"event": "change-repository", "repository": one.full_name, "facts": facts})
    replica.event({"event": "push", "repository": one.full_name, "tag": "v7"})
    query = f"""{{ it: {named(one.full_name)} {{
      id databaseId nameWithOwner owner {{ login }} name url description homepageUrl isArchived archivedAt
      isDisabled isFork isPrivate parent {{ nameWithOwner }} createdAt pushedAt updatedAt stargazerCount
      forkCount watchers {{ totalCount }} issues(states: OPEN) {{ totalCount }}
      pullRequests(states: [OPEN]) {{ totalCount }} closed: issues(states: [CLOSED]) {{ totalCount }}
      licenseInfo {{ spdxId }} repositoryTopics(first: 2) {{ totalCount nodes {{ topic {{ name }} }} }}
      latestRelease {{ tagName publishedAt }}
      defaultBranchRef {{ name target {{ __typename
        ... on Commit {{ committedDate }} ... on Blob {{ id }} }} }}
      none: object(expression: "HEAD:no/such.toml") {{ ... on Blob {{ text }} }}
    }} }}"""
    it = answered(replica, query)["data"]["it"]
    assert it["repositoryTopics"] == {"totalCount": 3, "nodes": [{"topic": {"name": n}} for n in "ab"]}
    assert (it["isArchived"], it["archivedAt"]) == (True, "2023-11-14T22:13:20Z")
    assert (it["isFork"], it["parent"]) == (True, {"nameWithOwner": "up/stream"})
    assert it["latestRelease"]["tagName"] == "v7"
    target = {"__typename": "Commit", "committedDate": it["pushedAt"]}
    assert it["defaultBranchRef"] == {"name": one.branch, "target": target}
    assert (it["licenseInfo"]["spdxId"], it["closed"]["totalCount"], it["none"]) == ("NOASSERTION", 0, None)


@pytest.mark.parametrize(
    ("aliases", "selection", "cost"),
    [
        (1, "id", 1),
        (100, "id", 1),
        (100, "watchers { totalCount }", 1),
        (100, "watchers { totalCount } issues { totalCount } pullRequests { totalCount }", 3),
        (37, "a: issues { totalCount } b: issues { totalCount } watchers { totalCount } ...T", 1),
        (38, "a: issues { totalCount } b: issues { totalCount } watchers { totalCount } ...T", 2),
    ],
)
def test_cost(replica: Handle, aliases: int, selection: str, cost: int) -> None:
    repositories = "\n".join(f"r{n}: {named(f'o/n{n}')} {{ {selection} }}" for n in range(aliases))
    fragment = "fragment T on Repository { repositoryTopics(first: 10) { nodes { topic { name } } } }"
    query = f"{{ {repositories} rateLimit {{ cost remaining }} }} {fragment if '...T' in selection else ''}"
    assert answered(replica, query)["data"]["rateLimit"] == {"cost": cost, "remaining": 5000 - cost}
    assert replica.statistics()["services"]["github-graphql"]["points"] == cost


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('{ repository(owner: "a", name: "b") { star } }', "Field 'star' doesn't exist on type 'Repository'"),
        ('{ repository(owner: "a") { id } }', "missing required arguments: name"),
        ('{ repository(owner: "a", name: 1) { id } }', "Argument 'name' on Field 'repository'"),
        ('{ repository(owner: "a", name: "b", x: 1) { id } }', "doesn't accept argument 'x'"),
        ('{ repository(owner: "a", name: "b") }', "must have selections"),
        ('{ repository(owner: "a", name: "b") { id { x } } }', "Selections can't be made on scalars"),
        (
            '{ repository(owner: "a", name: "b") { issues(states: SHUT) { totalCount } } }',
            "Argument 'states'",
        ),
        ('{ repository(owner: "a", name: "b") { ...F } }', "Fragment F was used, but not defined"),
        ("{ rateLimit { cost } } fragment F on Repository { id }", "F was defined, but not used"),
        ("{ node(id: 1) { ...F } } fragment F on Node { ...F }", "Fragment F contains an infinite loop"),
        (
            "{ rateLimit { ... on Repository { id } } }",
            "Fragment on Repository can't be spread inside RateLimit",
        ),
        ("{ node(id: 1) { ... on Repo { id } } }", "No such type Repo"),
        (
            "query($a: String!) { rateLimit { cost } }",
            "Variable $a is declared by anonymous query but not used",
        ),
        ("{ node(id: $a) { id } }", "Variable $a is used but not declared"),
        (
            "query($a: Int!) { node(id: $a) { id } }",
            "Type mismatch on variable $a and argument id (Int! / ID!)",
        ),
        ("query($a: ID!) { node(id: $a) { id } }", "Variable $a of type ID! was provided invalid value"),
        ("{ rateLimit { cost }", 'Expected NAME, actual: "end of file" at [1, 21]'),
        ("{ rateLimit @skip(if: true) { cost } }", 'Parse error on "@" at [1, 13]'),
        ("mutation { addStar { id } }", "Expected query"),
        ("{" * 40, "Expected NAME"),
        ("{ a " * 40, "Query has depth of more than 25"),
        ("{ node(id: " + "[" * 3000 + ") { id } }", "Query has depth of more than 25"),
        (
            "{ node(id: 1) { ... on Repository { repositoryTopics { nodes { topic { name } } } } } }",
            "`first`",
        ),
        (
            "{ node(id: 1) { ... on Repository { repositoryTopics(first: 101) { nodes { __typename } } } } }",
            "Requesting 101 records on the `repositoryTopics` connection",
        ),
    ],
)
def test_refused(replica: Handle, query: str, message: str) -> None:
    """A query with a slip must fail here as it does at GitHub, not later at GitHub only."""
    answer = answered(replica, query)
    assert "data" not in answer
    assert message in answer["errors"][0]["message"]
    assert answer["errors"][0]["locations"][0].keys() == {"line", "column"}


def test_more_than_github_gives(replica: Handle) -> None:
    ids = json.dumps(["R_x"] * 101)
    assert (
        "more than 100 node ids"
        in answered(replica, f"{{ nodes(ids: {ids}) {{ id }} }}")["errors"][0]["message"]
    )
    topics = "repositoryTopics(first: 100) { nodes { topic { name } } }"
    many = " ".join(f"t{n}: {topics}" for n in range(51))
    ids = json.dumps(["R_x"] * 100)
    query = f"{{ nodes(ids: {ids}) {{ ... on Repository {{ {many} }} }} }}"
    assert "exceeds the maximum limit of 500,000" in answered(replica, query)["errors"][0]["message"]


@pytest.mark.parametrize("token", ["", "bearer bad", "basic xyz"])
def test_without_a_good_token(replica: Handle, token: str) -> None:
    assert ask(replica, "{ rateLimit { cost } }", authorization=token).status == 401


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"query": 1}', b'{"query": "{a}", "variables": []}', b"\xff"]
)
def test_no_query(replica: Handle, body: bytes) -> None:
    assert ask(replica, body).status in (200, 400)
    assert ask(replica, "{ rateLimit { cost } }").status == 200


@pytest.mark.parametrize(("status", "key"), [(200, "errors"), (403, "message"), (429, "message")])
def test_points_are_used_up(replica: Handle, status: int, key: str) -> None:
    replica.services(github_graphql_limit=2, graphql_limit_status=status, speed=0)
    answers = [ask(replica, "{ rateLimit { cost } }") for _ in range(4)]
    assert [one.status for one in answers] == [200, 200, status, status]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["1", "0", "0", "0"]
    assert answers[2].headers["x-ratelimit-resource"] == "graphql"
    assert key in json.loads(answers[2].body)
    assert "data" not in json.loads(answers[2].body)
    counted = replica.statistics()["services"]["github-graphql"]
    assert (counted["points"], counted["limited"], counted["after_limit"]) == (2, 2, 1)
    replica.advance(3601)
    assert "data" in json.loads(ask(replica, "{ rateLimit { cost } }").body)


def test_too_many_for_githubs_clock(replica: Handle) -> None:
    """The crawler has to ask for fewer: by 502, or with what it got and asking for the rest again."""
    one = some_repository(replica)
    query = "{" + " ".join(f"r{n}: {named(one.full_name)} {{ id }}" for n in range(4)) + "}"
    replica.services(graphql_most_aliases=3)
    assert ask(replica, query).status == 502
    replica.services(graphql_most_aliases=3, graphql_overload="partial")
    answer = answered(replica, query)
    assert [answer["data"][f"r{n}"] is None for n in range(4)] == [False, False, False, True]
    assert [error["path"] for error in answer["errors"]] == [["r3"]]
    assert "type" not in answer["errors"][0]
    replica.services(graphql_most_aliases=4)
    assert ask(replica, query).status == 200


def test_fault_plan(replica: Handle) -> None:
    replica.faults([{"match": "/github/graphql", "fault": "status-502", "times": 1}])
    assert [ask(replica, "{ rateLimit { cost } }").status for _ in range(2)] == [502, 200]


def test_secondary_limit_is_shared_with_rest(replica: Handle) -> None:
    replica.services(secondary=1, retry_after=60, speed=0)
    answer = ask(replica, "{ rateLimit { cost } }")
    assert (answer.status, answer.headers["Retry-After"]) == (403, "60")
    replica.advance(60)
    assert ask(replica, "{ rateLimit { cost } }").status == 200
