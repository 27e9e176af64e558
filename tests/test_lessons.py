"""What the system before this one lost, and the test that shows that it is not lost here.

The failures were seen by running pyf.aggregator; a test that is renamed or dropped must not take its lesson
with it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LESSONS = {
    "an outage of PyPI during a refresh deleted the index": (
        "spiders/test_refresh.py",
        "test_an_outage_during_a_refresh_deletes_nothing",
    ),
    "documents that the search server rejected were not noticed": (
        "pipelines/test_typesense.py",
        "test_rejected_documents_are_named_counted_and_sent_again",
    ),
    "an incremental run noted its time before it did its work": (
        "spiders/test_staleness.py",
        "test_a_killed_run_never_loses_its_work_list",
    ),
    "feeds that were down looked like no news": (
        "spiders/test_rss.py",
        "test_feeds_that_cannot_be_read_are_no_news",
    ),
    "dates of feeds were wrong by the local time zone": ("parsers/test_rss.py", "test_case"),
    "releases beyond a feed's window were missed": (
        "spiders/test_rss.py",
        "test_more_releases_than_a_feed_shows_are_not_missed",
    ),
    "a release stood twice in the index, from the feed and from the full run": (
        "spiders/test_side_by_side.py",
        "test_three_lanes_at_once_leave_the_truth",
    ),
    "what one source had told was wiped by the next fetch from another": (
        "spiders/test_refresh.py",
        "test_what_a_refresh_found_survives_the_next_fetch",
    ),
    "one bad package ended the run, and left no trace": (
        "spiders/test_pypi.py",
        "test_faults_cost_their_packages_only_and_the_next_run_heals",
    ),
    "time limits did nothing": ("spiders/test_rss.py", "test_a_time_limit_holds_and_keeps_the_work"),
    "the same job ran twice": (
        "commands/test_crawl.py",
        "test_ctrl_c_keeps_what_was_done_and_a_second_run_waits_for_nobody",
    ),
    "a release was noted as seen before it was fetched": (
        "spiders/test_rss.py",
        "test_an_entry_is_done_only_when_its_package_is",
    ),
    "REDIS_HOST with a port was misread, passwords were ignored": (
        "queue/test_connection.py",
        "test_a_host_in_every_form",
    ),
    "feeds served one profile only": (
        "spiders/test_rss.py",
        "test_one_pass_over_the_feeds_serves_all_profiles",
    ),
    "deleted packages and releases stayed for ever": (
        "spiders/test_removals.py",
        "test_a_removed_project_leaves_at_once_and_becomes_a_tombstone",
    ),
}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_is_kept(lesson: str) -> None:
    file, name = LESSONS[lesson]
    found = ast.walk(ast.parse((TESTS / file).read_text()))
    functions = (node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert name in {function.name for function in functions}
