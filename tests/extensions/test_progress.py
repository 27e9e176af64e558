"""The time left is why a person keeps looking: it must be readable at every scale."""

from __future__ import annotations

import logging

import pytest
from scrapy.utils.test import get_crawler

from pyf_scrapy.extensions.progress import ProgressExtension, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (177_200, "49 h")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_a_line_says_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    crawler = get_crawler(settings_dict={"PROGRESS_INTERVAL": 30})
    progress = ProgressExtension.from_crawler(crawler)

    def said() -> list[str]:
        of_ours = (record for record in caplog.records if record.name == ProgressExtension.__module__)
        return [record.getMessage() for record in of_ours]

    with caplog.at_level(logging.INFO):
        progress.tick()
        assert said() == [], "the index is not read yet"
        for key, value in {"done": 50, "to_check": 200}.items():
            crawler.stats.set_value(f"pyf/projects/{key}", value)
        progress.tick()
    assert said()[0].startswith("50 of 200 projects checked (")
    assert "left" in said()[0]
