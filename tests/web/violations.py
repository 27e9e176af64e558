"""What schemathesis finds when it compares an application with its OpenAPI description."""

from __future__ import annotations

import schemathesis
from fastapi import FastAPI
from schemathesis.engine import Status, events, from_schema

PATH = "/api/v1/openapi.json"
#: The host that schemathesis names in its requests.
HOST = "http://testserver/"


def violations(app: FastAPI, examples: int, *phases: str) -> tuple[int, set[str]]:
    """How many requests were made, and what was found.

    `examples`: random requests to each route in the phase "fuzzing". "coverage" tries each bound and pattern,
    "stateful" sends what one route answered to the others.
    """
    schema = schemathesis.openapi.from_asgi(PATH, app)
    schema.config.generation.update(max_examples=examples, database="none", deterministic=True)
    schema.config.phases.update(phases=list(phases))
    refused = schema.config.checks.negative_data_rejection
    refused.expected_statuses = [*(refused.expected_statuses or ()), "413", "414"]  # are refusals, too
    made, found = 0, set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            made += len(event.recorder.cases)
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.status is Status.FAILURE and check.failure_info is not None:
                        info = check.failure_info
                        found.add(f"{event.recorder.label}: {info.failure}\n{info.code_sample}")
        elif isinstance(event, events.NonFatalError):
            found.add(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return made, found
