"""GitHub's GraphQL API for the part of the schema in graphql_schema.py: cost, limits, answers.

Cost: one request for each connection of each object that has it, all together through 100, at least 1; a
connection of which only `totalCount` is asked counts as well. Nodes: what `first` and `ids` may give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyf_scrapy.replica.graphql_check import Check, Error, argument_values, error, variables
from pyf_scrapy.replica.graphql_language import (
    Document,
    Field,
    GraphQLError,
    Operation,
    Place,
    Selection,
    Spread,
    parse,
)
from pyf_scrapy.replica.graphql_schema import TYPES, is_connection
from pyf_scrapy.replica.repositories import Repositories, Repository, id_of

_MOST_NODES = 500_000
_MOST_IN_PAGE = 100
_MOST_BYTES = 1_000_000

_TIMEOUT = (
    "Something went wrong while executing your query. This may be the result of a timeout, or a GitHub bug."
)


class Query(NamedTuple):
    """A query that can be run: what it costs and how many repositories it asks for."""

    document: Document
    operation: Operation
    variables: Mapping[str, Any]
    cost: int
    nodes: int
    repositories: int


class RefusedQueryError(Exception):
    """Raised for a query that GitHub does not run; `errors` is what it says."""

    def __init__(self, *errors: Error) -> None:
        super().__init__(errors)
        self.errors = list(errors)


def prepare(body: bytes) -> Query:
    """Reads and checks the body of a request. Raises RefusedQueryError; ValueError when it is no query."""
    request = json.loads(body[: _MOST_BYTES + 1])
    text = request.get("query") if isinstance(request, dict) else None
    given = request.get("variables") or {} if isinstance(request, dict) else {}
    if not isinstance(text, str) or not isinstance(given, dict):
        raise ValueError("A query attribute must be specified and must be a string.")
    try:
        document = parse(text)
    except GraphQLError as problem:
        raise RefusedQueryError(error(str(problem), problem.place)) from problem
    name = request.get("operationName")
    chosen = [one for one in document.operations if name is None or one.name == name]
    if len(chosen) != 1:
        raise RefusedQueryError(error("An operation name is required", None))
    if wrong := Check(document, chosen[0]).errors:
        raise RefusedQueryError(*wrong)
    values, wrong = variables(chosen[0], given)
    if wrong:
        raise RefusedQueryError(*wrong)
    counter = _Counter(document, values)
    counter.count("Query", chosen[0].selections, 1, [])
    if counter.errors:
        raise RefusedQueryError(*counter.errors)
    if counter.nodes > _MOST_NODES:
        message = (
            f"This query requests up to {counter.nodes:,} possible nodes which exceeds the maximum limit"
            f" of {_MOST_NODES:,}."
        )
        raise RefusedQueryError(error(message, None, type="MAX_NODE_LIMIT_EXCEEDED"))
    cost = max(1, (counter.requests + 50) // 100)
    return Query(document, chosen[0], values, cost, counter.nodes, counter.repositories)


def _fields(document: Document, selections: tuple[Selection, ...], kind: str) -> Iterator[Field]:
    """The fields that a value of a type is asked for, those of its fragments included."""
    for selection in selections:
        if isinstance(selection, Field):
            yield selection
            continue
        part = document.fragments[selection.name] if isinstance(selection, Spread) else selection
        # An interface's own fields are asked of each value; other types' only of theirs.
        if part.type in (None, kind) or part.type not in ("Repository", "Commit", "Blob"):
            yield from _fields(document, part.selections, kind)


def _merged(document: Document, selections: tuple[Selection, ...], kind: str) -> dict[str, Field]:
    """Those fields by the key of the answer; selections of one key are put together."""
    merged: dict[str, Field] = {}
    for field in _fields(document, selections, kind):
        same = merged.get(field.key)
        if same is None:
            merged[field.key] = field
        else:
            both = same.selections + field.selections
            merged[field.key] = Field(same.name, same.key, same.arguments, both, same.place)
    return merged


class _Counter:
    """Adds up what a query may fetch."""

    def __init__(self, document: Document, values: Mapping[str, Any]) -> None:
        self._document = document
        self._values = values
        self.requests = 0
        self.nodes = 0
        self.repositories = 0
        self.errors: list[Error] = []

    def count(self, kind: str, selections: tuple[Selection, ...], parents: int, path: list[str]) -> None:
        """`parents`: how many objects of this type there may be."""
        # Both kinds of a git object cannot be asked of one value; none of them has connections.
        kind = "Repository" if kind == "Node" else kind
        for field in _merged(self._document, selections, kind).values():
            known = TYPES[kind].get(field.name)
            if known is None or not field.selections:
                continue
            arguments = argument_values(field, self._values)
            below = parents
            if kind == "Query":
                below = self._root(field, arguments)
            if is_connection(known.type):
                self.requests += parents
                below = self._page(field, arguments, parents, [*path, field.key])
            self.count(known.type, field.selections, below, [*path, field.key])

    def _root(self, field: Field, arguments: Mapping[str, Any]) -> int:
        """How many repositories a field of the query may give."""
        if field.name == "rateLimit":
            return 1
        if field.name != "nodes":
            self.repositories += 1
            return 1
        count = len(arguments["ids"])
        self.nodes += count
        self.repositories += count
        if count > _MOST_IN_PAGE:
            message = f"You may not provide more than {_MOST_IN_PAGE} node ids; you provided {count}."
            self.errors.append(error(message, field.place, type="ARGUMENT_LIMIT", path=[field.key]))
        return count

    def _page(self, field: Field, arguments: Mapping[str, Any], parents: int, path: list[str]) -> int:
        """How many nodes the connections of all parents may give."""
        first = arguments.get("first")
        if first is None:
            if any(one.name == "nodes" for one in _fields(self._document, field.selections, "")):
                message = (
                    "You must provide a `first` or `last` value to properly paginate"
                    f" the `{field.name}` connection."
                )
                self._refuse(message, "MISSING_PAGINATION_BOUNDARIES", field.place, path)
            return parents
        if not 1 <= first <= _MOST_IN_PAGE:
            message = (
                f"Requesting {first} records on the `{field.name}` connection exceeds the `first` limit"
                f" of {_MOST_IN_PAGE} records."
            )
            self._refuse(message, "EXCESSIVE_PAGINATION", field.place, path)
        self.nodes += parents * int(first)
        return parents * int(first)

    def _refuse(self, message: str, kind: str, place: Place, path: list[str]) -> None:
        self.errors.append(error(message, place, type=kind, path=path))


class Run:
    """Runs a query; `errors` tells afterwards which repositories could not be given.

    `rates`: the budget after this query. `most`: repositories after which GitHub's clock is over.
    """

    def __init__(
        self, query: Query, repositories: Repositories, rates: Mapping[str, Any], most: int | None = None
    ) -> None:
        self.errors: list[Error] = []
        self._query = query
        self._repositories = repositories
        self._rates = rates
        self._left = most
        self.data = self._value("Query", None, query.operation.selections)

    def _value(self, kind: str, value: Any, selections: tuple[Selection, ...]) -> dict[str, Any]:
        if isinstance(value, Repository):
            kind = "Repository"
        elif isinstance(value, dict):
            kind = value.get("__typename", kind) if kind == "GitObject" else kind
        shown: dict[str, Any] = {}
        for key, field in _merged(self._query.document, selections, kind).items():
            if field.name == "__typename":
                shown[key] = _type_name(kind, value)
                continue
            known = TYPES[kind][field.name]
            arguments = argument_values(field, self._query.variables)
            if kind == "Query":
                found = self._root(field, arguments)
            else:
                found = known.resolve(value, arguments, self._repositories)
            shown[key] = self._shown(known.type, found, field.selections)
        return shown

    def _shown(self, kind: str, found: Any, selections: tuple[Selection, ...]) -> Any:
        if found is None or not selections:
            return found
        if isinstance(found, list):
            return [self._shown(kind, one, selections) for one in found]
        return self._value(kind, found, selections)

    def _root(self, field: Field, arguments: Mapping[str, Any]) -> Any:
        if field.name == "rateLimit":
            return {**self._rates, "cost": self._query.cost, "nodeCount": self._query.nodes}
        if field.name == "repository":
            return self._named(field, arguments)
        if field.name == "node":
            return self._node(str(arguments["id"]), field, [field.key])
        return [self._node(str(one), field, [field.key, n]) for n, one in enumerate(arguments["ids"])]

    def _named(self, field: Field, arguments: Mapping[str, Any]) -> Repository | None:
        name = f"{arguments['owner']}/{arguments['name']}"
        found = self._repositories.find(name)
        strict = arguments.get("followRenames") is False
        if found and strict and found.full_name.lower() != name.lower():
            found = None
        message = f"Could not resolve to a Repository with the name '{name}'."
        return self._allowed(found, message, field, [field.key])

    def _node(self, node_id: str, field: Field, path: list[Any]) -> Repository | None:
        number = id_of(node_id)
        found = None if number is None else self._repositories.by_id(number)
        return self._allowed(
            found, f"Could not resolve to a node with the global id of '{node_id}'", field, path
        )

    def _allowed(
        self, found: Repository | None, missing: str, field: Field, path: list[Any]
    ) -> Repository | None:
        """The repository, or None and an error."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.errors.append(error(_TIMEOUT, field.place, path=path))
                return None
        if found is None or found.state == "deleted":
            self.errors.append(error(missing, field.place, type="NOT_FOUND", path=path))
            return None
        if found.state:
            kind = "FORBIDDEN" if found.state == "tos" else "DMCA_TAKEDOWN"
            self.errors.append(error("Repository access blocked", field.place, type=kind, path=path))
            return None
        return found


def _type_name(kind: str, value: Any) -> str:
    if kind == "ParentRepository":
        return "Repository"
    return str(value.get("__typename", kind)) if isinstance(value, dict) else kind


def timed_out() -> dict[str, Any]:
    """What GitHub says when its clock is over before it has anything."""
    return {"data": None, "errors": [{"message": _TIMEOUT}]}
