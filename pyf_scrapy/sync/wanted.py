"""Whom to ask first when a budget does not reach for all: pure, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def most_wanted(
    names: Iterable[str],
    asked_at: Mapping[str, int],
    weights: Mapping[str, int],
    *,
    now: int,
    max_age: float,
) -> list[str]:
    """Those to be asked about (packages, repositories), most wanted first.

    `asked_at`: when each was asked about last (epoch seconds); whoever is younger than `max_age` seconds is
    left out, so that a run that was killed goes on where it was. What was never asked about comes first, the
    heaviest before others; then what was asked about longest ago, in whole days, again by weight.
    """
    due = [name for name in names if name not in asked_at or now - asked_at[name] >= max_age]

    def rank(name: str) -> tuple[bool, int, int, str]:
        days = (now - asked_at[name]) // 86_400 if name in asked_at else 0
        return name in asked_at, -days, -weights.get(name, 0), name

    return sorted(due, key=rank)
