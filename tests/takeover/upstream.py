"""A collection as pyf.aggregator makes it: its schema (facts of its db.py), and documents in its shape."""

from __future__ import annotations

import json
from typing import Any

import typesense

_FACETS = ("identifier", "name", "name_sortable", "version_sortable", "version_raw", "registry", "npm_scope")
_LISTS = ("classifiers", "framework_versions", "python_versions", "keywords")
_TEXTS = (
    *("author", "author_email", "bugtrack_url", "description", "description_content_type", "license"),
    *("maintainer", "maintainer_email", "platform", "release_url", "summary", "version"),
)
_CHAPTERS = ("title", "first_chapter", "main_content", "changelog")
_ADDRESSES = ("docs_url", "home_page", "package_url", "project_url", "repository_url", "yanked_reason")
_GITHUB = ("github_stars", "github_watchers", "github_updated", "github_open_issues")
_DOWNLOADS = ("download_last_day", "download_last_week", "download_last_month", "download_total")
_SCORES = ("npm_quality_score", "npm_popularity_score", "npm_maintenance_score", "npm_final_score")

SCHEMA: tuple[dict[str, Any], ...] = (
    *({"name": name, "type": "string", "facet": True} for name in ("identifier", "name")),
    *({"name": name, "type": "string"} for name in _TEXTS),
    *({"name": name, "type": "string[]", "facet": True} for name in _LISTS),
    {"name": "requires_dist", "type": "string[]"},
    *({"name": name, "type": "string", "optional": True} for name in _CHAPTERS),
    *({"name": name, "type": "string", "index": False, "optional": True} for name in _ADDRESSES),
    *({"name": name, "type": "auto", "index": False, "optional": True} for name in ("project_urls", "urls")),
    *(
        {"name": name, "type": "string", "sort": True, "facet": True}
        for name in ("name_sortable", "version_sortable", "version_raw")
    ),
    {"name": "version_postfix", "type": "string", "sort": True},
    *(
        {"name": f"version_{name}", "type": "int32", "sort": True, "optional": True}
        for name in ("major", "minor", "bugfix")
    ),
    {"name": "upload_timestamp", "type": "int64", "sort": True, "optional": True},
    {"name": "yanked", "type": "bool", "optional": True},
    *(
        {"name": name, "type": "string", "facet": True, "optional": True}
        for name in ("registry", "npm_scope")
    ),
    *({"name": name, "type": "float", "sort": True, "optional": True} for name in _SCORES),
    *({"name": name, "type": "auto", "facet": True, "optional": True} for name in (*_GITHUB, *_DOWNLOADS)),
    {"name": "download_updated", "type": "float", "sort": True, "optional": True},
    {"name": "contributors", "type": "object[]", "index": False, "optional": True},
)

#: What its documents hold beside the schema.
BESIDE = (
    *("health_score", "health_score_breakdown", "health_score_last_calculated", "github_url"),
    *("requires_python", "license_expression", "license_files", "dynamic", "provides_extra", "download_url"),
)


def create(client: typesense.Client, name: str) -> None:
    """Make an empty collection."""
    body = {
        "name": name,
        "fields": list(SCHEMA),
        "enable_nested_fields": True,
        "token_separators": [".", "-", "_", "@", "/"],
        "default_sorting_field": "name_sortable",
    }
    client.api_call.post("/collections", dict[str, Any], body=body)


def document(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    """A release's document; of a value that is ... the field is left out."""
    id_ = f"{name}-{version}"
    made = {
        **dict.fromkeys((*_TEXTS, *_CHAPTERS, *_ADDRESSES), ""),
        **{name: [] for name in (*_LISTS, "requires_dist")},
        "id": id_,
        "identifier": id_,
        "name": name,
        "name_sortable": name,
        "version": version,
        "version_raw": version,
        "version_sortable": "1.0001.0000.0000.0000.0000",
        "version_postfix": "",
        "version_major": 1,
        "version_minor": 0,
        "version_bugfix": 0,
        "upload_timestamp": 0,
        "yanked": False,
        "registry": "pypi",
        "description": "<section><h2>Nice</h2><img src=x onerror=alert(1)></section>",
        "project_urls": {},
        "urls": [],
        "requires_python": ">=3.8",
        **more,
    }
    return {field: value for field, value in made.items() if value is not ...}


def fill(client: typesense.Client, name: str, documents: list[dict[str, Any]]) -> None:
    """Import documents as it does: whatever comes of it."""
    client.api_call.post(
        f"/collections/{name}/documents/import",
        str,
        as_json=False,
        params={"action": "upsert", "dirty_values": "coerce_or_drop"},
        body="\n".join(map(json.dumps, documents)).encode(),
    )
