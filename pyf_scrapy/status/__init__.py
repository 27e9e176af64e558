"""How far the crawl of a data folder is and how old what it knows is: what `scrapy status` shows."""

from pyf_scrapy.status.failures import Retried, next_try, retry
from pyf_scrapy.status.limits import LimitCheck, Limits
from pyf_scrapy.status.overview import overview
from pyf_scrapy.status.repositories import RepositoryProblem, RepositoryReport, repository_report
from pyf_scrapy.status.runs import RunState, rate
from pyf_scrapy.status.states import CollectionState, Lanes, Overview

__all__ = [
    "CollectionState",
    "Lanes",
    "LimitCheck",
    "Limits",
    "Overview",
    "RepositoryProblem",
    "RepositoryReport",
    "Retried",
    "RunState",
    "next_try",
    "overview",
    "rate",
    "repository_report",
    "retry",
]
