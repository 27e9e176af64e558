"""Moments as people read them; all in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def day(epoch: int | None) -> str | None:
    """The date of a moment in epoch seconds, "2026-11-21"; None for 0 and None, which mean unknown."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d}" if epoch else None


def minute(epoch: int | None) -> str | None:
    """The same with hours and minutes, "2026-11-21 22:30"."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M}" if epoch else None
