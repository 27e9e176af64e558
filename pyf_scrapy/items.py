"""The one unit that flows through every spider and pipeline: a package with all its releases."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.health import Health
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.versions import VersionFields
from pyf_scrapy.parsers.project_json import ProjectRecord
from pyf_scrapy.search.changes import Change

# Feed exporters know dataclasses and plain values, not msgspec's structs.
_PLAIN = {"serializer": msgspec.to_builtins}


@dataclass
class PackageItem:
    """A package: facts from the spider, computations from the pipelines.

    `profiles` are the keys of the crawl's profiles that the package belongs to, `leaving` those whose
    collection still holds it although it does not belong any more. `project` is None for a package that
    never belonged to any: it is only noted as checked. `stored` = made of what the store has, not of an
    answer of PyPI.
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
    stored: bool = False
    failures: list[str] = field(default_factory=list)
    versions: dict[str, VersionFields] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    health: Health | None = field(default=None, metadata=_PLAIN)
    changes: dict[str, Change] = field(default_factory=dict)
