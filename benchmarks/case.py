"""What a case is, and the place that it runs in."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from benchmarks.baseline import TYPESENSE
from benchmarks.figures import Figures
from benchmarks.processes import Ended, Running, Server, clean_environment, cpu_of
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.embedded import Server as Typesense
from pyf_scrapy.search.embedded import embedded_server
from pyf_scrapy.session import open_store
from pyf_scrapy.store import Store

Rounds = Mapping[str, Sequence[Figures]]


class Claim(msgspec.Struct, frozen=True):
    """What must hold: `value` at least or at most `limit`. Without a limit it is only told."""

    text: str
    value: float
    limit: float | None = None
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """True when there is nothing to hold, too."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass
class Place:
    """A data folder for crawls, the server that they ask, the Typesense that they fill."""

    folder: Path
    server: Server
    typesense: Typesense
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """The settings of its crawls."""
        return {
            "PYPI_URL": self.server.url,
            "PYF_DATA_DIR": self.folder,
            "TYPESENSE_HOST": self.typesense.host,
            "TYPESENSE_PORT": self.typesense.port,
            "TYPESENSE_PROTOCOL": self.typesense.protocol,
            "TYPESENSE_API_KEY": self.typesense.api_key,
            "PYPI_MAX_RPS": 0,
            "PYPI_CONCURRENCY": 64,
            **self.extra,
        }

    def start(self, *arguments: str) -> Running:
        """Begins `scrapy ARGUMENTS`."""
        return Running(["-m", "scrapy", *arguments], clean_environment(self.values))

    def crawl(self, spider: str, *arguments: str) -> Ended:
        """Runs `scrapy crawl SPIDER` to its end. Raises BenchmarkError unless it did all."""
        return self.start("crawl", spider, "-L", "WARNING", *arguments).wait()

    def store(self) -> Store:
        """The store that the crawls fill; close it."""
        return open_store(self.values)


class Bench:
    """Where all cases of a call run: a folder, a Typesense, the number of rounds, a size of one's own.

    With a Typesense of somebody else's, `typesense_cpu` does not work.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rounds: int = 5,
        documents: int | None = None,
        typesense: Typesense | None = None,
    ) -> None:
        self.folder = folder
        self.rounds = rounds
        self.documents = documents
        self._typesense = typesense
        self._stack = ExitStack()
        self._numbers = itertools.count()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def typesense(self) -> Typesense:
        """A search server of the bench's own, so that its CPU is nobody's."""
        if self._typesense is not None:
            return self._typesense
        folder = self.folder / "typesense"
        self._stack.callback(_end_typesense, folder)
        return self._stack.enter_context(embedded_server(folder, linger=2))

    def new_folder(self) -> Path:
        """A folder that does not exist yet."""
        return self.folder / f"data-{next(self._numbers)}"

    def place(self, server: Server, **extra: Any) -> Place:
        """A new data folder, and an index without collections."""
        self.empty_index()
        return Place(self.new_folder(), server, self.typesense, extra)

    def connection(self) -> Connection:
        """A connection to the search server; close it."""
        return connect(
            TypesenseSettings(
                *self.typesense[:3], api_key=self.typesense.api_key, timeout=120, folder=self.folder, linger=0
            )
        )

    def indexed(self, alias: str) -> int:
        """How many documents a collection has."""
        with self.connection() as connection:
            return int(connection.client.api_call.get(f"/collections/{alias}", dict)["num_documents"])

    def typesense_cpu(self) -> float:
        """User and system seconds of the search server so far."""
        return cpu_of(supervisor.read_state(self.folder / "typesense")["pid"])

    def empty_index(self) -> None:
        """Drops all collections and aliases."""
        with self.connection() as connection:
            calls = connection.client.api_call
            for alias in calls.get("/aliases", dict)["aliases"]:
                calls.delete(f"/aliases/{alias['name']}", dict)
            for collection in calls.get("/collections", list):
                calls.delete(f"/collections/{collection['name']}", dict)

    def baseline(self, server: Server, collection: str | None = None, limit: int = 0) -> Ended:
        """Runs the baseline once, for all or so many projects; with a collection it indexes, too."""
        words = ["-m", "benchmarks.baseline", server.url, "--limit", str(limit)]
        if collection is not None:
            words += ["--collection", collection]
        return Running(words, self.client_environment()).wait()

    def client_environment(self) -> dict[str, str]:
        """For processes that send to the search server: its address and key, which no process list shows."""
        return clean_environment({TYPESENSE: json.dumps(self.typesense._asdict())})

    def raw_client(self, server: Server) -> Ended:
        """Runs the raw client once."""
        return Running(["-m", "benchmarks.raw_client", server.url]).wait()


class Case(ABC):
    """A comparison: `setup` is called once, `run` once a round for each contender, `claims` at the end."""

    name: ClassVar[str]
    title: ClassVar[str]
    contenders: ClassVar[tuple[str, ...]]
    shown: ClassVar[tuple[str, ...]] = ("documents", "cpu_s", "wall_s", "documents_per_cpu_s", "peak_mb")
    documents: ClassVar[int]
    """The size when none is given; what is counted is the case's affair."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.size = bench.documents or self.documents
        self.stack = ExitStack()

    def __enter__(self) -> Case:
        try:
            self.setup()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @classmethod
    def about(cls) -> str:
        """What is compared, for the page of the results."""
        return " ".join((cls.__doc__ or "").split())

    @abstractmethod
    def setup(self) -> None:
        """What all rounds need; `self.stack` closes it."""

    @abstractmethod
    def run(self, contender: str) -> Figures:
        """One round of one contender. Raises BenchmarkError when it did not do all its work."""

    @abstractmethod
    def claims(self, rounds: Rounds) -> list[Claim]:
        """What the rounds show."""


def _end_typesense(folder: Path) -> None:
    """Ends the server of a folder that is removed now; it dies with its supervisor."""
    if supervisor.is_supervised(folder):
        os.kill(supervisor.read_state(folder)["supervisor"], signal.SIGKILL)
    while supervisor.is_supervised(folder):
        time.sleep(0.02)


def asked(answered: Figures) -> float:
    """Requests of a server's statistics."""
    return sum(count for kind, count in answered.items() if kind not in ("bytes", "cpu", "serial"))


def discard(folder: Path) -> None:
    """Removes a data folder that is not needed any more."""
    shutil.rmtree(folder, ignore_errors=True)
