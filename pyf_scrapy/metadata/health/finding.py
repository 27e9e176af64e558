"""What a rule found, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

_SHORT = 60  # characters
#: As a `reach`: how much a remedy gains is not known.
UNKNOWN_REACH = -1


class Finding(Struct, frozen=True):
    """What one rule says of one package.

    `evidence` is short and printable. `remedy` says what would raise it, to `reach` points (the rule's
    maximum when None; UNKNOWN_REACH = nobody knows). `known` = the facts that the rule asks for are there.
    `problems` are the remarks that pyf.aggregator's front end shows. `when` is the moment of the fact
    itself, `fetched` that of its fetch (epoch seconds). `limit` is the most that the whole score may be; the
    remedy lifts it.
    """

    points: int
    evidence: str
    remedy: str = ""
    reach: int | None = None
    known: bool = True
    problems: tuple[str, ...] = ()
    when: int | None = None
    fetched: int | None = None
    limit: int | None = None


def not_known(what: str, remedy: str = "") -> Finding:
    """The finding of a rule whose facts are missing: nothing gained, and the confidence is lower."""
    return Finding(0, what, remedy, UNKNOWN_REACH, known=False)


def quoted(text: object) -> str:
    """A stranger's text as evidence: one line, printable, at most 60 characters."""
    start = str(text)[: 4 * _SHORT]
    words = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1].rstrip()}…"


def counted(number: int, noun: str) -> str:
    """A number and its noun, "1 star" or "1,234 stars"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def steps_up(steps: Sequence[tuple[int, int]], value: int) -> int:
    """The points of the first of the steps (at least, points; highest first) that a value reaches."""
    return next((points for least, points in steps if value >= least), 0)


def steps_down(steps: Sequence[tuple[int, int]], value: int) -> int:
    """The points of the first of the steps (below, points; lowest first) that a value stays below."""
    return next((points for bound, points in steps if value < bound), 0)
