"""The benchmark of pages must ask the application and the search server the same."""

from __future__ import annotations

from typing import Any, cast

import typesense

from benchmarks.cases.pages import PAGES, Pages, _TimedClient, parameters
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

    timed = _TimedClient(cast(typesense.Client, Client))
    for requests, took in ((1, 7), (2, 14)):
        for _ in range(requests):
            timed.api_call.post("/multi_search", dict, body={})
        assert timed.taken() == took
    assert PAGES in Pages.contenders
