"""The OpenAPI description: what the answers of all its routes have in common, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from pyf_scrapy import __version__
from pyf_scrapy.web.security import MAX_TARGET

_ABOUT = """Packages of a framework's ecosystem, with all that is known of them. Read-only.

Lists are cut into pages: `next` of an answer is the `cursor` of the next page, also as a Link header. Each
answer to a GET below `/api` has an ETag; a request with If-None-Match gets 304 where nothing has changed."""

Responses = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


_TEXT = {"text/plain": {"schema": {"type": "string"}}}


def problem(description: str, *, or_text: bool = False) -> dict[str, Any]:
    """The answer to what cannot be done; `or_text` is one that may also come as a line of text."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}, **(_TEXT if or_text else {})}
    return {"description": description, "content": content}


ETAG = {"ETag": {"description": "Stands for the content.", "schema": {"type": "string"}}}
#: What any route may answer.
COMMON: Responses = {
    400: problem("A parameter is unknown or wrong; `detail` says which."),
    414: {"description": f"The address is longer than {MAX_TARGET} bytes.", "content": _TEXT},
    429: {"description": "Too many requests; Retry-After says when again.", "content": _TEXT},
    503: problem("The index or the store cannot be read at the moment."),
}
#: What one with a name or a cursor may answer.
MISSING: Responses = {404: problem("There is no such profile, package, release or page.")}


def description(routers: Iterable[APIRouter], profile_keys: Sequence[str]) -> bytes:
    """The OpenAPI description as JSON: FastAPI's, but with what these routes really answer to bad input, and
    with the profiles that there are."""
    described = get_openapi(
        title="pyf_scrapy",
        version=__version__,
        description=_ABOUT,
        routes=[route for router in routers for route in router.routes],
        separate_input_output_schemas=False,
    )
    for operation in _operations(described):
        operation["responses"].pop("422", None)
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            # A parameter of an address is given or not; it cannot be null.
            schema.update(next((one for one in schema.pop("anyOf", ()) if one["type"] != "null"), {}))
            if parameter["name"] == "profile":
                schema.update(_profiles(parameter["in"] == "path", profile_keys))
    schemas = described["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    return msgspec.json.encode(described)


def _operations(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in described["paths"].values():
        yield from path.values()


def _profiles(is_one: bool, keys: Sequence[str]) -> dict[str, Any]:
    """Which profiles there are: one of them in a path, some with commas between in a query."""
    if is_one:
        return {"enum": list(keys)}
    key = f"(?:{'|'.join(map(re.escape, keys))})"
    return {"pattern": f"^{key}(?:,{key})*$"}
