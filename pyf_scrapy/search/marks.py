"""Marks tell whether a collection holds what was last sent: one stands in the search server and in the store.

Ids, counts and dates do not tell: a server put back from an older copy may have the same ids with older
content. The server keeps the mark as a search preset, which Typesense has had since 0.24, which is written
to its disk with the documents, and which neither searches nor lists of collections show. A server or a key
that does not allow it means no mark.
"""

from __future__ import annotations

import secrets
from typing import Any

import typesense

from pyf_scrapy.search.calls import REFUSALS, failures, path
from pyf_scrapy.store import Store


class Marking:
    """The mark of one collection, as it is found. Use it under the collection's `index_lock`; it blocks.

    Raises SearchError, StoreError.
    """

    def __init__(self, store: Store, client: typesense.Client, collection: str) -> None:
        self.store = store
        self.client = client
        self.collection = collection
        self._name = f"pyf-mark-{collection}"
        accepted = store.marks(collection)
        self._is_possible, self._found = _read(self.client, self._name)
        #: whether the server is not the one, or not in the state, that the store knows
        self.is_doubtful = self._is_possible and bool(accepted) and self._found not in accepted

    def renew(self, client: typesense.Client | None = None) -> None:
        """Give both another mark: a copy of the server from before this is an older one from now on.

        `client`: another one than that which found it.

        The store accepts both marks until the server has the new one, so that a kill in between is no doubt.
        """
        if not self._is_possible:
            return
        new = secrets.token_hex(8)
        self.store.save_marks(self.collection, (self._found, new))
        if _write(client or self.client, self._name, new):
            self.store.save_marks(self.collection, (new,))
        else:
            self.store.save_marks(self.collection, (self._found,) if self._found else ())


def _read(client: typesense.Client, name: str) -> tuple[bool, str]:
    """Whether marks can be read, and the one that is there, "" for none."""
    with failures("asking Typesense for /presets"):
        try:
            # All of them, because 0.24.1 answers 404 for each by its name.
            presets = client.api_call.get("/presets", dict[str, Any]).get("presets", [])
        except REFUSALS:
            return False, ""
    values = [preset["value"] for preset in presets if preset["name"] == name]
    return True, str(values[0].get("mark", "")) if values else ""


def _write(client: typesense.Client, name: str, mark: str) -> bool:
    """Whether the server has taken the mark."""
    with failures("marking the collection"):
        try:
            client.api_call.put(path("presets", name), dict[str, Any], body={"value": {"mark": mark}})
        except REFUSALS:
            return False
    return True
