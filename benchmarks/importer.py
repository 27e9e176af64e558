"""Sends documents to Typesense, in one of two ways, and tells what that cost the client.

    python -m benchmarks.importer (lines | list) BATCH FILE COLLECTION

`lines`: as the pipeline does, each document to bytes once, batches as bytes. `list`: `import_(list)` of
Typesense's client, as pyf.aggregator does. BENCH_TYPESENSE has its address and key as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.baseline import TYPESENSE
from pyf_scrapy.search.collections import import_documents
from pyf_scrapy.search.connection import TypesenseSettings, connect


def main() -> None:
    """Reads the documents first, and measures from there."""
    way, size, file, collection = sys.argv[1:]
    documents: list[dict[str, Any]] = [
        msgspec.json.decode(line) for line in Path(file).read_bytes().splitlines()
    ]
    encode = msgspec.json.Encoder().encode
    batches = [documents[start : start + int(size)] for start in range(0, len(documents), int(size))]
    settings = TypesenseSettings(
        **json.loads(os.environ[TYPESENSE]), timeout=120, folder=Path(file).parent, linger=0
    )
    with connect(settings) as connection:
        client: Any = connection.client
        cpu, wall = time.process_time(), time.perf_counter()
        stored = 0
        for batch in batches:
            if way == "lines":
                answers = import_documents(client, collection, [encode(document) for document in batch])
                stored += answers.count(None)
            else:
                told = client.collections[collection].documents.import_(batch, {"action": "upsert"})
                stored += sum(bool(answer["success"]) for answer in told)
        spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "stored": stored}
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
