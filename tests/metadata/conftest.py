"""What the tests of the metadata share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded answers and lists, beside the checkout or where PYF_REAL_DATA says."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("PYF_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no recorded data: set PYF_REAL_DATA to its folder")
    return folder
