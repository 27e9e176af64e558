"""What the search server has, if it can be asked at once: none is started or waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.supervisor import is_ready, is_supervised, read_state
from pyf_scrapy.store import CollectionRow

_TIMEOUT = 5.0  # seconds; status is about the store first of all


class Asked(NamedTuple):
    """What became of asking the index, and its documents by collection.

    `lost`: there is none, or it cannot be asked. One that starts by itself and does not run now may be there.
    """

    said: str
    documents: Mapping[str, int]
    lost: bool


def documents(settings: Mapping[str, Any], rows: Sequence[CollectionRow]) -> Asked:
    """How many documents the collections have."""
    try:
        typesense = TypesenseSettings.from_settings(settings)
        with _running(replace(typesense, timeout=min(typesense.timeout, _TIMEOUT))) as connection:
            if connection is None:
                return Asked("not asked: no search server is running", {}, _is_lost(typesense))
            counts = {}
            for row in rows:
                answer = get(connection.client, path("collections", row.physical))
                counts[row.collection] = answer["num_documents"] if answer else 0
            return Asked("asked", counts, lost=False)
    except PyfError as error:
        return Asked(f"not asked: {error}", {}, lost=True)


def _is_lost(settings: TypesenseSettings) -> bool:
    return settings.host is not None or not settings.folder.is_dir()


@contextmanager
def _running(settings: TypesenseSettings) -> Iterator[Connection | None]:
    """The search server if it is ready now, else None. Raises SearchError."""
    with ExitStack() as stack:
        yield stack.enter_context(connect(settings)) if _is_ready(settings) else None


def _is_ready(settings: TypesenseSettings) -> bool:
    if settings.host is None:
        folder = settings.folder
        return folder.exists() and is_supervised(folder) and is_ready(read_state(folder))
    try:
        health = httpx.get(
            f"{settings.protocol}://{settings.host}:{settings.port}/health", timeout=settings.timeout
        )
    except httpx.HTTPError:
        return False
    return health.status_code == httpx.codes.OK
