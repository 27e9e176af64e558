"""What tests ask of a database behind the store's back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.tables import metadata


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A transaction of somebody else, who leaves again."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def execute(url: str, *statements: str) -> list[Any]:
    """The first column of what the last statement returns, if it returns rows."""
    with connected(url) as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        return list(results[-1].scalars()) if results[-1].returns_rows else []


def columns(url: str) -> dict[str, list[tuple[str, ...]]]:
    """Of each table its columns (name, type, whether it may be empty), its key and its indexes."""
    with connected(url) as connection:
        of = inspect(connection)
        return {
            table: [
                *((one["name"], str(one["type"]), str(one["nullable"])) for one in of.get_columns(table)),
                tuple(of.get_pk_constraint(table)["constrained_columns"]),
                *((str(one["name"]), *map(str, one["column_names"])) for one in of.get_indexes(table)),
            ]
            for table in metadata.tables
        }


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
