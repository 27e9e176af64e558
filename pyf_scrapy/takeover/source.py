"""The index that is taken over: a collection of this installation's search server, or of another one.

It is only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typesense

from pyf_scrapy.exceptions import DocumentError, UsageProblem
from pyf_scrapy.search.administration import list_collections
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.collections import export_lines, read_line
from pyf_scrapy.search.connection import IMPORTED, TypesenseSettings, connect
from pyf_scrapy.takeover.parsing import FIELDS

_MOST_NAMES = 10  # of collections in a message
_EMBEDDED = "the search server of this folder"  # for people


@dataclass(frozen=True)
class Origin:
    """An open collection. `count` is how many documents it has; `server`: "embedded" or its address."""

    collection: str
    server: str
    count: int
    client: typesense.Client

    def documents(self) -> Iterator[object]:
        """All documents as they arrive, cut to FIELDS; bytes: one that cannot be read. Raises SearchError."""
        for line in export_lines(self.client, self.collection, fields=",".join(FIELDS)):
            try:
                document = read_line(self.collection, line)
            except DocumentError:
                document = line
            yield document


@contextmanager
def origin(settings: Mapping[str, Any], collection: str) -> Iterator[Origin]:
    """Open a collection or alias: of the server of IMPORT_TYPESENSE_HOST, else of our own.

    Raises SearchError, and UsageProblem when there is no such collection or when it is ours.
    """
    other = bool(settings.get(IMPORTED.host))
    chosen = TypesenseSettings.from_settings(settings, *([IMPORTED] if other else []))
    if chosen.host is None and not chosen.folder.exists():
        raise UsageProblem(_missing(collection, _EMBEDDED, (), other=other))
    with connect(chosen) as connection:
        client = connection.client
        found = get(client, path("collections", collection))
        if found is None:
            names = [state.name for state in list_collections(client)]
            where = _EMBEDDED if chosen.host is None else connection.identity
            raise UsageProblem(_missing(collection, where, names, other=other))
        if any(field["name"] == "name_normalized" for field in found["fields"]):
            raise UsageProblem(f"{collection!r} was filled by pyf_scrapy: there is nothing to take over")
        yield Origin(found["name"], connection.identity, found["num_documents"], client)


def _missing(collection: str, where: str, names: Sequence[str], *, other: bool) -> str:
    shown = ", ".join([*names[:_MOST_NAMES], *(["..."] if len(names) > _MOST_NAMES else [])])
    others = f"but {shown}" if shown else "nor any other"
    remedy = "" if other else f"; for another server set {IMPORTED.host} and {IMPORTED.api_key}"
    return f"{where} has no collection {collection!r}, {others}{remedy}"
