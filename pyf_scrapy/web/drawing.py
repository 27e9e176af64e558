"""Small drawings as SVG: numbers in, markup out; every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

#: (from this score on, word, colour on which white can be read)
BANDS = ((80, "good", "#1a7f4b"), (60, "fair", "#8a6100"), (40, "weak", "#a64b00"), (0, "poor", "#b3261e"))
_UNKNOWN = "#5b6470"
_CHARACTER = 6.6  # pixels of an average character of the badge's font
_PADDING = 12


class Bar(NamedTuple):
    """A bar of a chart: what it is about, its value as a text, and its length in per cent."""

    label: str
    text: str
    length: float


def band(score: int | None) -> str:
    """The word for a score: good, fair, weak, poor; "unknown" without one."""
    return next((word for least, word, _ in BANDS if score is not None and score >= least), "unknown")


def bars(values: Sequence[tuple[str, float]]) -> list[Bar]:
    """Bars in proportion to the longest."""
    most = max((value for _, value in values), default=0) or 1
    return [Bar(label, _number(value), round(100 * value / most, 1)) for label, value in values]


def health_badge(score: int | None) -> str:
    """The badge of a package, for its README: "health | 87"."""
    value = "unknown" if score is None else str(score)
    colour = next((c for least, _, c in BANDS if score is not None and score >= least), _UNKNOWN)
    return badge("health", value, colour)


def badge(label: str, value: str, colour: str) -> str:
    """A badge of two fields as they are known; `colour` is one of ours."""
    left = round(len(label) * _CHARACTER + _PADDING)
    right = round(len(value) * _CHARACTER + _PADDING)
    width = left + right
    label, value = escape(label), escape(value)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="{label}: {value}"><title>{label}: {value}</title>'
        f'<rect width="{width}" height="20" rx="3" fill="{colour}"/>'
        f'<path d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#3b4350"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14">{value}</text></g></svg>'
    )


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"
