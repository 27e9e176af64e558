"""pyf-gui works unmodified: its exact requests through an alias `packages`, and what it reads of the answers.

Requests and readings are those of pyf-gui's src/lib/search.ts and src/routes/(app)/project/[name]/+page.ts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typesense

from pyf_scrapy.metadata.descriptions import render
from pyf_scrapy.metadata.health import Health
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.queries import show

from .corpus import PYTHONS, Made, classifier, client_of, indexed, package, release

COMMON = {
    "collection": "packages",
    "exclude_fields": "description",
    "group_by": "name_sortable",
    "group_limit": 1,
    "per_page": 100,
}
SEARCH = {
    "query_by": "name,keywords,summary,description",
    "sort_by": "_text_match:desc,name_sortable:asc,version_sortable:desc",
    "facet_by": "framework_versions,python_versions",
}
FILTER = "framework_versions:=['Plone 6.0','Plone 5.2'] && classifiers:=['Framework :: Plone']"
PAGE = "https://index.invalid/project/{}/"


def plone_package(name: str, readme: str, *versions: tuple[str, tuple[str, ...]]) -> Made:
    """A Plone add-on; `versions` are pairs of version and Plone versions."""
    releases = [
        release(
            name,
            version,
            summary=f"About {name}",
            keywords=("plone", "add-on"),
            classifiers=(
                "Framework :: Plone",
                "Framework :: Plone :: Addon",
                *(classifier(f"Plone {number}") for number in numbers),
                *PYTHONS,
            ),
            project_url=PAGE.format(name).rstrip("/"),
        )
        for version, numbers in versions
    ]
    made = package(name, *releases, health=Health(score=50, breakdown={"recency": {"points": 1}}))
    made.descriptions = {version: render(readme, "text/markdown") for version, _ in versions}
    return made


@pytest.fixture(scope="module")
def client(typesense_server: Server) -> Iterator[typesense.Client]:
    client = client_of(typesense_server)
    indexed(
        client,
        "packages",
        [
            plone_package(
                "Grove.Alpha", "# A\n\nVery *useful*.\n\n- item", ("1.10", ("6.0", "6.1")), ("1.9", ("5.2",))
            ),
            plone_package("grove.beta", "# B\n\n<script>alert(1)</script>Text", ("2.0", ("5.2",))),
            plone_package("grove.gamma", "# C", ("3.0", ("6.1",))),
        ],
    )
    yield client
    client.api_call.close()


def list_page(client: typesense.Client, term: str, filter_by: str) -> list[dict[str, Any]]:
    """Both searches of the list page: the packages, and the counts beside the tick boxes."""
    answer = client.api_call.post(
        "/multi_search",
        dict[str, Any],
        params={**COMMON, "q": term},
        body={"searches": [SEARCH | {"filter_by": filter_by}, SEARCH | {"filter_by": ""}]},
    )
    results: list[dict[str, Any]] = answer["results"]
    assert not any("error" in result for result in results)
    return results


def test_list_page_shows_each_package_once_in_the_release_that_fits(client: typesense.Client) -> None:
    packages, counts = list_page(client, "*", FILTER)
    documents = [group["hits"][0]["document"] for group in packages["grouped_hits"]]
    assert packages["found"] == 2
    assert [(document["name"], document["version"]) for document in documents] == [
        ("Grove.Alpha", "1.10"),
        ("grove.beta", "2.0"),
    ]
    facet = {facet["field_name"]: facet["counts"] for facet in counts["facet_counts"]}["framework_versions"]
    values = sorted((count["value"].upper() for count in facet), reverse=True)
    assert values == ["PLONE 6.1", "PLONE 6.0", "PLONE 5.2"]
    assert all(isinstance(count["count"], int) for count in facet)


def test_list_page_without_ticks_filters_by_type_only(client: typesense.Client) -> None:
    types = "classifiers:=['Framework :: Plone :: Addon','Framework :: Plone :: Theme']"
    assert list_page(client, "*", types)[0]["found"] == 3
    assert list_page(client, "*", "classifiers:=['Framework :: Plone :: Core']")[0]["found"] == 0


def test_list_page_has_what_it_shows(client: typesense.Client) -> None:
    packages, _ = list_page(client, "alpha", FILTER)
    document = packages["grouped_hits"][0]["hits"][0]["document"]
    assert "description" not in document
    for name in ("name", "name_sortable", "version", "version_sortable", "summary"):
        assert isinstance(document[name], str), name
    for name in ("keywords", "classifiers", "framework_versions", "python_versions"):
        assert isinstance(document[name], list), name
    assert isinstance(document["upload_timestamp"], int)
    assert document["name"] == "Grove.Alpha"  # the display name makes the link


@pytest.mark.parametrize("word", ["useful", "item"])
def test_words_beside_tags_of_the_readme_are_found(client: typesense.Client, word: str) -> None:
    packages, _ = list_page(client, word, FILTER)
    assert packages["grouped_hits"][0]["hits"][0]["document"]["name"] == "Grove.Alpha"


def test_project_page_has_page_and_releases(client: typesense.Client) -> None:
    result = client.api_call.get(
        "/collections/packages/documents/search",
        dict[str, Any],
        params={"q": "Grove.Alpha", "query_by": "name", "sort_by": "version_sortable:desc"},
    )
    documents = [hit["document"] for hit in result["hits"]]
    own = [document for document in documents if document["name"] == "Grove.Alpha"]
    assert [document["version"] for document in own] == ["1.10", "1.9"]
    page = own[0]
    assert page["project_url"] == PAGE.format("Grove.Alpha")  # + version is the link to a release
    assert page["python_versions"] == ["Python 3", "Python 3.12"]
    assert all(re.match(r"^Python\s+(\d+.*)$", value) for value in page["python_versions"])
    assert all(re.match(r"^Plone\s+(\d+.*)$", value) for value in page["framework_versions"])
    assert "Framework :: Plone :: Addon" in page["classifiers"]
    assert "<em>useful</em>" in page["description"]
    # Shown only when they are not undefined.
    assert not {"github_stars", "github_watchers", "github_open_issues"} & set(page)


def test_description_is_shown_as_it_is_so_it_must_be_sanitised(client: typesense.Client) -> None:
    (page,) = show(client, "packages", "grove.beta")
    assert "Text" in page["description"]
    assert "<script" not in page["description"]
