"""The periodic jobs: which crawl each is, when the settings want it and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, NamedTuple

from pyf_scrapy.crontab import Crontab, time_zone

#: The word that stands for an expression: the job runs all the time.
FOLLOW = "follow"
#: Seconds between two looks of a job that follows, and those after which it is started anew.
FOLLOW_INTERVAL = 30
FOLLOW_LIMIT = 86_400.0


class Kind(NamedTuple):
    """What a job is whatever the settings say. `limit` is the default in seconds where it does not follow.

    `at_once`: where it never ran it does not wait for its time. `patient`: it may take hours, and one place
    is kept free of such jobs, so that what keeps the index fresh never waits for them.
    """

    name: str
    setting: str
    spider: str
    limit: float
    arguments: Mapping[str, str] = {}
    at_once: bool = False
    patient: bool = False


#: In the order in which they start when several are due.
KINDS = (
    Kind("feeds", "SCHEDULE_FEEDS", "rss", 1800, at_once=True),
    Kind("sync", "SCHEDULE_SYNC", "pypi", 21_600, at_once=True),
    Kind("refresh", "SCHEDULE_REFRESH", "project", 7200, {"refresh": "1"}),
    Kind("github", "SCHEDULE_GITHUB", "github", 21_600, patient=True),
    Kind("downloads", "SCHEDULE_DOWNLOADS", "pypistats", 86_400, patient=True),
    Kind("health", "SCHEDULE_HEALTH", "health", 3600, patient=True),
    Kind("full", "SCHEDULE_FULL", "pypi", 345_600, {"full": "1"}, patient=True),
)


@dataclass(frozen=True)
class Job:
    """A job as it is set. `crontab` None: it runs all the time if `follows`, else it is off.

    `limit` is the most seconds that a run may take, 0 = no limit; `limit_once` is that of a run that does not
    follow, whether or not the job does. Jobs of one spider never run side by side.
    """

    name: str
    spider: str
    arguments: Mapping[str, str]
    crontab: Crontab | None = None
    zone: tzinfo = UTC
    follows: bool = False
    limit: float = 0.0
    limit_once: float = 0.0
    at_once: bool = False
    patient: bool = False

    @property
    def is_off(self) -> bool:
        """Whether it never runs."""
        return self.crontab is None and not self.follows

    @property
    def when(self) -> str:
        """Its expression, `follow` or `off`."""
        if self.crontab is not None:
            return self.crontab.text
        return FOLLOW if self.follows else "off"

    @property
    def crawl(self) -> tuple[str, ...]:
        """The command behind `scrapy`."""
        pairs = (f"{name}={value}" for name, value in self.arguments.items())
        return ("crawl", self.spider, *(word for pair in pairs for word in ("-a", pair)))


def planned(settings: Mapping[str, Any], targets: Mapping[str, str], now: float) -> list[Job]:
    """All jobs, those that are off too, as the settings (checked ones) want them.

    `targets` are the arguments that say which profiles are meant, `now` is epoch seconds.
    """
    zone = time_zone(settings["SCHEDULE_TIMEZONE"])
    limits: Mapping[str, float] = settings["SCHEDULE_LIMITS"] or {}
    jobs = []
    for kind in KINDS:
        when = settings[kind.setting]
        follows = when == FOLLOW
        crontab = Crontab(when) if when and not follows else None
        arguments = {**targets, **kind.arguments}
        if follows:
            arguments["follow"] = str(FOLLOW_INTERVAL)
        if kind.name == "refresh" and crontab is not None and (runs := crontab.runs_a_day(now)) > 1:
            arguments["share"] = f"1/{runs}"
        jobs.append(
            Job(
                kind.name,
                kind.spider,
                arguments,
                crontab,
                zone,
                follows,
                limits.get(kind.name, FOLLOW_LIMIT if follows else kind.limit),
                limits.get(kind.name, kind.limit),
                kind.at_once,
                kind.patient,
            )
        )
    return jobs
