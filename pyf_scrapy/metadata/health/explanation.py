"""A breakdown, as stored in a document, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyf_scrapy.metadata.health.rules import TITLES

#: What the columns of `explained` are, and of `advice`.
EXPLAINED = ("health", "points", "of", "why")
ADVICE = ("gain", "what would raise it")

Explained = tuple[str, int | None, int | None, str]


def explained(breakdown: Mapping[str, Any], score: int) -> Iterator[Explained]:
    """Yield a line for each point, and the sum: the rule, its points, their maximum, and the evidence.

    Both numbers are None for what is only said. A document that was made before there were points has none.
    """
    points = breakdown.get("points", ())
    for point in points:
        said_only = not point["points"] and not point["maximum"]
        yield (
            TITLES.get(point["rule"], point["rule"]),
            None if said_only else point["points"],
            point["maximum"] or None,
            point["evidence"],
        )
    if points:
        yield "score", score, 100, f"{breakdown['confidence']} % of what the rules ask is known"


def advice(breakdown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What would raise the score, each thing by itself, the most first; "?" where nobody knows how much."""
    return [
        ("?" if remedy["gain"] is None else f"+{remedy['gain']}", remedy["remedy"])
        for remedy in breakdown.get("remedies", ())
    ]
