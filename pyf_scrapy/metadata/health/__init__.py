"""The health score of a package: 0 to 100, explained to the last point.

`rules` is the one table of what counts; `health` applies it to facts and a date, and does nothing else.
"""

from __future__ import annotations

from pyf_scrapy.metadata.health.facts import HealthFacts
from pyf_scrapy.metadata.health.result import Axis, Health, Point, Remedy
from pyf_scrapy.metadata.health.rules import RULES, VERSION, Rule
from pyf_scrapy.metadata.health.score import health

__all__ = [
    "RULES",
    "VERSION",
    "Axis",
    "Health",
    "HealthFacts",
    "Point",
    "Remedy",
    "Rule",
    "health",
]
