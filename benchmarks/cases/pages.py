"""What the pages of `scrapy serve` add to the search server's own time, at a given rate of requests."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import typesense

from benchmarks.case import Claim, Place, Rounds
from benchmarks.cases.search import LEAST_FOUND, RATE, Search
from benchmarks.figures import BenchmarkError, Figures, medians, require
from benchmarks.processes import Server
from benchmarks.searching import Query, latencies, offered, queries
from pyf_scrapy.profiles import Profile
from pyf_scrapy.web.asked import FACETS, Asked
from pyf_scrapy.web.facets import counted_search
from pyf_scrapy.web.site import Site

COLLECTION = "searched"
PAGES, DIRECT = "pages, 10 a second offered", "their searches alone, 10 a second offered"

_FILTER = re.compile(r"(\w+):=`([^`]*)`")
_FOUND = re.compile(r"([0-9,]+) packages? found|No package found")
_STARTING = 60.0  # seconds


class Pages(Search):
    """Search pages of `scrapy serve` with all their facets; then the same searches at the same moments, sent
    to the search server without the application. `own` is what the search server says that it took
    (`search_time_ms`, of all searches of a page): the rest is what the application adds
    to it, with the way there and back. `cpu` is that of `scrapy serve`. Clients, application and search
    server run on the same cores."""

    name = "pages"
    title = "Search pages"
    contenders = (PAGES, DIRECT)
    shown = (
        *("searches", "p50_ms", "p90_ms", "p99_ms", "own_p50_ms", "own_p99_ms"),
        *("cpu_ms_per_page", "median_found"),
    )

    def setup(self) -> None:
        super().setup()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # Nobody is asked there: pages only read.
        place = Place(self.bench.new_folder(), Server("http://127.0.0.1:1"), self.bench.typesense)
        place.extra["SERVE_RATE"] = 0
        place.folder.mkdir()
        definition = Profile(COLLECTION, COLLECTION).definition()
        with place.store() as store:
            store.open_collection(COLLECTION, definition, None, f"{COLLECTION}-1", 1, "bench")
        self._serving = place.start("serve", "--port", str(port))
        self.stack.callback(self._serving.stop)
        self._http = self.stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        self._wait_until_it_serves()
        self._own = _OwnTimes()
        self._timed = _TimedClient(self._client)

    def _wait_until_it_serves(self) -> None:
        end = time.monotonic() + _STARTING
        while True:
            try:
                self._http.get(f"/p/{COLLECTION}/").raise_for_status()
            except httpx.HTTPError as error:
                if time.monotonic() > end:
                    raise BenchmarkError(f"scrapy serve does not answer: {error}") from error
                time.sleep(0.2)
            else:
                return

    def run(self, contender: str) -> Figures:
        seed = self._round[contender] = self._round[contender] + 1
        asked = queries(round(RATE * self.seconds), self._names, seed)
        self._own.clear()
        before = self._serving.cpu()
        answers = offered(self._page if contender == PAGES else self._direct, asked, RATE, seed)
        figures = latencies(answers)
        require("most searches found something", figures["share_found"] >= LEAST_FOUND, True)
        if contender == PAGES:
            figures["cpu_ms_per_page"] = (self._serving.cpu() - before) / len(answers) * 1000
        return {"searches": len(answers), **figures, **self._own.figures()}

    def _page(self, query: Query) -> int:
        """Ask for the page of a search; how many packages it says that there are."""
        answer = self._http.get(f"/p/{COLLECTION}/?{urlencode(parameters(query))}")
        found = _FOUND.search(answer.text)
        if answer.status_code != 200 or found is None:
            raise BenchmarkError(f"{query}: HTTP status {answer.status_code}, and no number of packages")
        return int((found[1] or "0").replace(",", ""))

    def _direct(self, query: Query) -> int:
        """The searches that the page makes."""
        asked = Asked.from_parameters(parameters(query))
        found, _ = counted_search(cast(Site, self), Profile(COLLECTION, COLLECTION), asked)
        self._own.add(self._timed.taken())
        return found.found

    def search(self, operation: Callable[[typesense.Client], Any]) -> Any:
        """As Site does, but without the application."""
        return operation(cast(typesense.Client, self._timed))

    def claims(self, rounds: Rounds) -> list[Claim]:
        pages, direct = medians(rounds[PAGES]), medians(rounds[DIRECT])
        return [
            Claim(
                "ms added to the search server's own time at p50",
                pages["p50_ms"] - direct["own_p50_ms"],
                10.0,
                at_most=True,
            ),
            Claim(
                "ms added to the search server's own time at p99",
                pages["p99_ms"] - direct["own_p99_ms"],
                40.0,
                at_most=True,
            ),
            Claim("ms added to the same searches alone at p50", pages["p50_ms"] - direct["p50_ms"]),
            Claim("ms added to the same searches alone at p99", pages["p99_ms"] - direct["p99_ms"]),
        ]


def parameters(query: Query) -> list[tuple[str, str]]:
    """A query as the address of a page has it."""
    keys = {facet.field: facet.key for facet in FACETS}
    chosen = [(keys[field], value) for field, value in _FILTER.findall(query.filter_by)]
    return [("q", query.text), *chosen]


class _OwnTimes:
    """How long the search server says that its searches took, in ms. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: list[float] = []

    def clear(self) -> None:
        with self._lock:
            self._times = []

    def add(self, time: float) -> None:
        with self._lock:
            self._times.append(time)

    def figures(self) -> Figures:
        if len(self._times) < 2:
            return {}
        cuts = quantiles(self._times, n=100, method="inclusive")
        return {"own_p50_ms": cuts[49], "own_p99_ms": cuts[98]}


class _TimedClient:
    """As much of a client as a search uses; it adds up what the searches of each thread took."""

    def __init__(self, client: typesense.Client) -> None:
        self._post = client.api_call.post
        self._of_thread = threading.local()
        self.api_call = self

    def post(self, *arguments: Any, **options: Any) -> Any:
        answer = self._post(*arguments, **options)
        took = sum(result.get("search_time_ms", 0) for result in answer["results"])
        self._of_thread.took = getattr(self._of_thread, "took", 0.0) + took
        return answer

    def taken(self) -> float:
        """What the searches of this thread took since the last call, as the search server says, in ms."""
        took: float = self._of_thread.took
        self._of_thread.took = 0.0
        return took
