"""Collections of package documents: `plone-1` behind the alias `plone`, and what goes in and out of them.

All functions block and raise SearchError when the server fails as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import typesense
from typesense.exceptions import ObjectAlreadyExists, ObjectNotFound

from pyf_scrapy.exceptions import DocumentError, SearchError, UsageProblem
from pyf_scrapy.search.calls import failures, get, path
from pyf_scrapy.search.schema import schema

_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
#: A field that only our collections have.
OWN_FIELD = "name_normalized"

_VERSIONED = re.compile(r"(?P<alias>.+)-(?P<number>[0-9]+)")
_ID = re.compile(rb'"id":"([^"\\]{1,200})"')

# Typesense refuses a query string of 4,000 bytes in some methods; percent-encoding triples a byte at most.
_MAX_FILTER = 1_200


class Collection(NamedTuple):
    """A collection as it stands behind its alias; `created_at` (epoch seconds) tells it from a later one,
    as far as the two are not of the same second; `documents` is how many it holds."""

    alias: str
    name: str
    created_at: int
    documents: int


class _ImportResult(msgspec.Struct):
    success: bool
    code: int = 0
    error: str = ""


def check_alias(alias: str) -> str:
    """Return `alias`, or raise UsageProblem where no collection may be called so.

    A name like "plone-1" is refused because it is that of a collection behind the alias "plone".
    """
    if not _ALIAS.fullmatch(alias):
        raise UsageProblem(
            f"collection name {alias[:100]!r}: use letters from a to z, digits, '_', '.' and '-', "
            "at most 100, the first of them a letter, a digit or '_'"
        )
    if versioned := _VERSIONED.fullmatch(alias):
        raise UsageProblem(
            f"collection name {alias!r}: a name that ends in '-' and a number is kept for the collections "
            f"behind an alias; use {versioned['alias']!r}"
        )
    return alias


def ensure_collection(client: typesense.Client, alias: str) -> Collection:
    """Return the collection behind `alias`; where there is none, create NAME-1, then the alias.

    What an interrupted creation left is completed, an alias whose collection was lost gets a new one of the
    same name, and several processes may do this at once. Raises UsageProblem for an unfit name, SearchError
    where a plain collection has the alias's name or where it is not clear which collection is meant.
    """
    check_alias(alias)
    target = _target(client, alias)
    if target is None:
        target = _unclaimed(client, alias)
        _create(client, target)
        target = _claim(client, alias, target)
    elif get(client, path("collections", target)) is None:
        _create(client, target)
    found = get(client, path("collections", target))
    if found is None:
        raise SearchError(f"collection {target} was deleted while it was being set up; try again")
    if not is_ours(found):
        raise UsageProblem(
            f"{alias} is an alias of {target}, which has other fields than ours. If it is pyf.aggregator's: "
            f"`scrapy collections import {target}` takes over what it knows; `scrapy aliases set OTHER "
            f"{target}` and `scrapy aliases delete {alias}` let it be searched as OTHER meanwhile"
        )
    return Collection(alias, target, found["created_at"], found["num_documents"])


def is_ours(found: Mapping[str, Any]) -> bool:
    """Whether a collection, as the server shows it, has our schema, of whatever version."""
    return any(field["name"] == OWN_FIELD for field in found["fields"])


def next_version(names: Iterable[str], alias: str) -> str:
    """The name of the next collection behind an alias: one higher than all `names` that are taken."""
    matches = filter(None, map(_VERSIONED.fullmatch, names))
    numbers = [int(match["number"]) for match in matches if match["alias"] == alias]
    return f"{alias}-{max(numbers, default=0) + 1}"


def create_physical(client: typesense.Client, name: str) -> int:
    """Create a collection without an alias; return its `created_at`. Raises SearchError if it is there."""
    with failures(f"creating collection {name}"):
        return int(_post(client, name)["created_at"])


def import_documents(client: typesense.Client, collection: str, lines: Sequence[bytes]) -> list[str | None]:
    """Write documents whole (upsert), each a line of JSON; return per line None = stored, else why not.

    Raises SearchError when the server did not answer for every line: then nothing is known to be stored, and
    all may be sent again.
    """
    if not lines:
        return []
    if any(not line or b"\n" in line for line in lines):
        raise ValueError("a line of an import is one JSON document without line ends")
    with failures(f"import into {collection}"):
        # The client's timeout holds for the whole request; it sends it again when the server fails.
        answer = client.api_call.post(
            path("collections", collection, "documents", "import"),
            str,
            as_json=False,
            params={"action": "upsert"},
            body=b"\n".join(lines),
        )
    try:
        # Not splitlines(): a refused document is repeated and may hold other separators.
        results = [msgspec.json.decode(line, type=_ImportResult) for line in answer.split("\n") if line]
    except msgspec.MsgspecError as error:
        raise SearchError(f"import into {collection}: answer not understood ({error})") from error
    if len(results) != len(lines):
        raise SearchError(f"import into {collection}: {len(results)} results for {len(lines)} documents")
    return [None if result.success else f"{result.error} ({result.code})" for result in results]


def delete_documents(client: typesense.Client, collection: str, ids: Sequence[str]) -> int:
    """Delete documents by id; return how many there were. Unknown ids are no error."""
    deleted = 0
    with failures(f"deleting from {collection}"):
        for filter_by in _id_filters([id_ for id_ in ids if "`" not in id_]):
            answer = client.api_call.delete(
                path("collections", collection, "documents"), dict[str, Any], params={"filter_by": filter_by}
            )
            deleted += answer["num_deleted"]
        # A filter's quotes cannot be escaped.
        for id_ in (id_ for id_ in ids if "`" in id_):
            deleted += _delete_one(client, collection, id_)
    return deleted


def ids_by_package(client: typesense.Client, collection: str) -> dict[str, set[str]]:
    """The ids of all documents of a collection by normalized package name."""
    ids: dict[str, set[str]] = {}
    for document in iter_documents(client, collection, fields="id"):
        ids.setdefault(document["id"].partition("==")[0], set()).add(document["id"])
    return ids


def iter_documents(
    client: typesense.Client, collection: str, *, fields: str = ""
) -> Iterator[dict[str, Any]]:
    """All documents of a collection, in no particular order, read while they arrive.

    `fields` (comma-separated) limits what is read of each. One that cannot be read is a SearchError, too.
    """
    for line in export_lines(client, collection, fields=fields):
        yield read_line(collection, line)


def read_line(collection: str, line: bytes) -> Any:
    """The document in a line of an export. Raises DocumentError where it is broken or nested too deep,
    SearchError where the line is cut off or none of an export."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if not line.endswith(b"}"):
            raise SearchError(f"export of {collection}: answer not understood ({error})") from error
        raise DocumentError(
            f"export of {collection}: document {line_id(line)!r} cannot be read ({error})"
        ) from error


