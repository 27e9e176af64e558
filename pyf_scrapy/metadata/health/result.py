"""What a judgement is made of: points with their evidence, the axes, what would raise the score."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from pyf_scrapy.metadata.health.rules import VERSION


class Point(Struct, frozen=True, omit_defaults=True):
    """What one rule gave or, being a limit, took (negative points).

    `evidence` is short and printable; it does not change from day to day. `when` is the moment of the
    fact in epoch seconds, where it has none that of its fetch. `remedy` says how to raise it, "" where
    nothing does.
    """

    rule: str
    axis: str
    points: int
    maximum: int
    evidence: str
    source: str
    when: int | None = None
    remedy: str = ""


class Remedy(Struct, frozen=True):
    """Something to do: what the score would gain by it alone, and the rules that it is about.

    `gain` is None when facts are missing that tell it.
    """

    remedy: str
    gain: int | None
    rules: tuple[str, ...]


class Axis(Struct, frozen=True):
    """The rules of one axis: points earned of a maximum, what its limits cut (0 or negative), and how many
    per cent of the weight of its rules are known."""

    points: int
    maximum: int
    cut: int
    confidence: int


class Health(Struct, frozen=True):
    """A score from 0 to 100, and all that it comes from.

    The points sum to the score. `confidence` is the share of the rules' weight whose facts are known, in per
    cent. `breakdown` is all of it in plain JSON types, under pyf.aggregator's keys and this project's.
    """

    score: int
    breakdown: dict[str, Any]
    points: tuple[Point, ...] = ()
    confidence: int = 0
    axes: dict[str, Axis] = {}
    remedies: tuple[Remedy, ...] = ()
    version: int = VERSION
