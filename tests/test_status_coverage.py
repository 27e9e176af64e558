"""The proof that nothing is missing: it must count no project as seen that was not, and none twice."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyf_scrapy.status.coverage import Unchecked, unchecked, waiting_since
from pyf_scrapy.store import UNLISTED_SERIAL, IndexRead
from pyf_scrapy.store.index_file import NO_SERIAL

NAMES = st.text("ab-", min_size=1, max_size=3)
SERIALS = st.integers(1, 5)


@given(
    index=st.dictionaries(NAMES, SERIALS | st.just(NO_SERIAL)),
    stored=st.dictionaries(NAMES, SERIALS | st.just(UNLISTED_SERIAL)),
)
@example(index={"a": 3}, stored={"a": UNLISTED_SERIAL})  # gone once, and listed again
@example(index={"a": NO_SERIAL}, stored={"a": 3})
@example(index={"a": 3}, stored={"a": 5})  # a feed was faster than the index
def test_each_project_counts_whose_serial_was_not_seen(index: dict[str, int], stored: dict[str, int]) -> None:
    waiting = [
        serial for name, serial in index.items() if serial == NO_SERIAL or stored.get(name, -9) < serial
    ]
    dated = [serial for serial in waiting if serial != NO_SERIAL]
    found = unchecked(
        ((name, serial, place) for place, (name, serial) in enumerate(sorted(index.items()))),
        sorted(stored.items()),
    )
    assert found == Unchecked(len(waiting), min(dated, default=None))


@pytest.mark.parametrize(
    ("serial", "since"),
    [
        (1, 1000),  # before the first index: nobody knows better
        (10, 1000),
        (11, 3000),
        (20, 3000),
        (21, 4000),
        (99, 4000),  # published between the index and its own last serial
    ],
)
def test_a_change_waits_since_the_first_index_that_told_of_it(serial: int, since: int) -> None:
    reads = [
        IndexRead(10, first_read_at=1000, last_read_at=2000, count=5),
        IndexRead(20, first_read_at=3000, last_read_at=3900, count=5),
        IndexRead(30, first_read_at=4000, last_read_at=4000, count=5),
    ]
    assert waiting_since(serial, reads) == since
