"""Crontab expressions: five fields, read as Debian's cron reads them (crontab(5)).

What is accepted means the same to cron itself: the seconds, `L`, `W` and `#` of other programs are refused,
and so are steps behind a single number, which some crons do not know.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

DAY = 24 * 60 * 60  # seconds

_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_VALUE = r"[0-9]{1,2}|[A-Za-z]{3}"
_PART = re.compile(rf"\*(/[0-9]{{1,2}})?|(?P<first>{_VALUE})(-(?P<last>{_VALUE})(?P<step>/[0-9]{{1,2}})?)?")
_LONGEST = 200  # characters


def time_zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises LookupError, ValueError or OSError when there is none such."""
    return UTC if name == "UTC" else ZoneInfo(name)


class Crontab:
    """An expression such as `*/30 * * * *`; `text` is it with single blanks. Raises ValueError saying what is
    wrong with it.
    """

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(text) > _LONGEST:
            raise ValueError("is too long")
        if len(fields) != len(_FIELDS):
            raise ValueError("does not have five fields")
        for name, field in zip(_FIELDS, fields, strict=True):
            if not all(map(_is_part, field.split(","))):
                raise ValueError(f"has no valid {name}")
        self.text = " ".join(fields)
        try:
            CronSim(self.text, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            reason = str(error).removeprefix("Bad ").replace("day-of-", "day of the ")
            raise ValueError(f"has no valid {reason}") from None

    def __repr__(self) -> str:
        return f"Crontab({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crontab) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def next_after(self, moment: float, zone: tzinfo) -> float:
        """The first time after `moment` (both epoch seconds) at which it is due by the clocks of `zone`.

        When clocks are put forward, a time that is left out is due at the end of the gap; when they are put
        back, a fixed time is due once and `*` goes on by the minute, as with Debian's cron. Infinity when
        there is no such time within 50 years.
        """
        for found in CronSim(self.text, datetime.fromtimestamp(moment, zone)):
            # Of an hour that comes twice cronsim names the first also when that is over.
            if (at := found.timestamp()) > moment:
                return at
        return math.inf

    def runs_a_day(self, moment: float) -> int:
        """The most runs in 24 hours, of the week that begins when it is due next after `moment`; in UTC."""
        end = self.next_after(moment, UTC) + 7 * DAY
        times = list(takewhile(lambda at: at < end, self._times(moment)))
        return max((bisect_left(times, at + DAY) - index for index, at in enumerate(times)), default=0)

    def longest_round(self, moment: float) -> float:
        """The most seconds until as many runs have begun as there are in a day (at least one); in UTC.

        Of what comes each hour that is a day, of what comes on workdays only three. At least 60 runs after
        `moment` are looked at, and those of 8 days with runs.
        """
        runs = max(1, self.runs_a_day(moment))
        times = list(islice(self._times(moment), 8 * runs + 60))
        return max(end - at for at, end in zip(times, times[runs:], strict=False))

    def _times(self, moment: float) -> Iterator[float]:
        """When it is due after `moment`, in UTC, whose days are all equally long."""
        return (found.timestamp() for found in CronSim(self.text, datetime.fromtimestamp(moment, UTC)))


def _is_part(text: str) -> bool:
    """Whether it is a part of a field by its form: `*`, `*/2`, `1`, `1-5` or `1-5/2`."""
    found = _PART.fullmatch(text)
    # cronsim takes steps behind a span of one value for steps up to the greatest.
    return found is not None and not (found["step"] and _equal(found["first"], found["last"]))


def _equal(one: str, other: str) -> bool:
    return one.lstrip("0").lower() == other.lstrip("0").lower()
