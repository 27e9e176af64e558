"""Calls to Typesense whose failures are SearchErrors of one line.

They go through the client's `api_call`: the client's own objects for collections and documents keep one
object per name and id for ever, do not quote ids in paths, and warn about interfaces that are not used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import typesense
from typesense.exceptions import (
    ObjectNotFound,
    RequestForbidden,
    RequestMalformed,
    RequestUnauthorized,
    TypesenseClientError,
)

from pyf_scrapy.exceptions import SearchError

#: How a server, or a key with fewer rights, says that it does not allow something or does not know it.
REFUSALS = (ObjectNotFound, RequestForbidden, RequestMalformed, RequestUnauthorized)


@contextmanager
def failures(doing: str) -> Iterator[None]:
    """Raise every error of client and connection as a SearchError that begins with `doing`."""
    try:
        yield
    except RequestUnauthorized as error:
        raise SearchError(f"{doing}: Typesense refuses the key in TYPESENSE_API_KEY") from error
    except (TypesenseClientError, httpx.HTTPError) as error:
        raise SearchError(f"{doing}: {_reason(error)}") from error


def path(*parts: str) -> str:
    """A path of the API; each part is quoted, also "/" and "+" in it."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def get(client: typesense.Client, endpoint: str) -> dict[str, Any] | None:
    """The answer to a GET, None where Typesense does not know the object."""
    with failures(f"asking Typesense for {endpoint}"):
        try:
            return dict(client.api_call.get(endpoint, dict[str, Any]))
        except ObjectNotFound:
            return None


def searches(client: typesense.Client, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of several searches; a POST, because the length of a GET is limited to 4,000 bytes.

    Raises SearchError also for an error that Typesense reports in place of one result.
    """
    with failures("searching"):
        answer = client.api_call.post("/multi_search", dict[str, Any], body={"searches": queries})
    results: list[dict[str, Any]] = answer["results"]
    for result in results:
        if "error" in result:
            raise SearchError(f"searching: {result['error']}")
    return results


def _reason(error: Exception) -> str:
    """The server's own message or the kind of a connection's failure, on one line."""
    said = " ".join(str(error.args[-1] if error.args else "").split())
    if isinstance(error, TypesenseClientError) and said:
        return said
    return f"{type(error).__name__} {said}".strip()
