"""The baseline: a crawl in the style of the system that is replaced, pyf.aggregator.

    python -m benchmarks.baseline URL [--limit N] [--collection NAME]

A requests session with a pool, the whole index in memory, 50 threads that ask for project JSONs in batches of
500 and decode them whole with `response.json()`; then, in the main thread, each release of a matching project
one after another, by display name. With a collection their documents go to the Typesense that BENCH_TYPESENSE
names (JSON) with `import_(list)` in batches of 50. Left out, in the baseline's favour: rendering READMEs,
splitting versions, and its retries.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter

CLASSIFIER = "Framework :: Plone"

TYPESENSE = "BENCH_TYPESENSE"
"""The variable with address and key of a search server, as JSON."""

THREADS = 50
BATCH = 500
INDEX_BATCH = 50


class Baseline:
    """One full crawl."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["User-Agent"] = "baseline"
        self.session.mount("http://", HTTPAdapter(pool_connections=THREADS, pool_maxsize=THREADS))
        self.projects = 0
        self.failed = 0

    def names(self) -> list[str]:
        """The display names of the index."""
        response = self.session.get(
            f"{self.url}/simple/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}, timeout=60
        )
        return [project["name"] for project in response.json()["projects"]]

    def json(self, path: str) -> dict[str, Any] | None:
        """A JSON document, None for anything but 200."""
        response = self.session.get(f"{self.url}/pypi/{path}/json", timeout=30)
        if response.status_code != 200:
            self.failed += 1
            return None
        return dict(response.json())

    def matching(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """The projects that have the classifier."""
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(names), BATCH):
                for document in pool.map(self.json, names[start : start + BATCH]):
                    if document is None:
                        continue
                    self.projects += 1
                    if any(text.startswith(CLASSIFIER) for text in document["info"]["classifiers"]):
                        yield document

    def releases(self, project: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A document for each release of a project."""
        name = project["info"]["name"]
        for version in sorted(project["releases"]):
            release = self.json(f"{name}/{version}")
            if release is not None:
                yield _document(release, project["releases"][version])


def _document(release: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    """A release as it is indexed: all of `info`, its files, and the few fields that the schema wants."""
    info = {key: "" if value is None else value for key, value in release["info"].items()}
    return {
        **info,
        "id": f"{info['name']}-{info['version']}",
        "identifier": f"{info['name']}-{info['version']}",
        "name_sortable": info["name"],
        "keywords": [word for word in (info["keywords"] or "").replace(",", " ").split() if word],
        "requires_dist": info["requires_dist"] or [],
        "upload_timestamp": _epoch(files[0]["upload_time"]) if files else 0,
        "urls": [
            {key: value for key, value in url.items() if key not in ("downloads", "md5_digest")}
            for url in release["urls"]
        ],
    }


def _epoch(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())


SCHEMA: dict[str, Any] = {
    "fields": [
        *({"name": name, "type": "string", "facet": True} for name in ("identifier", "name")),
        *(
            {"name": name, "type": "string"}
            for name in (
                *(
                    "author",
                    "author_email",
                    "description",
                    "description_content_type",
                    "license",
                    "maintainer",
                ),
                *("maintainer_email", "platform", "release_url", "summary", "version"),
            )
        ),
        *({"name": name, "type": "string[]", "facet": True} for name in ("classifiers", "keywords")),
        {"name": "requires_dist", "type": "string[]"},
        *(
            {"name": name, "type": "string", "index": False, "optional": True}
            for name in ("docs_url", "home_page", "package_url", "project_url", "yanked_reason")
        ),
        *(
            {"name": name, "type": "auto", "index": False, "optional": True}
            for name in ("project_urls", "urls")
        ),
        {"name": "name_sortable", "type": "string", "sort": True, "facet": True},
        {"name": "upload_timestamp", "type": "int64", "sort": True, "optional": True},
        {"name": "yanked", "type": "bool"},
    ],
    "enable_nested_fields": True,
    "token_separators": [".", "-", "_", "@", "/"],
    "default_sorting_field": "name_sortable",
}


class Index:
    """The collection in Typesense. There nobody looks at its answers; here what is stored is counted."""

    def __init__(self, node: dict[str, Any], collection: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import typesense

            client: Any = typesense.Client(
                {
                    "nodes": [{"host": node["host"], "port": node["port"], "protocol": node["protocol"]}],
                    "api_key": node["api_key"],
                    "connection_timeout_seconds": 120,
                }
            )
            client.collections.create({**SCHEMA, "name": collection})
            self._documents = client.collections[collection].documents
        self._waiting: list[dict[str, Any]] = []
        self.indexed = 0

    def add(self, document: dict[str, Any]) -> None:
        """Sends fifty when there are fifty."""
        self._waiting.append(document)
        if len(self._waiting) >= INDEX_BATCH:
            self.flush()

    def flush(self) -> None:
        """Sends what waits."""
        if self._waiting:
            results = self._documents.import_(self._waiting, {"action": "upsert"})
            self.indexed += sum(bool(result["success"]) for result in results)
            self._waiting = []


def main() -> None:
    """Crawls once and prints as JSON what was done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--collection", help="made anew; without it nothing is indexed")
    parser.add_argument("--limit", type=int, default=0, help="so many of the index's projects only; 0: all")
    given = parser.parse_args()
    baseline = Baseline(given.url)
    index = Index(json.loads(os.environ[TYPESENSE]), given.collection) if given.collection else None
    names = baseline.names()
    if given.limit:
        names = names[: given.limit]
    matching = releases = 0
    for project in baseline.matching(names):
        matching += 1
        for document in baseline.releases(project):
            releases += 1
            if index is not None:
                index.add(document)
    if index is not None:
        index.flush()
    print(
        json.dumps(
            {
                "projects": baseline.projects,
                "matching": matching,
                "releases": releases,
                "indexed": index.indexed if index else 0,
                "failed": baseline.failed,
            }
        )
    )


if __name__ == "__main__":
    main()
