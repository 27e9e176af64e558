"""Searches in a large index, while they come at a given rate, and how many it can answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from benchmarks.case import Case, Claim, Rounds, discard
from benchmarks.cases.sweep import RELEASES
from benchmarks.corpus import Words, copied
from benchmarks.figures import Figures, medians, require
from benchmarks.processes import serving
from benchmarks.searching import MIX, Query, Searcher, latencies, offered, queries, saturated
from benchmarks.world import WorldOptions
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.collections import create_physical, export_lines, import_documents
from pyf_scrapy.search.queries import LATEST, ORDER, search_defaults

RATE = 10.0
OFFERED, SATURATED = "10 searches a second offered", "as many as 8 threads get"

#: Share of the searches that must find something; in a small index some words are in no README.
LEAST_FOUND = 0.5

_COPIES = 40
_COLLECTION = "searched"

#: What each kind of query costs, one after another, as the product asks.
KINDS = {f"only `{kind}`": kind for kind in MIX}

#: What each parameter costs: changes of the defaults, for the same words one after another.
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults, one after another": {},
    "without infix": {"infix": "off"},
    "without typos": {"num_typos": "0"},
    "without facets": {"facet_by": ""},
    "without grouping": {"group_by": "", "group_limit": None},
    "of all releases": {"filter_by": "", "sort_by": "is_latest:desc,_text_match:desc,version_sortable:desc"},
    "in name, keywords, summary only": {
        "query_by": "name,keywords,summary",
        "query_by_weights": "12,9,7",
        "num_typos": "2,1,1",
        "prefix": "true,true,true",
        "infix": "fallback,off,off",
    },
    "as pyf-gui asks": {
        "query_by": "name,keywords,summary,description",
        "query_by_weights": None,
        "num_typos": None,
        "prefix": None,
        "infix": None,
        "split_join_tokens": None,
        "filter_by": "classifiers:=['Framework :: Plone']",
        "sort_by": "_text_match:desc,name_sortable:asc,version_sortable:desc",
        "group_by": "name_sortable",
        "include_fields": None,
        "exclude_fields": "description",
        "per_page": 100,
    },
}


class Search(Case):
    """The product's own searches, grouped by package with two facets, for the latest releases. The client
    runs on the same cores. Below them single words, one after another, with other parameters."""

    name = "search"
    title = "Search, grouped, faceted and filtered"
    contenders = (OFFERED, SATURATED, *KINDS, *VARIANTS)
    shown = (
        "searches",
        "searches_per_s",
        "p50_ms",
        "p90_ms",
        "p99_ms",
        "max_ms",
        "server_ms_per_search",
        "median_found",
    )
    documents = 200_000
    seconds = 30.0
    """For which searches are offered, in a round."""

    @classmethod
    def about(cls) -> str:
        mix = ", ".join(f"{kind} {share:.0%}" for kind, share in MIX.items())
        return f"{super().about()} Kinds of queries: {mix}."

    def setup(self) -> None:
        self._fill()
        self._searcher = Searcher(self.bench, _COLLECTION, self.stack)
        self._round = dict.fromkeys(self.contenders, 0)

    def _fill(self) -> None:
        """Copies a crawl's documents under other names until there are enough."""
        packages = max(1, self.size // RELEASES // _COPIES)
        with serving(WorldOptions(packages, {"plone": packages}, RELEASES)) as server:
            place = self.bench.place(server)
            place.crawl("pypi", "-p", "plone")
            discard(place.folder)
        begun = time.perf_counter()
        with self.bench.connection() as connection:
            originals = [msgspec.json.decode(line) for line in export_lines(connection.client, "plone")]
            create_physical(connection.client, _COLLECTION)
            self._names = []
            for number in range(_COPIES):
                words = Words(number)
                copies = [copied(document, number, words) for document in originals]
                self._names += [copy["name"] for copy in copies if copy["is_latest"]]
                for batch in _batches([msgspec.json.encode(copy) for copy in copies]):
                    answers = import_documents(connection.client, _COLLECTION, batch)
                    require("documents stored", answers.count(None), len(batch))
        self._fill_rate = len(originals) * _COPIES / (time.perf_counter() - begun)
        require("documents in the index", self.bench.indexed(_COLLECTION), packages * RELEASES * _COPIES)

    def run(self, contender: str) -> Figures:
        seed = self._round[contender] = self._round[contender] + 1
        asked = queries(round(RATE * self.seconds), self._names, seed)
        before, begun = self.bench.typesense_cpu(), time.perf_counter()
        if contender == OFFERED:
            answers = offered(self._searcher.ask, asked, RATE, seed)
        elif contender == SATURATED:
            answers = saturated(self._searcher.ask, asked, 8)
        elif contender in KINDS:
            answers = saturated(self._searcher.ask, self._only(KINDS[contender], seed), 1)
        else:
            changes = VARIANTS[contender]
            answers = saturated(lambda query: self._variant(query, changes), self._only("word", seed), 1)
        spent, took = self.bench.typesense_cpu() - before, time.perf_counter() - begun
        figures = latencies(answers)
        if contender in (OFFERED, SATURATED):
            require("most searches found something", figures["share_found"] >= LEAST_FOUND, True)
        return {
            "searches": len(answers),
            "searches_per_s": len(answers) / took,
            **figures,
            "server_ms_per_search": spent / len(answers) * 1000,
        }

    def _only(self, kind: str, seed: int) -> list[Query]:
        """Sixty queries of a kind."""
        found = (query for query in queries(60 * 40, self._names, seed) if query.kind == kind)
        return list(islice(found, 60))

    def _variant(self, query: Query, changes: dict[str, Any]) -> int:
        wanted = search_defaults() | {"filter_by": LATEST, "sort_by": ORDER} | changes
        parameters = {name: value for name, value in wanted.items() if value is not None}
        with self._searcher.client() as client:
            result = searches(client, [parameters | {"collection": _COLLECTION, "q": query.text}])[0]
        return int(result["found"])

    def claims(self, rounds: Rounds) -> list[Claim]:
        found = medians(rounds[OFFERED])
        return [
            Claim("p50 in ms at 10 searches a second", found["p50_ms"], 50.0, at_most=True),
            Claim("p99 in ms at 10 searches a second", found["p99_ms"], 300.0, at_most=True),
            Claim("searches a second when saturated", medians(rounds[SATURATED])["searches_per_s"]),
            Claim("documents a second while it was filled", self._fill_rate),
        ]


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(lines), 250):
        yield lines[start : start + 250]
