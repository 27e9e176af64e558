"""Searches as people make them, sent at a fixed rate or as fast as they are answered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple

import typesense

from benchmarks.figures import BenchmarkError, Figures
from pyf_scrapy.replica.words import THINGS
from pyf_scrapy.search.queries import filter_value, normalize, search

THREADS = 64

#: Kind of query -> its share; what the kinds are, `_query` says. All have one row a package and two facets.
MIX = {"word": 0.3, "name": 0.15, "beginning": 0.15, "typo": 0.1, "version": 0.15, "filter": 0.1, "all": 0.05}

PYTHONS = ("Python 3.10", "Python 3.11", "Python 3.12")
VERSIONS = ("5.2", "6.0", "6.1")


@dataclass(frozen=True)
class Query:
    """What is asked; `kind` is one of `MIX`."""

    kind: str
    text: str
    filter_by: str = ""


def queries(count: int, names: Sequence[str], seed: int) -> list[Query]:
    """So many queries of the mix; `names` are packages of the index."""
    dice = random.Random(seed)
    kinds = dice.choices(list(MIX), list(MIX.values()), k=count)
    return [_query(kind, dice, names) for kind in kinds]


def _query(kind: str, dice: random.Random, names: Sequence[str]) -> Query:
    word = dice.choice(THINGS)  # of many READMEs
    if kind == "name":  # of one package
        return Query(kind, dice.choice(names))
    if kind == "beginning":  # of a word, as it is typed
        return Query(kind, word[: max(3, len(word) - 2)])
    if kind == "typo":  # two letters swapped
        place = len(word) // 2
        return Query(kind, f"{word[: place - 1]}{word[place]}{word[place - 1]}{word[place + 1 :]}")
    if kind == "version":  # a word, for the framework's version
        return Query(kind, f"{word} plone {dice.choice(VERSIONS)}")
    if kind == "filter":  # a word, two facets ticked
        python = filter_value(dice.choice(PYTHONS))
        plone = filter_value(f"Plone {dice.choice(VERSIONS)}")
        return Query(kind, word, f"python_versions:={python} && framework_versions:={plone}")
    if kind == "all":  # the first page
        return Query(kind, "")
    return Query(kind, word if dice.random() < 0.5 else f"{word} {dice.choice(THINGS)}")


class Searcher:
    """Asks as `scrapy serve` does: all threads with one client."""

    def __init__(self, client: typesense.Client, alias: str) -> None:
        self._client = client
        self._alias = alias

    def ask(self, query: Query) -> int:
        """One search as `scrapy search` makes it; how many packages it found. Raises BenchmarkError when that
        of a name found another package first."""
        result = search(self._client, self._alias, query.text, filter_by=query.filter_by)
        first = result.rows[0]["name_normalized"] if result.rows else None
        if query.kind == "name" and first != normalize(query.text):
            raise BenchmarkError(f"{query} found {first} first")
        return result.found


class Answer(NamedTuple):
    """How long a search took, in seconds, and how many packages it found."""

    seconds: float
    found: int


Ask = Callable[[Query], int]


def offered(ask: Ask, asked: Sequence[Query], rate: float, seed: int) -> list[Answer]:
    """Asks at random moments, `rate` a second, whether or not earlier searches are answered.

    A search takes from the moment when it was due to its answer, so that waiting for a thread counts.
    """
    dice = random.Random(seed)
    with ThreadPoolExecutor(THREADS) as pool:

        def timed(query: Query, due: float) -> Answer:
            found = ask(query)
            return Answer(time.perf_counter() - due, found)

        due = time.perf_counter()
        waiting = []
        for query in asked:
            due += dice.expovariate(rate)
            time.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(pool.submit(timed, query, due))
        return [one.result() for one in waiting]


def saturated(ask: Ask, asked: Sequence[Query], threads: int) -> list[Answer]:
    """Asks with so many threads without a pause."""

    def timed(query: Query) -> Answer:
        begun = time.perf_counter()
        found = ask(query)
        return Answer(time.perf_counter() - begun, found)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(timed, asked))


def latencies(answers: Sequence[Answer]) -> Figures:
    """p50, p90, p99 and the longest, in ms; packages found, the share of searches that found some."""
    times = [answer.seconds for answer in answers]
    cuts = quantiles(times, n=100, method="inclusive")
    return {
        "p50_ms": cuts[49] * 1000,
        "p90_ms": cuts[89] * 1000,
        "p99_ms": cuts[98] * 1000,
        "max_ms": max(times) * 1000,
        "median_found": median(answer.found for answer in answers),
        "share_found": sum(answer.found > 0 for answer in answers) / len(answers),
    }
