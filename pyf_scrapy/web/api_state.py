"""The state of the index for programs: what its page shows, without what is of this machine only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from pydantic import Field

from pyf_scrapy.web.api_documents import Answer
from pyf_scrapy.web.state import State


class CollectionCounts(Answer):
    """Packages of a collection."""

    collection: str
    matching: int = Field(description="Packages that its profile takes, by the classifiers last seen.")
    members: int = Field(description="Of these, those whose facts are stored.")
    indexed: int = Field(description="Of these, those that are in the index as they are stored.")
    waiting: int = Field(description="Packages that are to be written to the index, or removed from it.")
    documents: int | None = Field(description="Releases in the index; null where it was not asked.")


class Check(Answer):
    """A limit that the operator has set, and what it is compared with: a share, or seconds."""

    name: str
    value: float | None
    limit: float | None
    ok: bool


class RunSummary(Answer):
    """A run of a spider; `outcome` and `exit_code` say how it ended, null = it has not."""

    run: int
    spider: str
    profiles: list[str]
    started_at: int
    seconds: int | None
    outcome: str
    exit_code: int | None
    fetched: int | None
    indexed: int | None
    failed: int | None


class IndexState(Answer):
    """How complete and how fresh everything is; at most a minute old. Times are epoch seconds, null = not
    known."""

    looked_at: int
    listed: int | None = Field(description="Projects in PyPI's index as it was last read.")
    index_serial: int | None
    index_read_at: int | None
    checked: int | None = Field(description="Of these, those whose last change was seen.")
    oldest_unchecked_change: int | None = Field(description="Seconds that the oldest unseen change waits.")
    packages: int = Field(description="Packages whose facts are stored.")
    vanished: int = Field(description="Packages that PyPI does not have any more.")
    failures: int = Field(description="Packages that are tried again, because something failed.")
    collections: list[CollectionCounts]
    checks: list[Check]
    runs: list[RunSummary] = Field(description="The last ones, the newest first.")


def described_state(state: State, collections: Collection[str]) -> dict[str, Any]:
    """The answer as plain JSON values; of the collections only these."""
    found = asdict(state.overview)
    known = [one for one in found["collections"] if one["collection"] in collections]
    return _fields(IndexState, {**found, "looked_at": state.at}) | {
        "collections": [_fields(CollectionCounts, one) for one in known],
        "checks": [_fields(Check, one) for one in found["checks"]],
        "runs": [_fields(RunSummary, asdict(run)) for run in state.runs],
    }


def _fields(model: type[Answer], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in model.model_fields if name in values}
