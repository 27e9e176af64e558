"""What a package means for a collection: what to send, what to delete, what is true afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyf_scrapy.search.documents import document_hash
from pyf_scrapy.store.records import Shape


@dataclass(frozen=True)
class Change:
    """One package's change of one collection.

    `wanted` are all its documents, `documents` those of them that differ from what the collection had
    (`before`: document id -> hash, b"" = unknown), `deleted` the ids that have to go, `hashes` what it holds
    afterwards. `shape` is what the collection was when `wanted` was made for it.
    """

    wanted: Sequence[dict[str, Any]] = ()
    hashes: Mapping[str, bytes] = field(default_factory=dict)
    before: Mapping[str, bytes] = field(default_factory=dict)
    shape: Shape | None = None

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [d for d in self.wanted if self.before.get(d["id"]) != self.hashes[d["id"]]]

    @property
    def deleted(self) -> list[str]:
        return [known for known in self.before if known not in self.hashes]

    @property
    def touched(self) -> list[str]:
        """The ids of which nobody knows what the collection has of them until the change is done."""
        return [*(document["id"] for document in self.documents), *self.deleted]


def change(
    wanted: Sequence[dict[str, Any]], before: Mapping[str, bytes], shape: Shape | None = None
) -> Change:
    """The change that makes a collection which holds `before` hold exactly `wanted`."""
    hashes = {document["id"]: document_hash(document) for document in wanted}
    return Change(wanted, hashes, before, shape)
