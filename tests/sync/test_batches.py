"""How much to ask at once: too much costs a request each time, too little all the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.sync.batches import BatchSize


def ask(size: BatchSize, most: int, requests: int) -> tuple[int, int]:
    """What that many requests to a service bring that answers for at most `most`: answered, refused."""
    answered = refused = 0
    for _ in range(requests):
        count = size.now
        if count > most:
            size.failed(count)
            refused += 1
        else:
            size.worked()
            answered += count
    return answered, refused


def test_begins_with_all() -> None:
    assert ask(BatchSize(100), 100, 200) == (20_000, 0)


def test_a_storm_that_is_over_is_soon_forgotten() -> None:
    """Else 20,000 repositories would be asked one by one for the rest of the run."""
    size = BatchSize(100)
    for _ in range(10):
        size.failed(size.now)
    assert size.now == 1
    ask(size, 100, 8)
    assert size.now == 100


def test_a_limit_that_stays_costs_few_requests() -> None:
    """Else every second request fails, each with a wait."""
    answered, refused = ask(BatchSize(100), 60, 400)
    assert refused <= 12
    assert answered >= 19_000


def test_less_than_was_allowed_says_what_failed() -> None:
    """The last few fail: half of them, not half of a full request, is tried next."""
    size = BatchSize(100)
    size.failed(8)
    assert size.now == 4


@given(st.integers(1, 100), st.lists(st.booleans(), max_size=200))
def test_is_always_a_number_that_can_be_asked_for(most: int, results: list[bool]) -> None:
    size = BatchSize(most)
    for good in results:
        before = size.now
        if good:
            size.worked()
            assert before <= size.now
        else:
            size.failed(before)
            assert size.now == max(1, before // 2)
        assert 1 <= size.now <= most
