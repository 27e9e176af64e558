"""The one way of a user's text into a filter of the search server."""

from __future__ import annotations

from collections.abc import Iterable

from pyf_scrapy.search.queries import filter_value


def is_value(field: str, value: str) -> str:
    """The condition that `field`, a name of ours, is or holds exactly `value`, whatever that is."""
    return f"{field}:={filter_value(value)}"


def is_one_of(field: str, values: Iterable[str]) -> str:
    """The condition that `field`, a name of ours, is or holds one of these, at least one."""
    return f"{field}:=[{','.join(map(filter_value, values))}]"


def all_of(conditions: Iterable[str]) -> str:
    """All conditions together; "" for none."""
    # Typesense takes a hundred conditions, operators and parentheses: none that are not needed.
    return " && ".join(
        f"({condition})" if " || " in condition else condition for condition in conditions if condition
    )
