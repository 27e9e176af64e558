"""Runs state machines of hypothesis on a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

_STEPS = 20
#: Tables are dear to make on PostgreSQL, and what the machines are about does not depend on the database.
_FEWER = 8


def run_machine(
    machine: Callable[[str], RuleBasedStateMachine], new_url: Callable[[], str], *, examples: int
) -> None:
    """Let a machine, made with the URL of a store of its own, take its steps again and again."""
    if new_url().startswith("postgresql"):
        examples //= _FEWER
    made = cast("type[RuleBasedStateMachine]", lambda: machine(new_url()))  # it calls it, no more
    run_state_machine_as_test(
        made,
        settings=settings(max_examples=examples, stateful_step_count=_STEPS),
    )
