"""The schema's version: made, upgraded by a newer program, refused by an older one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, inspect, select, text

from pyf_scrapy.exceptions import OtherStoreError, StoreError
from pyf_scrapy.store.database import Database
from pyf_scrapy.store.tables import meta, metadata, projects

#: The version that this program writes. Raise it together with a step in `MIGRATIONS`.
SCHEMA_VERSION = 5

#: Keys of `meta`: what tells this store from any other, and the number of the last change of facts.
STORE_ID = "store_id"
CHANGES = "changes"

# Spelled out, not made from tables.py: a step stays what it was when the tables change again.
_STANDINGS_AND_LANES = (
    """CREATE TABLE standings (normalized_name {name} NOT NULL, status TEXT, reason TEXT, page_etag TEXT,
    project_etag TEXT, verified_at BIGINT, recreated_at BIGINT, PRIMARY KEY (normalized_name))""",
    """CREATE TABLE indexes (serial BIGINT NOT NULL, first_read_at BIGINT NOT NULL,
    last_read_at BIGINT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (serial))""",
    """CREATE TABLE feeds (url TEXT NOT NULL, etag TEXT, newest BIGINT, polled_at BIGINT NOT NULL,
    PRIMARY KEY (url))""",
    """CREATE TABLE dedup ("key" TEXT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY ("key"))""",
)

_ENRICHMENT = (
    """CREATE TABLE repositories ("key" TEXT NOT NULL, state TEXT NOT NULL, fetched_at BIGINT NOT NULL,
    contributors_at BIGINT, moved_to TEXT, etag TEXT, node_id TEXT, record {bytes}, contributors {bytes},
    PRIMARY KEY ("key"))""",
    """CREATE TABLE links (normalized_name {name} NOT NULL, "key" TEXT, proof TEXT, problem TEXT,
    checked_at BIGINT NOT NULL, publisher TEXT, publisher_version TEXT, label TEXT, url TEXT,
    candidates JSON NOT NULL, PRIMARY KEY (normalized_name))""",
    """CREATE INDEX links_by_key ON links ("key")""",
    """CREATE TABLE downloads (normalized_name {name} NOT NULL, source TEXT NOT NULL,
    fetched_at BIGINT NOT NULL, as_of BIGINT, last_day BIGINT, last_week BIGINT, last_month BIGINT,
    total BIGINT, PRIMARY KEY (normalized_name, source))""",
    """CREATE TABLE notes (name TEXT NOT NULL, value JSON NOT NULL, PRIMARY KEY (name))""",
)

_QUEUE = (
    """CREATE TABLE queue (normalized_name {name} NOT NULL, at BIGINT NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (normalized_name))""",
)
_CHANGES = (
    "ALTER TABLE projects ADD COLUMN changed BIGINT DEFAULT '0' NOT NULL",
    "CREATE INDEX projects_changed ON projects (changed, normalized_name)",
    """CREATE TABLE scores (normalized_name {name} NOT NULL, score INTEGER NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (normalized_name))""",
)
_TYPES = {
    "sqlite": {"name": "TEXT", "bytes": "BLOB"},
    "postgresql": {"name": 'TEXT COLLATE "C"', "bytes": "BYTEA"},
}


def _adding(statements: Sequence[str]) -> Callable[[Connection], None]:
    """The step that executes these, with the types of the database."""

    def step(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement.format(**_TYPES[connection.dialect.name])))

    return step


#: Version -> the step that turns a store of that version into one of the next.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: _adding(_STANDINGS_AND_LANES),
    2: _adding(_ENRICHMENT),
    3: _adding(_QUEUE),
    4: _adding(_CHANGES),
}


def prepare(database: Database, *, pypi_url: str | None, now: int) -> str | None:
    """Make the tables, or bring those of an older program up to date; all in one transaction.

    Returns the PYPI_URL whose facts these are; `pypi_url` None takes any. Raises StoreError when the database
    is something else or was made by a newer program, OtherStoreError when it has the facts of another
    PYPI_URL.
    """
    with database.write() as connection:
        stored = _stored_meta(database, connection)
        if stored:
            _upgrade(database, connection, int(stored["schema_version"]))
        else:
            metadata.create_all(connection)
            _remember(database, connection, "schema_version", str(SCHEMA_VERSION))
            _remember(database, connection, "created_at", str(now))
        if STORE_ID not in stored:
            _remember(database, connection, STORE_ID, secrets.token_hex(8))
            _remember(database, connection, CHANGES, "0")
        if pypi_url is None:
            return stored.get("pypi_url")
        _claim(database, connection, stored.get("pypi_url"), pypi_url.rstrip("/"))
        return pypi_url.rstrip("/")


def _stored_meta(database: Database, connection: Connection) -> dict[str, str]:
    """The rows of `meta`; nothing for an empty database."""
    found = set(inspect(connection).get_table_names())
    if not found:
        return {}
    if meta.name in found and metadata.tables.keys() & found != {meta.name}:
        stored = {row.key: row.value for row in connection.execute(select(meta.c.key, meta.c.value))}
        if stored.get("schema_version", "").isdecimal():
            return stored
    raise StoreError(f"{database.shown} holds something else than a store of pyf_scrapy")


def _upgrade(database: Database, connection: Connection, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{database.shown} has schema version {version}, this program knows versions up to "
            f"{SCHEMA_VERSION}: update pyf_scrapy"
        )
    for step in range(version, SCHEMA_VERSION):
        MIGRATIONS[step](connection)
    if version < SCHEMA_VERSION:
        _remember(database, connection, "schema_version", str(SCHEMA_VERSION))


def _claim(database: Database, connection: Connection, stored: str | None, pypi_url: str) -> None:
    if stored == pypi_url:
        return
    is_empty = connection.execute(select(projects.c.normalized_name).limit(1)).first() is None
    if stored is None or is_empty:
        _remember(database, connection, "pypi_url", pypi_url)
    else:
        raise OtherStoreError(
            f"{database.shown} holds the facts of {stored}, not of {pypi_url}: "
            f"set PYPI_URL={stored}, or use another folder (PYF_DATA_DIR) or DATABASE_URL"
        )


def _remember(database: Database, connection: Connection, key: str, value: str) -> None:
    connection.execute(database.upsert(meta), [{"key": key, "value": value}])
