"""Facts, serials and revisions: SQLAlchemy Core on SQLite (default) or PostgreSQL."""

from pyf_scrapy.store.records import (
    Check,
    CollectionRow,
    Event,
    Failure,
    FailureRow,
    Indexed,
    PackageFacts,
    ProjectRow,
    Run,
    Status,
    StoredPackage,
    StoredVersion,
    UnstorableError,
)
from pyf_scrapy.store.store import Store
from pyf_scrapy.store.writer import StoreWriter

__all__ = [
    "Check",
    "CollectionRow",
    "Event",
    "Failure",
    "FailureRow",
    "Indexed",
    "PackageFacts",
    "ProjectRow",
    "Run",
    "Status",
    "Store",
    "StoreWriter",
    "StoredPackage",
    "StoredVersion",
    "UnstorableError",
]
