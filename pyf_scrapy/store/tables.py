"""The tables. Small columns stand before large ones: SQLite reads a row from its front."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

# Names are compared by code point everywhere, as SQLite does by itself: the work list is a merge.
_name = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite counts only a column declared INTEGER by itself.
_serial_id = BigInteger().with_variant(Integer(), "sqlite")
_json = JSON(none_as_null=True)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

classifiers = Table(
    "classifiers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

projects = Table(
    "projects",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("name", Text, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("classifiers", LargeBinary, nullable=False),
    Column("changed", BigInteger, nullable=False, server_default="0"),  # the number of its last change
    sqlite_with_rowid=False,
)
Index("projects_changed", projects.c.changed, projects.c.normalized_name)

packages = Table(
    "packages",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("serial", BigInteger, nullable=False),  # of these facts; a mere check moves only projects.serial
    Column("depth", Integer, nullable=False),
    Column("listed", _json, nullable=False),
    Column("project", LargeBinary, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
    Column("metadata", LargeBinary),
)
Index(
    "releases_partial",
    releases.c.normalized_name,
    sqlite_where=releases.c.metadata.is_(None),
    postgresql_where=releases.c.metadata.is_(None),
)

standings = Table(
    "standings",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("status", Text),
    Column("reason", Text),
    Column("page_etag", Text),
    Column("project_etag", Text),
    Column("verified_at", BigInteger),
    Column("recreated_at", BigInteger),
)

scores = Table(
    "scores",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("score", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("definition", _json, nullable=False),
    Column("releases", Integer),
    Column("physical", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("server", Text, nullable=False),
)

indexed = Table(
    "indexed",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("normalized_name", _name, primary_key=True),
    Column("indexed_revision", Integer),
    Column("hashes", LargeBinary, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("next_try", BigInteger, nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("key", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
    Column("contributors_at", BigInteger),
    Column("moved_to", Text),  # of a former name: the key it has now, and no facts
    Column("etag", Text),
    Column("node_id", Text),
    Column("record", LargeBinary),
    Column("contributors", LargeBinary),
)

links = Table(
    "links",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("key", Text),
    Column("proof", Text),
    Column("problem", Text),
    Column("checked_at", BigInteger, nullable=False),
    Column("publisher", Text),
    Column("publisher_version", Text),
    Column("label", Text),
    Column("url", Text),
    Column("candidates", _json, nullable=False),
)
Index("links_by_key", links.c.key)

downloads = Table(
    "downloads",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("fetched_at", BigInteger, nullable=False),
    Column("as_of", BigInteger),  # None = asked, but the source does not know the package
    Column("last_day", BigInteger),
    Column("last_week", BigInteger),
    Column("last_month", BigInteger),
    Column("total", BigInteger),
)

notes = Table(
    "notes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", _json, nullable=False),
)

indexes = Table(
    "indexes",
    metadata,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("first_read_at", BigInteger, nullable=False),
    Column("last_read_at", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
)

feeds = Table(
    "feeds",
    metadata,
    Column("url", Text, primary_key=True),
    Column("etag", Text),
    Column("newest", BigInteger),
    Column("polled_at", BigInteger, nullable=False),
)

dedup = Table(
    "dedup",
    metadata,
    Column("key", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)

queue = Table(
    "queue",
    metadata,
    Column("normalized_name", _name, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _serial_id, primary_key=True),
    Column("spider", Text, nullable=False),
    Column("arguments", _json, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("reason", Text),
    Column("exit_code", Integer),
    Column("stats", _json),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("seq", _serial_id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("normalized_name", _name, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Text),
    Column("detail", _json),
    sqlite_autoincrement=True,
)
