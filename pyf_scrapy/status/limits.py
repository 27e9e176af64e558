"""Whether coverage and lags are within the limits that are set (STATUS_*); pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyf_scrapy.crontab import DAY, Crontab
from pyf_scrapy.setting_types import Value
from pyf_scrapy.settings_table import SETTINGS

_MARGIN = 25 / 24  # of the time in which all packages have their turn: for what a run itself takes


@dataclass(frozen=True)
class Limits:
    """`coverage` is a share, the others are seconds; 0 = no limit."""

    coverage: float
    feeds: float
    index: float
    refresh: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], now: int) -> Limits:
        """The limits that are set; that of the refresh else follows from its times. `now` is epoch seconds.

        Raises UsageProblem: a value given with `-s` was not checked before.
        """
        return cls(
            coverage=_number(settings, "STATUS_MIN_COVERAGE"),
            feeds=_number(settings, "STATUS_MAX_FEEDS_LAG"),
            index=_number(settings, "STATUS_MAX_INDEX_LAG"),
            refresh=_refresh(settings, now),
        )


@dataclass(frozen=True)
class LimitCheck:
    """What is limited, what it is, its limit (None = none), and whether that is kept.

    `name`: "coverage", "indexed:COLLECTION" and "search:COLLECTION" are shares and must not be lower;
    "feeds", "index", "unchecked" (the change that waits longest) and "refresh" are seconds and must not be
    higher. `value` None = never measured: nothing was read, the lane never ran, or the search server is lost.
    """

    name: str
    value: float | None
    limit: float | None
    ok: bool

    @property
    def is_share(self) -> bool:
        """Whether it is a share, not seconds."""
        return self.name.partition(":")[0] in ("coverage", "indexed", "search")


def judge(
    limits: Limits,
    *,
    checked: int | None,
    listed: int | None,
    collections: Mapping[str, tuple[int, int] | None],
    documents: Mapping[str, tuple[int | None, int]],
    feeds: int | None,
    index: int | None,
    unchecked: int | None,
    refresh: int | None,
    index_needed: bool = True,
) -> Iterator[LimitCheck]:
    """One check for each thing that is limited.

    `collections` is name -> (indexed, matching packages), None for one that was asked for and is not there;
    `documents` is name -> (those that the search server has, those sent to it), None if it is lost.
    A lane that never ran breaks no limit, but PyPI's index must have been read, unless it is not needed.
    """
    if index_needed:
        share = checked / listed if checked is not None and listed else None
        yield _at_least("coverage", share, limits.coverage)
    for name, counts in collections.items():
        share = None
        if counts is not None:
            indexed, matching = counts
            share = indexed / matching if matching else 1.0
        yield _at_least(f"indexed:{name}", share, limits.coverage)
    for name, (held, sent) in documents.items():
        share = held / sent if held is not None and sent else None if sent else 1.0
        yield _at_least(f"search:{name}", share, limits.coverage)
    yield _at_most("feeds", feeds, limits.feeds, without=True)
    if index_needed:
        yield _at_most("index", index, limits.index, without=False)
        yield _at_most("unchecked", unchecked, limits.index, without=True)
    yield _at_most("refresh", refresh, limits.refresh, without=True)


def _at_least(name: str, value: float | None, limit: float) -> LimitCheck:
    return LimitCheck(name, value, limit or None, not limit or (value is not None and value >= limit))


def _at_most(name: str, value: float | None, limit: float, *, without: bool) -> LimitCheck:
    """`without` says whether no value at all is within the limit."""
    kept = without if value is None else value <= limit
    return LimitCheck(name, value, limit or None, not limit or kept)


def _refresh(settings: Mapping[str, Any], now: int) -> float:
    if _value(settings, "STATUS_MAX_REFRESH_LAG") is not None:
        return _number(settings, "STATUS_MAX_REFRESH_LAG")
    when = _value(settings, "SCHEDULE_REFRESH")
    return (Crontab(str(when)).longest_round(now) if when else DAY) * _MARGIN


def _number(settings: Mapping[str, Any], name: str) -> float:
    return float(str(_value(settings, name)))


def _value(settings: Mapping[str, Any], name: str) -> Value:
    setting = next(setting for setting in SETTINGS if setting.name == name)
    value = settings[name]
    return setting.read(None if value is None else str(value), Path())
