"""A crawled replica that the tests of the commands share, and commands run in process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scrapy.cmdline import execute

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place

OPTIONS = Options(projects=300, missing=0)
YANK_REASON = "Broken wheel, use the next one"
EMBEDDED = Server("", 8108, "http", "")  # no host: the one that starts by itself


@dataclass(frozen=True)
class World:
    """What was crawled, and what is true of it."""

    place: Place
    replica: Replica
    #: a plone package with a yanked and a partial release
    package: Project
    yanked: str
    partial: str
    broken: frozenset[str]

    def members(self, name: str) -> list[str]:
        return self.replica.members(f"Framework :: {name}")


Run = Callable[..., int]


def run_in(place: Place, *arguments: str, **settings: object) -> int:
    """Run `scrapy ARGUMENTS` in process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", *arguments], place.settings(**settings))
    code = ended.value.code
    assert isinstance(code, int)
    return code