def line_id(line: bytes) -> str:
    """The id in a line of an export that cannot be read, as far as one can tell; "" where there is none."""
    # Typesense sorts the fields: behind the id are few that could have one of their own.
    found = _ID.findall(line)
    return found[-1].decode(errors="replace") if found else ""


def export_lines(client: typesense.Client, collection: str, *, fields: str = "") -> Iterator[bytes]:
    """The documents of a collection as lines of JSON, as `iter_documents` reads them."""
    endpoint = path("collections", collection, "documents", "export")
    params = {"include_fields": fields} if fields else None
    with (
        failures(f"export of {collection}"),
        client.api_call.stream("GET", endpoint, dict[str, Any], params=params) as stream,
    ):
        yield from _lines(stream.response.iter_bytes())


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The non-empty lines; httpx's own `iter_lines` also splits at separators within a JSON string."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _target(client: typesense.Client, alias: str) -> str | None:
    found = get(client, path("aliases", alias))
    return found["collection_name"] if found else None


def _unclaimed(client: typesense.Client, alias: str) -> str:
    """The collection that an interrupted creation left without its alias, else the name of a new one."""
    with failures("asking Typesense for its collections"):
        found = client.api_call.get("/collections", list[dict[str, Any]])
    names = [one["name"] for one in found]
    if alias in names:
        raise SearchError(
            f"{alias} is a plain collection, so it cannot be an alias of {alias}-1: delete it or choose "
            "another name with collection="
        )
    candidates = sorted(
        one["name"]
        for one in found
        if is_ours(one) and (match := _VERSIONED.fullmatch(one["name"])) and match["alias"] == alias
    )
    if len(candidates) > 1:
        raise SearchError(
            f"there is no alias {alias}, but {' and '.join(candidates)}: point it at one of them "
            f"(`scrapy aliases set {alias} COLLECTION`)"
        )
    return candidates[0] if candidates else next_version(names, alias)


def _create(client: typesense.Client, name: str) -> None:
    # It exists when another process was faster or an interrupted creation left it.
    with failures(f"creating collection {name}"), suppress(ObjectAlreadyExists):
        _post(client, name)


def _post(client: typesense.Client, name: str) -> dict[str, Any]:
    return client.api_call.post("/collections", dict[str, Any], body=schema(name))


def _claim(client: typesense.Client, alias: str, target: str) -> str:
    """Point the alias at `target` unless another process has set it meanwhile; return what it points at."""
    if other := _target(client, alias):
        return other
    with failures(f"creating alias {alias}"):
        client.api_call.put(path("aliases", alias), dict[str, Any], body={"collection_name": target})
    return target


def _delete_one(client: typesense.Client, collection: str, id_: str) -> int:
    try:
        client.api_call.delete(path("collections", collection, "documents", id_), dict[str, Any])
    except ObjectNotFound:
        return 0
    return 1


def _id_filters(ids: Sequence[str]) -> Iterator[str]:
    """Filters of bounded length that name the ids, none of which has a backtick."""
    quoted: list[str] = []
    size = 0
    for id_ in ids:
        if quoted and size + len(id_.encode()) > _MAX_FILTER:
            yield f"id:[{','.join(quoted)}]"
            quoted, size = [], 0
        quoted.append(f"`{id_}`")
        size += len(id_.encode()) + 3
    if quoted:
        yield f"id:[{','.join(quoted)}]"
