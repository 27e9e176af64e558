"""The benchmark of pages must ask the application and the search server the same."""

from __future__ import annotations

from typing import Any

from benchmarks.cases.pages import PAGES, Pages, _OwnTimes, parameters
from benchmarks.searching import Query, queries
from pyf_scrapy.search.queries import filter_value
from pyf_scrapy.web.asked import Asked


def test_a_page_asks_what_its_query_does() -> None:
    python, plone = filter_value("Python 3.11"), filter_value("Plone 6.0")
    query = Query("filter", "forms", f"python_versions:={python} && framework_versions:={plone}")
    asked = Asked.from_parameters(parameters(query))
    assert asked.words == "forms"
    assert dict(asked.pairs) == {"python": "Python 3.11", "framework": "Plone 6.0"}
    for query in queries(200, ["plone.api"], seed=1):
        asked = Asked.from_parameters(parameters(query))
        assert (asked.words, asked.is_filtered) == (query.text, bool(query.filter_by))


def test_the_time_of_a_search_is_that_of_all_its_requests() -> None:
    class Client:
        class api_call:  # noqa: N801
            @staticmethod
            def post(*_: Any, **__: Any) -> Any:
                return {"results": [{"search_time_ms": 3}, {"search_time_ms": 4}]}

    times = _OwnTimes()
    for requests in (1, 2):
        with times.of(Client) as client:
            for _ in range(requests):
                client.api_call.post("/multi_search", dict, body={})
    assert times.figures()["own_p50_ms"] == 10.5
    assert PAGES in Pages.contenders
