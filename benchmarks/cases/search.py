"""Searches in a large index, while they come at a given rate, and how many it can answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from benchmarks.case import Case, Claim, Rounds, discard
from benchmarks.cases.sweep import RELEASES
from benchmarks.corpus import copies
from benchmarks.figures import Figures, medians, require
from benchmarks.processes import serving
from benchmarks.searching import MIX, Query, Searcher, latencies, offered, queries, saturated
from benchmarks.world import WorldOptions
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.collections import create_physical, export_lines, import_documents
from pyf_scrapy.search.queries import GROUPED, LATEST, ORDER, search_defaults
from pyf_scrapy.web.asked import FACETS, TOPICS_ONLY

RATE = 10.0
OFFERED, SATURATED = "10 searches a second offered", "as many as 8 threads get"

#: Share of the searches that must find something; in a small index some words are in no README.
LEAST_FOUND = 0.5

_COPIES = 100
_COLLECTION = "searched"

#: What each kind of query costs, one after another, as the product asks.
KINDS = {f"only `{kind}`": kind for kind in MIX}

_PAGE = {"facet_by": ",".join(facet.field for facet in FACETS), "facet_query": TOPICS_ONLY}
_GUI: dict[str, Any] = {
    "query_by": "name,keywords,summary,description",
    **dict.fromkeys(("query_by_weights", "num_typos", "prefix", "infix", "split_join_tokens")),
    "filter_by": "classifiers:=['Framework :: Plone']",
    "sort_by": "_text_match:desc,name_sortable:asc,version_sortable:desc",
    "group_by": "name_sortable",
    "group_limit": 1,
    "include_fields": None,
    "exclude_fields": "description",
    "per_page": 100,
}

#: What each parameter costs: changes of the defaults, None = left out, for the same queries of a kind.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a word by the defaults": ("word", {}),
    "grouped": ("word", GROUPED),
    "grouped, without facets": ("word", GROUPED | {"facet_by": ""}),
    "without facets": ("word", {"facet_by": ""}),
    "with the four facets of the pages": ("word", _PAGE),
    "without typos": ("word", {"num_typos": "0"}),
    "without infix": ("word", {"infix": "off"}),
    "filtered by two texts": (
        "word",
        {"filter_by": f"{LATEST} && python_versions:=`Python 3.10` && framework_versions:=`Plone 6.0`"},
    ),
    "filtered by two numbers": ("word", {"filter_by": f"{LATEST} && health_score:>20 && version_major:>=0"}),
    "5 rows": ("word", {"per_page": 5}),
    "100 rows": ("word", {"per_page": 100}),
    "in name, keywords, summary only": (
        "word",
        {
            "query_by": "name,keywords,summary",
            "query_by_weights": "12,9,7",
            "num_typos": "2,1,1",
            "prefix": "true,true,true",
            "infix": "fallback,off,off",
        },
    ),
    "of all releases, grouped": (
        "word",
        GROUPED | {"filter_by": "", "sort_by": "is_latest:desc,_text_match:desc,version_sortable:desc"},
    ),
    "as pyf-gui asks": ("word", _GUI),
    "no word, by the defaults": ("all", {}),
    "no word, grouped": ("all", GROUPED),
    "no word, without facets": ("all", {"facet_by": ""}),
}


class Search(Case):
    """The product's own searches, a row a package, with two facets: in the latest releases, and grouped where
    a query names a version, in the newest for it, too. Every fourth document has a README, as long as PyPI's.
    Nothing is cached but the list of framework versions, for a minute. The client runs on the same cores.
    Below, one after another, searches of a kind, then such with other parameters."""

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
    seconds = 20.0
    """For which searches are offered, in a round."""

    @classmethod
    def about(cls) -> str:
        mix = ", ".join(f"{kind} {share:.0%}" for kind, share in MIX.items())
        return f"{super().about()} Kinds of queries: {mix}."

    def setup(self) -> None:
        self._fill()
        self._settle()
        self._client = self.stack.enter_context(self.bench.connection()).client
        self._searcher = Searcher(self._client, _COLLECTION)
        self._round = dict.fromkeys(self.contenders, 0)

    def _fill(self) -> None:
        """Copies a crawl's documents under other names until there are enough."""
        packages = max(1, self.size // RELEASES // _COPIES)
        with serving(WorldOptions(packages, {"plone": packages}, RELEASES)) as server:
            place = self.bench.place(server)
            place.crawl("pypi", "-p", "plone")
            discard(place.folder)
        with self.bench.connection() as connection:
            originals = list(export_lines(connection.client, "plone"))
            create_physical(connection.client, _COLLECTION)
            self._names: list[str] = []
            begun = time.perf_counter()
            for lines in copies(originals, _COPIES):
                found = map(msgspec.json.Decoder(_Release).decode, lines)
                self._names += [release.name for release in found if release.is_latest]
                for batch in _batches(lines):
                    answers = import_documents(connection.client, _COLLECTION, batch)
                    require("documents stored", answers.count(None), len(batch))
        self._fill_rate = len(originals) * _COPIES / (time.perf_counter() - begun)
        require("documents in the index", self.bench.indexed(_COLLECTION), packages * RELEASES * _COPIES)

    def _settle(self) -> None:
        """Waits until the search server has put away what it got."""
        for _ in range(30):
            before = self.bench.typesense_cpu()
            time.sleep(1)
            if self.bench.typesense_cpu() - before < 0.1:
                return

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
            kind, changes = VARIANTS[contender]
            answers = saturated(lambda query: self._variant(query, changes), self._only(kind, seed), 1)
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
        """Thirty queries of a kind."""
        found = (query for query in queries(30 * 60, self._names, seed) if query.kind == kind)
        return list(islice(found, 30))

    def _variant(self, query: Query, changes: dict[str, Any]) -> int:
        wanted = search_defaults() | {"filter_by": LATEST, "sort_by": ORDER} | changes
        parameters = {name: value for name, value in wanted.items() if value is not None}
        parameters |= {"collection": _COLLECTION, "q": query.text or "*"}
        return int(searches(self._client, [parameters])[0]["found"])

    def claims(self, rounds: Rounds) -> list[Claim]:
        found = medians(rounds[OFFERED])
        return [
            Claim("p50 in ms at 10 searches a second", found["p50_ms"], 50.0, at_most=True),
            Claim("p99 in ms at 10 searches a second", found["p99_ms"], 300.0, at_most=True),
            Claim("the search server's CPU ms for each of them", found["server_ms_per_search"]),
            Claim("searches a second when saturated", medians(rounds[SATURATED])["searches_per_s"]),
            Claim("documents a second while it was filled", self._fill_rate),
        ]


class _Release(msgspec.Struct):
    name: str
    is_latest: bool


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(lines), 250):
        yield lines[start : start + 250]
