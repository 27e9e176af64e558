"""The searches of the benchmarks: what is asked, of what, and how it is counted."""

from __future__ import annotations

from collections import Counter
from statistics import quantiles

import msgspec
import pytest

from benchmarks.corpus import LONG_README, MEDIAN_README, MOST_COPIES, Words, copied, copies, lengthened
from benchmarks.searching import MIX, Answer, Query, latencies, offered, queries, saturated
from pyf_scrapy.replica.words import THINGS

DOCUMENT = {
    "id": "collective-fox==1.0",
    "identifier": "collective-fox==1.0",
    "name": "collective.Fox",
    "name_normalized": "collective-fox",
    "name_sortable": "collective.fox",
    "version": "1.0",
    "summary": f"A workspace. {THINGS[-1].title()} and {THINGS[0]}",
}


def test_all_kinds_are_asked_in_their_shares_and_the_same_each_time() -> None:
    asked = queries(2000, ["plone.api"], seed=3)
    assert asked == queries(2000, ["plone.api"], seed=3) != queries(2000, ["plone.api"], seed=4)
    found = Counter(query.kind for query in asked)
    assert {kind: found[kind] / 2000 for kind in MIX} == pytest.approx(MIX, abs=0.04)
    assert all(bool(query.filter_by) == (query.kind == "filter") for query in asked)


def test_copies_are_other_packages() -> None:
    copies = [copied(DOCUMENT, number, Words(number)) for number in range(MOST_COPIES)]
    for name in ("id", "name", "name_normalized", "name_sortable"):
        assert len({copy[name] for copy in copies}) == MOST_COPIES
    assert copies[0]["name"] == "collective.Fox"
    assert all(copy["version"] == "1.0" for copy in copies)
    assert all("summary" in copy and "title" not in copy for copy in copies)


def test_copies_are_made_in_turn_and_all_of_them() -> None:
    first, second = copies([msgspec.json.encode(DOCUMENT)], 2)
    assert [msgspec.json.decode(line)["name"] for line in first] == ["collective.Fox"]
    (line,) = second
    assert msgspec.json.decode(line) == copied(DOCUMENT, 1, Words(1))


def test_readmes_are_as_long_as_those_of_pypi() -> None:
    """Texts that are too short would make the searches cheaper than anybody's."""
    readme = DOCUMENT | {"main_content": "short " * 300, "description": "<p>short</p>" * 150}
    found = [lengthened(readme, "other text " * 3000, number) for number in range(400)]
    lengths = quantiles((len(one["main_content"]) for one in found), n=10)
    assert lengths[4] == pytest.approx(MEDIAN_README, rel=0.15)
    assert lengths[8] == pytest.approx(LONG_README, rel=0.2)
    assert all(abs(len(one["description"]) - len(one["main_content"])) < 10 for one in found)
    assert lengthened(DOCUMENT, "other text", 1) == DOCUMENT


def test_common_words_stay_and_rare_ones_are_rare() -> None:
    summaries = [copied(DOCUMENT, number, Words(number))["summary"] for number in range(100)]
    assert all(summary.endswith(THINGS[0]) for summary in summaries)
    assert 0 < sum(THINGS[-1].title() in summary for summary in summaries) < 20


def test_every_search_is_counted_however_it_is_sent() -> None:
    asked = queries(30, ["plone.api"], seed=1)
    for answers in (offered(len_of_text, asked, 10_000.0, 1), saturated(len_of_text, asked, 3)):
        assert [answer.found for answer in answers] == [len(query.text) for query in asked]


def len_of_text(query: Query) -> int:
    return len(query.text)


def test_latencies_are_milliseconds() -> None:
    found = latencies([Answer(seconds / 1000, seconds % 2) for seconds in range(101)])
    assert (found["p50_ms"], found["p99_ms"], found["max_ms"]) == pytest.approx((50.0, 99.0, 100.0))
    assert found["share_found"] == pytest.approx(50 / 101)


def test_a_failed_search_fails_the_round() -> None:
    def refuse(query: Query) -> int:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        offered(refuse, queries(2, ["plone.api"], seed=1), 1000.0, 1)
