"""The one unit that flows through every spider and pipeline: a package with all its releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import Health
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.versions import VersionFields
from pyf_scrapy.parsers.project_json import ProjectRecord

# Feed exporters know dataclasses and plain values, not msgspec's structs.
_PLAIN = {"serializer": msgspec.to_builtins}


@dataclass
class CollectionChange:
    """What one package means for one collection: what to send, what to delete, what is true afterwards."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    #: document id -> hash of every document that the collection holds after the change
    hashes: dict[str, bytes] = field(default_factory=dict)
    #: the same before the change, as the store had it when `documents` was made
    before: dict[str, bytes] = field(default_factory=dict)


@dataclass
class PackageItem:
    """A package: facts from the spider, computations from the pipelines.

    `profiles` are the keys of the crawl's profiles that the package belongs to, `leaving` those whose
    collection still holds it although it does not belong any more. `project` is None for a package that
    never belonged to any: it is only noted as checked.
    """

    name: str
    normalized_name: str
    serial: int
    classifiers: tuple[str, ...]
    revision: int = 0
    status: str = "active"
    profiles: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    project: ProjectRecord | None = field(default=None, metadata=_PLAIN)
    releases: tuple[Release, ...] = field(default=(), metadata=_PLAIN)
    repository: None = None
    downloads: None = None
    failures: list[str] = field(default_factory=list)
    versions: dict[str, VersionFields] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    health: Health | None = field(default=None, metadata=_PLAIN)
    changes: dict[str, CollectionChange] = field(default_factory=dict)
