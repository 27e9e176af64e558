"""What a package's page and the API say of its surroundings: exact, whatever words names have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import lxml.html
import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.search.calls import path
from pyf_scrapy.search.schema import schema
from pyf_scrapy.web.asked import Asked
from pyf_scrapy.web.facets import counted_search
from pyf_scrapy.web.site import SearchOnly
from tests.web.filling import Filled, released

API = "/api/v1/profiles/plone"
ADVISORY = {"id": "PYSEC-2026-1", "summary": "It leaks.", "fixed_in": ["9.9"], "aliases": ["CVE-2026-1"]}
#: As long as some lists of authors are.
MANY_AUTHORS = ", ".join(f"Author Number {number}" for number in range(60))


async def get(served: Filled, address: str, **parameters: Any) -> httpx.Response:
    async with served.client() as client:
        answer = await client.get(address, params=parameters or None)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module", autouse=True)
def published(served: Filled) -> None:
    """Packages that require each other, or something with a similar name."""
    served.publish(
        released("pyf.root", "1.0", new=True, requires_dist=["pyf.root[all]; extra == 'more'"]),
        released("pyf-leaf-one", "1.0", new=True, requires_dist=["Pyf_Root<2"]),
        released(
            "pyf-leaf-two", "1.0", new=True, requires_dist=['pyf.root>=1; extra == "x"', "nonsense ((("]
        ),
        released("pyf-leaf-three", "1.0", new=True, requires_dist=["pyf.root-extra"]),
        released("pyf-authors", "1.0", new=True, author=MANY_AUTHORS),
        released("pyf-leaky", "1.0", new=True),
        {"event": "owners", "project": "pyf-leaky", "owners": ["ada"], "maintainers": ["grace"]},
        {"event": "advisory", "project": "pyf-leaky", "advisory": ADVISORY},
    )


async def test_only_packages_that_require_it_need_it(served: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that require "pyf.root-extra", which has its words, and no package needs itself."""
    known = (await get(served, f"{API}/packages/pyf.root")).json()
    needing = {one["name"]: one["requirements"] for one in known["dependents"]}
    assert needing == {"pyf-leaf-one": ["Pyf_Root<2"], "pyf-leaf-two": ['pyf.root>=1; extra == "x"']}
    scores = [one["health_score"] for one in known["dependents"]]
    assert scores == sorted(scores, reverse=True)
    monkeypatch.setattr("pyf_scrapy.web.packages.MOST_DEPENDENTS", 1)
    known = (await get(served, f"{API}/packages/pyf.root")).json()
    assert (known["dependents_found"], len(known["dependents"])) == (2, 1)
    page = lxml.html.document_fromstring((await get(served, "/p/plone/packages/pyf-root")).text)
    assert page.cssselect("#needed .n")[0].text == "2"
    found = (await get(served, f"{API}/packages", depends_on="pyf.root")).json()
    assert [row["name"] for row in found["packages"]] == ["pyf-leaf-one", "pyf-leaf-two"]


async def test_dependencies_are_told_by_extra_and_whether_the_profile_has_them(served: Filled) -> None:
    known = (await get(served, f"{API}/packages/pyf-leaf-two")).json()
    assert known["dependencies"] == [
        {
            "requirement": 'pyf.root>=1; extra == "x"',
            "name": "pyf.root",
            "name_normalized": "pyf-root",
            "extra": "x",
            "in_profile": True,
        },
        {"requirement": "nonsense (((", "extra": "", "in_profile": False},
    ]
    page = lxml.html.document_fromstring((await get(served, "/p/plone/packages/pyf-root")).text)
    assert "for [x]" in page.cssselect("#needed ~ ul")[0].text_content()


async def test_people_and_advisories_are_told_as_on_the_page(served: Filled) -> None:
    told = (await get(served, f"{API}/packages/pyf-leaky")).json()
    assert told["roles"] == [{"role": "Owner", "user": "ada"}, {"role": "Maintainer", "user": "grace"}]
    (advisory,) = told["advisories"]
    assert {name: advisory[name] for name in ADVISORY} == ADVISORY
    page = lxml.html.document_fromstring((await get(served, "/p/plone/packages/pyf-leaky")).text)
    assert "PYSEC-2026-1: It leaks. (fixed in 9.9)" in page.cssselect("#vulnerable ~ ul li")[0].text_content()
    assert [dd.text for dd in page.cssselect("#people ~ dl dd")][-2:] == ["ada", "grace"]


async def test_the_longest_list_of_authors_leads_to_its_packages(served: Filled) -> None:
    page = lxml.html.document_fromstring((await get(served, "/p/plone/packages/pyf-authors")).text)
    link = next(a.get("href") for a in page.cssselect("#people ~ dl a") if "/author?" in a.get("href"))
    assert len(link) > 1_000
    assert "pyf-authors" in (await get(served, link)).text
    found = (await get(served, f"{API}/packages", author=MANY_AUTHORS)).json()
    assert [row["name"] for row in found["packages"]] == ["pyf-authors"]


@pytest.fixture
def older(served: Filled) -> Iterator[str]:
    """A collection as it was made before health could be counted."""
    made = schema("older-1")
    for field in made["fields"]:
        if field["name"] in ("health_score", "vulnerabilities"):
            del field["facet"]
    with served.place.connection() as connection:
        connection.client.api_call.post("/collections", dict[str, Any], body=made)
        yield "older-1"
        connection.client.api_call.delete(path("collections", "older-1"), dict[str, Any])


def test_an_index_from_before_health_was_counted_is_searched_all_the_same(served: Filled, older: str) -> None:
    profile = replace(load_profiles()["plone"], collection=older)
    with served.place.connection() as connection:
        site = replace(served.site, search=SearchOnly(connection, (older,)))
        found, groups = counted_search(site, profile, Asked())
    counts = {value.value: value.count for group in groups for value in group.values}
    assert found.found == 0
    assert (counts["good"], counts["vulnerable"], counts["yanked"]) == (None, None, 0)
