"""Which media type a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")
_MOST = 30  # media ranges that are read


def best_type(accept: str, offered: Sequence[str]) -> str | None:
    """The offered media type that an Accept header likes best; of equals the one that is offered first.

    No header means anything. None when it takes none of them.
    """
    ranges = [_range(part) for part in accept.split(",")[:_MOST] if part.strip()]
    if not ranges:
        return offered[0]
    best, most = None, 0.0
    for media_type in offered:
        quality = _quality(media_type, ranges)
        if quality > most:
            best, most = media_type, quality
    return best


def _range(part: str) -> tuple[str, float]:
    """A media range in lower case and its quality; one that cannot be read counts as 0."""
    media, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            quality = min(float(value), 1.0) if _QUALITY.fullmatch(value.strip()) else 0.0
    return media.lower(), quality


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality by the most specific range that covers the type."""
    group = media_type.partition("/")[0]
    for wanted in (media_type, f"{group}/*", "*/*"):
        found = [quality for media, quality in ranges if media == wanted]
        if found:
            return max(found)
    return 0.0
