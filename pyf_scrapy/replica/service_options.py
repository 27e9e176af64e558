"""How the services beside PyPI behave: GitHub, pypistats and ClickPy."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pyf_scrapy.exceptions import ReplicaError


class ServiceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and whims of the services. Raises ReplicaError when they cannot be."""

    speed: float = 1.0
    """Seconds of the services' clock, that limits count by, in a real one; 0: only `advance` moves it."""
    grace: float = 0.0
    """Real seconds after a limiting answer in which a request is no violation: for clients with several
    requests under way."""

    github_rest_limit: int = 5000
    """Requests an hour with a token."""
    github_anonymous_limit: int = 60
    """Requests an hour without one."""
    github_graphql_limit: int = 5000
    """Points an hour."""
    github_rest_minute: int = 900
    github_graphql_minute: int = 2000
    """Requests in a minute above which the secondary limit strikes."""
    limit_status: Literal[403, 429] = 403
    """Of an exhausted primary limit, REST."""
    graphql_limit_status: Literal[200, 403, 429] = 200
    """The same for GraphQL, which tells it in `errors`."""
    secondary: int = 0
    """How often the secondary limit strikes from now on, at the next request that is allowed."""
    secondary_status: Literal[403, 429] = 403
    retry_after: float = 60.0
    """How long it then lasts, by the services' clock."""
    retry_after_form: Literal["seconds", "date", "none"] = "seconds"
    """How `Retry-After` is written."""
    bad_token: str = "bad"  # noqa: S105
    """The one token that GitHub refuses."""
    graphql_most_aliases: int = 100
    """Repositories in one query that GitHub's clock allows."""
    graphql_overload: Literal["502", "partial"] = "502"
    """What comes of more: no answer, or the first ones and an error for each other."""
    extra_repositories: int = 0
    """So many repositories `load-N/repo-N` exist, N from 1."""

    pypistats_limits: bool = True
    """5 requests a second and 30 a minute."""
    clickpy_query_size: int = 262_144
    """Bytes; ClickHouse's default of `max_query_size`."""
    clickpy_most_rows: int = 0
    """Rows after which an answer ends without saying so, 0: all."""

    def __post_init__(self) -> None:
        for name in ("speed", "grace", "retry_after"):
            if not 0 <= getattr(self, name) <= 1_000_000:
                raise ReplicaError(f"services: {name}={getattr(self, name)} is not between 0 and 1000000")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and not 0 <= value <= 99_999_999:
                raise ReplicaError(f"services: {name}={value} is not between 0 and 99999999")


def parse_services(text: bytes) -> ServiceOptions:
    """The options in JSON; those left out have their defaults. Raises ReplicaError."""
    try:
        return msgspec.json.decode(text or b"{}", type=ServiceOptions)
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"services: {error}") from error


def service_options(pairs: list[str]) -> ServiceOptions:
    """From `NAME=VALUE` as typed. Raises ReplicaError."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in ServiceOptions.__struct_fields__:
            known = ", ".join(ServiceOptions.__struct_fields__)
            raise ReplicaError(f"services: unknown option {name!r}; known: {known}")
        values[name] = value
    try:
        return msgspec.convert(values, ServiceOptions, strict=False)
    except msgspec.MsgspecError as error:
        raise ReplicaError(f"services: {error}") from error
