"""Cron trusts the exit code: a run that was not complete must never look like one that was."""

from __future__ import annotations

from typing import Any

import pytest

from pyf_scrapy.exceptions import AlreadyRunningError, PyfError, SearchError, StoreError, UsageProblem
from pyf_scrapy.extensions.outcome import outcome
from pyf_scrapy.metadata.repositories import PROBLEMS

FETCHED = {"pyf/projects/fetched": 3}


@pytest.mark.parametrize(
    ("stats", "reason", "problem", "exit_code", "headline"),
    [
        (FETCHED, "finished", None, 0, "Done."),
        ({}, "finished", None, 0, "Nothing to do"),
        ({"pyf/packages/passed_on": 1}, "finished", None, 0, "Done."),
        ({"pyf/projects/to_check": 1}, "finished", None, 0, "Done."),  # asked, and all is as it was
        ({"pyf/provenance/asked": 1}, "finished", None, 0, "Done."),
        ({"pyf/repositories/contributors": 1}, "finished", None, 0, "Done."),
        ({"pyf/repositories/not_found": 1}, "finished", None, 0, "Nothing to do"),  # known from before
        (FETCHED | {"pyf/packages/failed": 1}, "finished", None, 3, "some packages failed"),
        (FETCHED | {"pyf/descriptions/failed": 1}, "finished", None, 3, "some packages failed"),
        (FETCHED | {"pyf/typesense/rejected": 1}, "finished", None, 1, "rejected documents"),
        (FETCHED | {"spider_exceptions/count": 1}, "finished", None, 1, "Not done"),
        (FETCHED | {"pyf/packages/unsettled": 1}, "finished", None, 3, "some packages failed"),
        (FETCHED, "shutdown", None, 1, "Interrupted"),
        (FETCHED, "start_error", None, 1, "Not done"),
        (FETCHED, "source_down", PyfError("x"), 1, "Not done"),
        ({}, "failed", SearchError("x"), 1, "Not done"),
        ({}, "failed", StoreError("x"), 1, "Not done"),
        ({}, "failed", UsageProblem("x"), 2, "Not done"),
        ({}, "failed", AlreadyRunningError("x"), 75, "already running"),
    ],
)
def test_outcome(
    stats: dict[str, Any], reason: str, problem: PyfError | None, exit_code: int, headline: str
) -> None:
    judged = outcome(stats, reason, problem)
    assert judged.exit_code == exit_code
    assert headline in judged.headline


def test_every_reason_for_having_no_repository_is_a_figure() -> None:
    """Else those who watch the summaries miss that GitHub blocked a hundred repositories."""
    judged = outcome({f"pyf/repositories/{reason}": 2 for reason in PROBLEMS}, "finished", None)
    assert {name for name, count in judged.figures.items() if count} == {f"problem_{r}" for r in PROBLEMS}
