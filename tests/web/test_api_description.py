"""What the API promises in its OpenAPI description is what it does, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis.engine import Status, events, from_schema

from pyf_scrapy.search.embedded import Server
from tests.web.filling import Filled, filled


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, typesense_server: Server) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("description")
    with filled(folder, typesense_server, SERVE_URL="http://testserver/") as made:
        yield made


def violations(served: Filled, examples: int, *phases: str) -> tuple[int, set[str]]:
    """How many requests schemathesis has made, and what it found; `examples`: requests of each route."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", served.app)
    schema.config.generation.update(max_examples=examples, database="none", deterministic=True)
    schema.config.phases.update(phases=list(phases))
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


def test_the_api_keeps_what_its_description_promises(served: Filled) -> None:
    made, found = violations(served, 5, "examples", "coverage", "fuzzing")
    print(made)
    for one in sorted(found):
        print("=====\n", one)
    assert made > 100
    assert not found
