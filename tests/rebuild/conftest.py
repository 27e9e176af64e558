"""A crawled collection to be made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica

OPTIONS = Options(
    projects=40, members={"plone": 24, "django": 4}, only_members=True, most_releases=5, missing=0
)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle
