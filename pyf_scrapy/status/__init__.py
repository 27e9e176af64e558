"""How far the crawl of a data folder is and how old what it knows is: what `scrapy status` shows."""

from pyf_scrapy.status.failures import Retried, next_try, retry
from pyf_scrapy.status.limits import LimitCheck, Limits
from pyf_scrapy.status.overview import overview
from pyf_scrapy.status.purge import Purged, purge, purgeable
from pyf_scrapy.status.queue import QueueStats, queue_stats
from pyf_scrapy.status.repositories import RepositoryProblem, RepositoryReport, repository_report
from pyf_scrapy.status.run_list import RunLine, run_detail, run_list
from pyf_scrapy.status.runs import RunState, rate
from pyf_scrapy.status.states import CollectionState, Overview

__all__ = [
    "CollectionState",
    "LimitCheck",
    "Limits",
    "Overview",
    "Purged",
    "QueueStats",
    "RepositoryProblem",
    "RepositoryReport",
    "Retried",
    "RunLine",
    "RunState",
    "next_try",
    "overview",
    "purge",
    "purgeable",
    "queue_stats",
    "rate",
    "repository_report",
    "retry",
    "run_detail",
    "run_list",
]
