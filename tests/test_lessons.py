"""What the system before this one lost, and the test that shows that it is not lost here.

The failures were seen by running pyf.aggregator; a test that is renamed, dropped, skipped or left to
`make soak` must not take its lesson with it.
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
    "sources that enrich took different releases for the newest (W3)": (
        "search/test_documents_enriched.py",
        "test_all_figures_stand_on_one_latest_and_on_the_newest_of_each_framework_version",
    ),
    "a full fetch or a refresh wiped stars, downloads and health (W4b)": (
        "spiders/test_github_trouble.py",
        "test_in_any_order_and_side_by_side_the_documents_are_the_same",
    ),
    "any address in a README was requested, those of the own network, too (W7b)": (
        "spiders/test_github.py",
        "test_no_request_goes_to_an_address_from_metadata",
    ),
    "screenshots were downloaded to judge them (W7b)": (
        "metadata/test_health.py",
        "test_screenshots_are_judged_by_their_attributes",
    ),
    "licences by PEP 639 lost points, UNKNOWN won some (W12)": ("metadata/test_health.py", "test_licence"),
    "authors by PEP 621 were nobody (W12)": ("metadata/test_health.py", "test_who_made_it"),
    "HTML was counted as words (W12)": (
        "metadata/test_health.py",
        "test_description_is_measured_as_plain_text",
    ),
    "a new star was taken for work (W12)": ("metadata/test_health_repository.py", "test_a_star_is_no_work"),
    "one star and no issue gave ten points (W12)": (
        "metadata/test_health_repository.py",
        "test_one_star_and_no_issue_say_nothing",
    ),
    "yanked releases were healthy (W12)": (
        "metadata/test_health_limits.py",
        "test_a_yanked_latest_release_is_not_recent",
    ),
    "archived packages were healthy (W12)": (
        "metadata/test_health_limits.py",
        "test_the_best_package_is_limited",
    ),
    "an archived repository kept its bonus (W12)": (
        "metadata/test_health_repository.py",
        "test_a_repository_out_of_use_earns_nothing",
    ),
    "stars of a repository that anybody could claim counted (W12)": (
        "metadata/test_health_repository.py",
        "test_nothing_of_it_counts_without_proof",
    ),
    "health and requires_python could neither be sorted nor filtered by (W12b)": (
        "search/test_queries.py",
        "test_filters_and_sorting_by_what_upstream_could_not",
    ),
    "a link for funding or a bug tracker hid the one to the source (W13)": (
        "metadata/test_repositories.py",
        "test_link_that_asks_for_money_is_never_the_source",
    ),
    "one blocked repository ended the run for all (W13b)": (
        "spiders/test_github_trouble.py",
        "test_renamed_blocked_and_deleted_repositories",
    ),
    "a repository was asked about once for each release (W13c)": (
        "spiders/test_github_trouble.py",
        "test_packages_of_one_repository_cost_one_request",
    ),
    "a collection made anew lost the documents that did not fit (W5)": (
        "rebuild/test_recreate.py",
        "test_documents_that_the_new_schema_refuses_stop_it",
    ),
    "what was written while a collection was made anew was lost (W5b)": (
        "rebuild/test_recreate.py",
        "test_what_is_written_meanwhile_is_in_the_new_collection",
    ),
    "what an aborted rebuild left stopped all later ones (W5c)": (
        "rebuild/test_recreate.py",
        "test_what_a_killed_run_left_is_removed_and_the_collections_of_others_are_not",
    ),
    "deleting an alias deleted the live collection behind it (W11)": (
        "search/test_administration.py",
        "test_what_would_break_a_search_is_refused",
    ),
}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_is_kept(lesson: str) -> None:
    file, name = LESSONS[lesson]
    assert Path(file).name.startswith("test_"), "pytest would not read it"
    assert why_not_run((TESTS / file).read_text(), name) is None


def why_not_run(source: str, name: str) -> str | None:
    """What keeps `make test` from running the test of a module; None if nothing does."""
    module = ast.parse(source)
    if any(_spoils(node) for node in module.body if _is_mark_of_all(node)):
        return "all of its module are marked"
    found: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    for scope in (module.body, *(node.body for node in classes if _is_collected(node))):
        for node in scope:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                found = node
    if found is None:
        return "there is no such test that is collected"
    if not name.startswith("test"):
        return "its name is not that of a test"
    if any(map(_spoils, found.decorator_list)):
        return "it is marked"
    return "it skips itself" if any(map(_skips, found.body)) else None


def _is_collected(node: ast.ClassDef) -> bool:
    marks = [*node.decorator_list, *filter(_is_mark_of_all, node.body)]
    return node.name.startswith("Test") and not any(map(_spoils, marks))


def _is_mark_of_all(node: ast.stmt) -> bool:
    """Whether it sets `pytestmark`, or skips the module."""
    if isinstance(node, ast.Expr):
        return _skips(node)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)


def _spoils(node: ast.AST) -> bool:
    """Whether a mark in it keeps a test from running, or its failure from counting."""
    spoiling = {"skip", "skipif", "xfail", "soak"}
    return any(isinstance(part, ast.Attribute) and part.attr in spoiling for part in ast.walk(node))


def _skips(node: ast.stmt) -> bool:
    """Whether it is `pytest.skip(...)`, `pytest.xfail(...)` or the like, under no condition."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = node.value.func
    return isinstance(called, ast.Attribute) and called.attr in {"skip", "xfail", "importorskip"}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def test_other(): pass",
        "async def helper():\n    def test_it(): pass",
        "class Helper:\n    def test_it(self): pass",
        "@pytest.mark.skip\ndef test_it(): pass",
        "@pytest.mark.skip(reason='later')\nasync def test_it(): pass",
        "@pytest.mark.skipif(True, reason='later')\ndef test_it(): pass",
        "@pytest.mark.xfail\ndef test_it(): pass",
        "@pytest.mark.soak\ndef test_it(): pass",
        "@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.skip)])\ndef test_it(n): pass",
        "@pytest.mark.skip\nclass TestAll:\n    def test_it(self): pass",
        "class TestAll:\n    pytestmark = pytest.mark.soak\n    def test_it(self): pass",
        "pytestmark = [pytest.mark.skip]\ndef test_it(): pass",
        "pytest.skip('later', allow_module_level=True)\ndef test_it(): pass",
        "def test_it():\n    pytest.skip('later')",
        "def test_it(): pass\n@pytest.mark.skip\ndef test_it(): pass",
    ],
)
def test_a_test_that_does_not_run_keeps_no_lesson(source: str) -> None:
    assert why_not_run(source, "test_it") is not None


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): pass",
        "@pytest.mark.parametrize('n', [1])\nasync def test_it(n):\n    if n > 1:\n        pytest.skip()",
        "class TestAll:\n    def test_it(self): pass",
    ],
)
def test_a_test_that_runs_keeps_its_lesson(source: str) -> None:
    assert why_not_run(source, "test_it") is None
