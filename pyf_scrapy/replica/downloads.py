"""How often each package is downloaded, and pypistats, which tells it one package at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs

from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.dice import Dice, mixed
from pyf_scrapy.replica.limits import Budget, Clock, Watch
from pyf_scrapy.replica.replica import Replica

_PATH = re.compile(r"^/api/packages/(?P<name>[^/]+)/(?P<what>recent|overall)/?$")
_KEPT = 180
_PIP = 0xFFFF_FFFF
"""The number of `pip`, which every machine downloads, even where the replica has no such project."""
_PERIODS = {"last_day": 1, "last_week": 7, "last_month": 30}
_HTML = "text/html; charset=utf-8"


class Downloads:
    """Daily figures computed from a package's number; those of a day are there on the next one.

    Names have to be normalized. Whoever never had a release has no figures.
    """

    def __init__(self, world: Replica) -> None:
        self._world = world
        seed = world.options.seed
        # A draw a day and package would be most of the work of a query for thousands of packages.
        self._noise = [0.8 + 0.4 * mixed(place, seed + 3) / 2**32 for place in range(256)]

    @property
    def newest(self) -> int:
        """The last day with figures, an ordinal of `datetime.date`."""
        return self._world.now.date().toordinal() - 1

    def number(self, name: str) -> int | None:
        """The number of a package that is downloaded at all."""
        found = self._world.number(name) or ((_PIP, True) if name == "pip" else None)
        if found is None or not found[1] or self._first(found[0]) > self.newest:
            return None
        return found[0]

    def daily(self, number: int, *, mirrors: bool) -> Callable[[int], int]:
        """A function that gives the downloads of a day."""
        seed = self._world.options.seed
        usual = 1_000_000.0 if number == _PIP else Dice(seed, number, "downloads").skewed(40, 2.2)
        # Tools that copy all of PyPI fetch every package, however few people use it.
        copied = 3 + mixed(number, seed + 2) % 25 if mirrors else 0
        first, newest, noise, shift = self._first(number), self.newest, self._noise, number * 37

        def on(day: int) -> int:
            if not first <= day <= newest:
                return 0
            week = 0.55 if day % 7 in (0, 6) else 1.0
            return int(usual * noise[(shift + day) & 255] * week) + copied

        return on

    def total(self, name: str, days: int, *, mirrors: bool = False) -> int | None:
        """The sum of the last days, None: no such package."""
        number = self.number(name)
        if number is None:
            return None
        on = self.daily(number, mirrors=mirrors)
        return sum(on(day) for day in range(self.newest - days + 1, self.newest + 1))

    def _first(self, number: int) -> int:
        """The first day with downloads; of a package that was there from the start before all others."""
        if number < self._world.options.projects or number == _PIP:
            return 0
        project = self._world.numbered(number)
        created = project.created // 1_000_000 if project else 0
        return datetime.fromtimestamp(created, UTC).toordinal()


class PyPIStats:
    """`GET /api/packages/NAME/recent` and `/overall`; 5 requests a second, 30 a minute, no Retry-After."""

    def __init__(self, downloads: Downloads, clock: Clock, watch: Watch, *, limits: bool) -> None:
        self._downloads = downloads
        self._clock = clock
        self._watch = watch
        self._budgets: Sequence[Budget] = (Budget(5, 1.0), Budget(30, 60.0)) if limits else ()

    def answer(self, path: str, query: str, client: str) -> Answer:
        """The answer to a GET of a path below the site's address."""
        match = _PATH.match(path)
        if match is None:
            return Answer(b"404", _HTML, 404)
        if self._limited(client):
            return Answer(b'<a href="/api/#etiquette">429 RATE LIMIT EXCEEDED</a>', _HTML, 429)
        # All that the site does to a name: upper case and doubled separators are names of nothing.
        name = match["name"].replace(".", "-").replace("_", "-")
        number = self._downloads.number(name)
        if number is None:
            return Answer(b"404", _HTML, 404)
        values = {key: given[-1] for key, given in parse_qs(query).items()}
        if match["what"] == "recent":
            return _document(name, "recent_downloads", self._recent(name, values.get("period")))
        return _document(name, "overall_downloads", self._overall(number, values.get("mirrors")))

    def _limited(self, client: str) -> bool:
        now = self._clock.now()
        for budget in self._budgets:
            budget.roll(now)
        spent = [budget.ends for budget in self._budgets if not budget.remaining]
        if spent:
            self._watch.told(client, max(spent))
            return True
        for budget in self._budgets:
            budget.used += 1
        return False

    def _recent(self, name: str, period: str | None) -> dict[str, int | None]:
        wanted = _PERIODS if f"last_{period}" not in _PERIODS else [f"last_{period}"]
        return {one: self._downloads.total(name, _PERIODS[one]) for one in sorted(wanted)}

    def _overall(self, number: int, mirrors: str | None) -> list[dict[str, Any]]:
        categories = {"with_mirrors": True, "without_mirrors": False}
        if mirrors in ("true", "false"):
            wanted = mirrors == "true"
            categories = {name: copied for name, copied in categories.items() if copied is wanted}
        newest = self._downloads.newest
        rows = []
        for category, copied in categories.items():
            on = self._downloads.daily(number, mirrors=copied)
            for day in range(newest - _KEPT + 1, newest + 1):
                if count := on(day):
                    shown = date.fromordinal(day).isoformat()
                    rows.append({"category": category, "date": shown, "downloads": count})
        return rows


def _document(name: str, kind: str, data: Any) -> Answer:
    document = {"data": data, "package": name, "type": kind}
    return Answer(json.dumps(document).encode() + b"\n", "application/json")
