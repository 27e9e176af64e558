"""A small replica that runs for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.replica import Handle, Options, running_replica


@pytest.fixture(scope="session")
def shared() -> Iterator[Handle]:
    """A replica that no test changes."""
    with running_replica(Options(projects=1200, seed=3)) as handle:
        yield handle


@pytest.fixture
def replica() -> Iterator[Handle]:
    """A replica of the test's own."""
    with running_replica(Options(projects=200, members={"plone": 20})) as handle:
        yield handle


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded answers."""
    folder = Path(os.environ.get("PYF_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no recorded answers: set PYF_REAL_DATA to their folder")
    return folder
