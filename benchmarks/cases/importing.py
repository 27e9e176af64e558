"""Sending documents to Typesense: as the pipeline does against the client's own way."""

from __future__ import annotations

import json

from benchmarks.case import Case, Claim, Rounds, discard
from benchmarks.cases.sweep import RELEASES
from benchmarks.figures import Figures, ratio, require
from benchmarks.processes import Running, serving
from benchmarks.world import WorldOptions
from pyf_scrapy.search.collections import create_physical, export_lines

LINES = "as the pipeline sends them, 250 in a batch"
LIST = "`import_(list)`, 250 in a batch"
SMALL = "`import_(list)`, 50 in a batch, as the baseline"

_WAYS = {LINES: ("lines", 250), LIST: ("list", 250), SMALL: ("list", 50)}


class Importing(Case):
    """Real documents, of packages with five releases each, into an empty collection of our schema."""

    name = "import"
    title = "Import into Typesense"
    contenders = (LINES, LIST, SMALL)
    shown = (
        *("documents", "mean_bytes", "documents_per_s", "client_ms_per_document"),
        "server_ms_per_document",
    )
    documents = 2_000

    def setup(self) -> None:
        packages = max(1, self.size // RELEASES)
        with serving(WorldOptions(packages, {"plone": packages}, RELEASES)) as server:
            place = self.bench.place(server)
            place.crawl("pypi", "-p", "plone")
            self.file = self.bench.new_folder() / "documents.jsonl"
            self.file.parent.mkdir()
            with self.bench.connection() as connection:
                lines = list(export_lines(connection.client, "plone"))
            discard(place.folder)
        self.file.write_bytes(b"\n".join(lines) + b"\n")
        self.count = packages * RELEASES
        require("documents exported", len(lines), self.count)

    def run(self, contender: str) -> Figures:
        way, batch = _WAYS[contender]
        self.bench.empty_index()
        with self.bench.connection() as connection:
            create_physical(connection.client, "imported")
        before = self.bench.typesense_cpu()
        words = ["-m", "benchmarks.importer", way, str(batch), str(self.file), "imported"]
        ended = Running(words, self.bench.client_environment()).wait()
        told = json.loads(ended.output)
        require("documents stored", told["stored"], self.count)
        require("documents in the index", self.bench.indexed("imported"), self.count)
        return {
            "documents": self.count,
            "mean_bytes": self.file.stat().st_size / self.count,
            "wall_s": told["wall"],
            "client_ms_per_document": told["cpu"] / self.count * 1000,
            "server_ms_per_document": (self.bench.typesense_cpu() - before) / self.count * 1000,
        }

    def claims(self, rounds: Rounds) -> list[Claim]:
        return [
            Claim(
                "ours : `import_(list)` of 50, documents per second",
                ratio(rounds, "documents_per_s", LINES, SMALL),
            ),
            Claim(
                "`import_(list)` of 50 : ours, client's CPU",
                ratio(rounds, "client_ms_per_document", SMALL, LINES),
            ),
        ]
