"""The time left is why a person keeps looking: it must be readable at every scale."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from scrapy.utils.test import get_crawler

from pyf_scrapy.extensions.progress import ProgressExtension, duration
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.github import GithubSpider
from pyf_scrapy.spiders.health import HealthSpider
from pyf_scrapy.spiders.pypi import PypiSpider
from pyf_scrapy.spiders.pypistats import PypistatsSpider
from pyf_scrapy.spiders.store_spider import StoreSpider
from tests.crawling import Place


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (177_200, "49 h")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("spider", "source", "doing", "done", "shared"),
    [
        (PypiSpider, "pypistats", "Checking projects", "projects checked", None),
        (GithubSpider, "pypistats", "Asking GitHub", "repositories asked about", 3),
        (PypistatsSpider, "pypistats", "Asking pypistats", "packages asked about", None),
        (PypistatsSpider, "clickpy", "Asking ClickPy", "packages asked about", None),
        (HealthSpider, "pypistats", "Judging packages", "packages judged", None),
    ],
)
async def test_without_a_terminal_a_line_says_how_far_it_is(
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    spider: type[StoreSpider],
    source: str,
    doing: str,
    done: str,
    shared: int | None,
) -> None:
    settings = Place(tmp_path, "http://127.0.0.1:9", Server("", 1, "", "")).settings(DOWNLOADS_SOURCE=source)
    crawler = get_crawler(spider, settings_dict=dict(settings))
    crawler.spider = crawler._create_spider(profile="plone")
    assert isinstance(crawler.spider, StoreSpider)
    assert crawler.spider.wording.doing == doing
    progress = ProgressExtension.from_crawler(crawler)
    progress.spider_opened(crawler.spider)

    def said() -> list[str]:
        of_ours = (record for record in caplog.records if record.name == ProgressExtension.__module__)
        return [record.getMessage() for record in of_ours]

    with caplog.at_level(logging.INFO):
        progress.tick()
        assert said() == [], "the index is not read yet"
        for key, value in {"done": 50, "to_check": 200}.items():
            crawler.stats.set_value(f"pyf/projects/{key}", value)
        progress.tick()
        crawler.stats.set_value("pyf/projects/to_check", shared)
        progress.tick()
    progress.spider_closed(crawler.spider, "finished")
    assert said()[0].startswith(f"50 of 200 {done} (")
    assert "left" in said()[0]
    assert said()[1].startswith(f"50 {done} ("), "a worker that does not lead may be at it for days, too"
    assert "left" not in said()[1]
