"""`migrate`: the documents of one collection copied into another, with a checked result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import typesense

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.search.administration import check_name, list_aliases, list_collections
from pyf_scrapy.search.collections import create_physical, import_documents, iter_documents
from pyf_scrapy.verify.differences import Progress

_BYTES = 2 * 1024 * 1024  # of one import request
_REFUSED = 1_000  # as many are kept by name

_encode = msgspec.json.Encoder().encode


@dataclass
class Migrated:
    """What was copied: `documents` were read from `source`, `stored` of them are in `target`, `refused` were
    rejected (the first of them with the server's reason, by id); `missing` are stored but not found again."""

    source: str
    target: str
    documents: int = 0
    stored: int = 0
    refused: int = 0
    missing: int = 0
    created: bool = False
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether the target has every document."""
        return not self.refused and not self.missing


def migrate(client: typesense.Client, source: str, target: str, progress: Progress) -> Migrated:
    """Copy all documents of a collection (or alias) into an empty or new one; a new one gets our schema.

    Raises UsageProblem where that would mix two collections, SearchError.
    """
    check_name(target)
    found = {state.name: state for state in list_collections(client)}
    aliases = list_aliases(client)
    behind = aliases.get(source, source)
    if behind not in found:
        raise UsageProblem(
            f"there is no collection {source[:100]!r}; there are: {', '.join(found) or 'none'}"
        )
    if target in aliases:
        raise UsageProblem(f"{target} is an alias of {aliases[target]}: give the name of a collection")
    if target in found and found[target].documents:
        raise UsageProblem(
            f"{target} has {found[target].documents:,} documents: migrate into a new or an empty collection"
        )
    result = Migrated(source, target)
    if target not in found:
        create_physical(client, target)
        result.created = True
    total = found[behind].documents
    for lines, ids in _portions(client, behind):
        for id_, reason in zip(ids, import_documents(client, target, lines), strict=True):
            if reason is None:
                result.stored += 1
                continue
            result.refused += 1
            if len(result.reasons) < _REFUSED:
                result.reasons[id_] = reason
        result.documents += len(ids)
        progress("Copying documents", result.documents, total)
    held = sum(1 for _ in iter_documents(client, target, fields="id"))
    result.missing = result.stored - held
    return result


def _portions(client: typesense.Client, collection: str) -> Iterator[tuple[list[bytes], list[str]]]:
    lines: list[bytes] = []
    ids: list[str] = []
    size = 0
    for document in iter_documents(client, collection):
        line = _encode(document)
        if lines and size + len(line) > _BYTES:
            yield lines, ids
            lines, ids, size = [], [], 0
        lines.append(line)
        ids.append(str(document.get("id")))
        size += len(line)
    if lines:
        yield lines, ids
